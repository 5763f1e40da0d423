import { families, parameterCount } from '@ageb/lab'
import type { Monitor } from '@ageb/workbench'
import { loadCheckpoint, type Row, warnIfPoisoned } from '@ageb/workbench'
import { type Outcome, table } from '../../cli/output.js'

const SHOWN_CLASSES = 10

/** Describes a checkpoint. */
export async function modelInfo(name: string, terminal: Monitor): Promise<Outcome> {
  const checkpoint = await loadCheckpoint(name, { withoutClassifier: true, warn: terminal.say })
  warnIfPoisoned(terminal, name, checkpoint)
  const { model, provenance, preprocessing } = checkpoint
  const { modelType, imageSize, classNames, mean, std, blocks, config } = model
  const family = Object.entries(families).find(([type]) => type === modelType)?.[1]
  const data = {
    model: name,
    modelType,
    citation: family?.citation,
    parameters: parameterCount(model),
    imageSize,
    classNames,
    mean,
    std,
    preprocessing,
    blocks,
    config,
    provenance,
  }
  const more = classNames.length - SHOWN_CLASSES
  const rows: Row[] = [
    ['family', modelType, family ? `${family.citation}, ${family.url}` : ''],
    ['parameters', String(data.parameters)],
    ['image', `${imageSize}×${imageSize}`, `mean ${mean.join(' ')}, deviation ${std.join(' ')}`],
    [
      'classes',
      String(classNames.length),
      classNames.slice(0, SHOWN_CLASSES).join(', ') + (more > 0 ? ` and ${more} more` : ''),
    ],
    ['blocks', String(blocks.length)],
    ['history', provenance.poisoned ? 'backdoored on purpose' : (provenance.note ?? 'not poisoned')],
  ]
  return { data, text: table(rows) }
}
