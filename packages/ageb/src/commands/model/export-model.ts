import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { type Checkpoint, notInTransformers, toHuggingFace, toOnnxClassifier } from '@ageb/lab'
import type { Monitor } from '@ageb/workbench'
import { loadCheckpoint, warnIfPoisoned, writeFileWhole } from '@ageb/workbench'
import { type Outcome, table } from '../../cli/output.js'

export interface ExportModelFlags {
  readonly out: string
  readonly format: 'hf' | 'onnx'
  readonly dtype: 'float32' | 'float16'
  readonly batch?: number
}

/** Writes a checkpoint in another format. */
export async function exportModel(
  name: string,
  flags: ExportModelFlags,
  terminal: Monitor,
): Promise<Outcome> {
  const checkpoint = await loadCheckpoint(name)
  warnIfPoisoned(terminal, name, checkpoint)
  const missing = notInTransformers(checkpoint.model)
  if (missing && flags.format === 'hf') {
    terminal.say(
      `transformers has no class for ${missing}: only ageb can read this folder; for other programs, use --format onnx`,
    )
  }
  const files = Object.entries(filesOf(checkpoint, flags))
  for (const [file, content] of files) {
    const place = path.join(flags.out, file)
    await mkdir(path.dirname(place), { recursive: true })
    await writeFileWhole(place, content)
  }
  const names = files.map(([file]) => file)
  return {
    data: { model: name, format: flags.format, folder: flags.out, files: names },
    text: table([
      ['folder', flags.out],
      ['files', names.join(', ')],
    ]),
  }
}

function filesOf(checkpoint: Checkpoint, { format, dtype, batch }: ExportModelFlags) {
  const files = toHuggingFace(checkpoint, { dtype: format === 'hf' ? dtype : 'float32' })
  if (format === 'hf') return files
  const { 'model.safetensors': _, ...configurations } = files
  return { ...configurations, 'onnx/model.onnx': toOnnxClassifier(checkpoint, batch) }
}
