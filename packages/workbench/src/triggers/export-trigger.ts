import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { needsOf, triggerModel } from '@ageb/lab'
import { startRuntime } from 'onnxgrad/node'
import { openCheckpoint } from '../checkpoints/open-checkpoint.js'
import type { AttackSettings } from '../configuration/attack-settings.js'
import type { BackdoorRunConfig } from '../configuration/backdoor-config.js'
import { writeFileWhole } from '../files/write-file.js'
import { type Monitor, silent } from '../runs/monitor.js'
import { preparedTrigger } from './prepared-trigger.js'

/** An input or output of an ONNX file. */
export interface TensorNote {
  readonly dtype: string
  readonly shape: readonly number[]
}

/** A trigger that was written as an ONNX file. */
export interface ExportedTrigger {
  readonly file: string
  /** Size of the file. */
  readonly bytes: number
  readonly attack: BackdoorRunConfig['attack']
  /** Name of the checkpoint whose image size the file takes, and with which triggers are computed. */
  readonly surrogate: string
  /** `images`, uint8, batch × 3 × height × width; `labels` and `noise` where the attack needs them. */
  readonly inputs: Readonly<Record<string, TensorNote>>
  readonly outputs: { readonly triggered: TensorNote }
}

/**
 * Writes a trigger as one ONNX file that any ONNX Runtime runs, for images of the surrogate's size.
 *
 * @example
 * const { inputs } = await exportTrigger('trigger.onnx', await attackSettings({ set: ['attack=blend'] }))
 * @param out the file, whose folder is made if need be
 * @param options.batch images in each run of the file; default: 1
 * @throws InputError if the surrogate is amiss
 */
export async function exportTrigger(
  out: string,
  chosen: AttackSettings,
  { batch = 1, monitor = silent }: { readonly batch?: number; readonly monitor?: Monitor } = {},
): Promise<ExportedTrigger> {
  const { attack, surrogate: name } = chosen.settings
  const surrogate = await openCheckpoint(name, monitor)
  const { imageSize: side, classNames } = surrogate.model
  const size = { height: side, width: side }
  const runtime = startRuntime({ threads: 1 })
  const program = await preparedTrigger(runtime, chosen, size, classNames.length, surrogate).finally(() =>
    runtime.close(),
  )
  const bytes = triggerModel(chosen.attack, program, { batch, ...size })
  await mkdir(path.dirname(out), { recursive: true })
  await writeFileWhole(out, bytes)

  const images = { dtype: 'uint8', shape: [batch, 3, side, side] }
  const { labels, noise } = needsOf(program)
  const inputs = {
    images,
    ...(labels && { labels: { dtype: 'int64', shape: [batch] } }),
    ...(noise && { noise: { dtype: 'float32', shape: [batch, ...noise.shape] } }),
  }
  return { file: out, bytes: bytes.length, attack, surrogate: name, inputs, outputs: { triggered: images } }
}
