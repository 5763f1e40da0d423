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
    ['blocks', String(blocks.length)],
    ['history', provenance.poisoned ? 'backdoored on purpose' : (provenance.note ?? 'not poisoned')],
  ]
  return { data, text: table(rows) }
}
