import type { GradientSource } from '@ageb/lab'
import { exportModel, type Monitor, modelInfo, type Row } from '@ageb/workbench'
import { type Outcome, table } from '../../cli/output.js'

export interface ExportModelFlags {
  readonly out: string
  readonly format: 'hf' | 'onnx'
  readonly dtype: 'float32' | 'float16'
  readonly batch?: number
}

/** Writes a checkpoint in another format, and tells which files. */
export async function exported(
  model: string,
  { out, ...flags }: ExportModelFlags,
  monitor: Monitor,
): Promise<Outcome> {
  const data = await exportModel(model, out, { ...flags, monitor })
  return {
    data,
    text: table([
      ['folder', data.folder],
      ['files', data.files.join(', ')],
    ]),
  }
}

const SHOWN_CLASSES = 10

/** Describes a checkpoint. */
export async function described(model: string, monitor: Monitor): Promise<Outcome> {
  const { url, ...data } = await modelInfo(model, { monitor })
  const { modelType, citation, parameters, imageSize, classNames, mean, std, blocks, provenance } = data
  const more = classNames.length - SHOWN_CLASSES
  const rows: Row[] = [
    ['family', modelType, citation ? `${citation}, ${url}` : ''],
    ['parameters', String(parameters)],
    ['image', `${imageSize}×${imageSize}`, `mean ${mean.join(' ')}, deviation ${std.join(' ')}`],
    [
      'classes',
      String(classNames.length),
      classNames.slice(0, SHOWN_CLASSES).join(', ') + (more > 0 ? ` and ${more} more` : ''),
    ],
    ['blocks', blocks.length > 0 ? String(blocks.length) : 'not known'],
    attentionRow(data.gradientSource),
    ['history', provenance.poisoned ? 'backdoored on purpose' : (provenance.note ?? 'not poisoned')],
  ]
  return { data, text: table(rows) }
}

/** What attention gradients are taken of. */
function attentionRow(source: GradientSource): Row {
  switch (source.kind) {
    case 'attention': {
      const { maps, heads, tokens, placed } = source
      const where = placed ? '' : '; where its tokens lie is not known, so only gradient: pixel works'
      return [
        'attention',
        String(maps),
        `maps; ageb uses the last one: heads ${heads}, tokens ${tokens}${where}`,
      ]
    }
    case 'activations':
      return [
        'attention',
        'none was found',
        `ageb uses the last feature maps in its place: ${source.channels} of ${source.rows}×${source.columns}`,
      ]
    case 'none':
      return ['attention', 'none was found', 'nor feature maps: ageb cannot compute triggers with this model']
  }
}
