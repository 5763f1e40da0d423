import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { needsOf, surrogateOf, triggerModel } from '@ageb/lab'
import type { Monitor } from '@ageb/workbench'
import { loadCheckpoint, warnIfPoisoned, writeFileWhole } from '@ageb/workbench'
import { startRuntime } from 'onnxgrad/node'
import { type Outcome, table } from '../../cli/output.js'
import { type AttackFlags, attackSettings } from '../../cli/settings.js'

export interface ExportFlags extends AttackFlags {
  readonly out: string
  readonly batch: number
}

/** Writes a trigger as an ONNX file, for images of the surrogate's size. */
export async function exportTrigger(flags: ExportFlags, terminal: Monitor): Promise<Outcome> {
  const { out, batch } = flags
  const { settings, attack: configured } = await attackSettings(flags)
  const { attack, surrogate: name, seed } = settings
  const surrogate = await loadCheckpoint(name)
  warnIfPoisoned(terminal, name, surrogate)
  const { imageSize: side, classNames } = surrogate.model
  const context = {
    ...{ seed, height: side, width: side, classes: classNames.length },
    ...(configured.needs.surrogate && { surrogate: surrogateOf(surrogate) }),
  }
  const runtime = startRuntime({ threads: 1 })
  const prepared = await configured.prepare({ ...context, runtime }).finally(() => runtime.close())
  const program = configured.trigger(context, prepared)
  const bytes = triggerModel(configured, program, { batch, height: side, width: side })
  await mkdir(path.dirname(out), { recursive: true })
  await writeFileWhole(out, bytes)

  const images = { dtype: 'uint8', shape: [batch, 3, side, side] }
  const { labels, noise } = needsOf(program)
  const inputs = {
    images,
    ...(labels && { labels: { dtype: 'int64', shape: [batch] } }),
    ...(noise && { noise: { dtype: 'float32', shape: [batch, ...noise.shape] } }),
  }
  const describe = (all: Record<string, { dtype: string; shape: number[] }>) =>
    Object.entries(all)
      .map(([key, { dtype, shape }]) => `${key} ${dtype} ${shape.join('×')}`)
      .join(', ')
  return {
    data: { file: out, bytes: bytes.length, attack, surrogate: name, inputs, outputs: { triggered: images } },
    text: table([
      ['file', out, `${(bytes.length / 1e6).toFixed(1)} MB`],
      ['in', describe(inputs)],
      ['out', describe({ triggered: images })],
      ['attack', configured.name],
      ['surrogate', name],
    ]),
  }
}
