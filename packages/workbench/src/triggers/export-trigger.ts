import path from 'node:path'
import { needsOf, triggerModel } from '@ageb/lab'
import type { RuntimeChoice } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import type { AttackSettings } from '../configuration/attack-settings.js'
import type { BackdoorRunConfig } from '../configuration/backdoor-config.js'
import { makeFolder, writeFileWhole } from '../files/write-file.js'
import { type Monitor, silent } from '../runs/monitor.js'
import { preparedTrigger } from './prepared-trigger.js'
import { surrogateFor } from './surrogate-for.js'
import { triggerSubject } from './trigger-subject.js'

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
  /** Name of the checkpoint with which triggers are computed, if the attack needs one. */
  readonly surrogate: string | null
  /** `images`, uint8, batch × 3 × height × width; `labels` and `noise` where the attack needs them. */
  readonly inputs: Readonly<Record<string, TensorNote>>
  readonly outputs: { readonly triggered: TensorNote }
}

/** Where the attack's preparation is made: as `TriggerOptions`. */
export interface ExportTriggerOptions extends RuntimeChoice {
  /** Images in each run of the file. Default: 1. */
  readonly batch?: number | undefined
  /** Side of the images, pixels. Default: that of the victim, as in a run. */
  readonly side?: number | undefined
  readonly monitor?: Monitor | undefined
}

/**
 * Writes a trigger as one ONNX file that any ONNX Runtime runs, for images of the victim's size.
 *
 * @example
 * const { inputs } = await exportTrigger('trigger.onnx', await attackSettings({ set: ['attack=blended'] }))
 * @param out the file, whose folder is made if need be
 * @throws InputError if the surrogate or the victim is amiss
 */
export async function exportTrigger(
  out: string,
  chosen: AttackSettings,
  { batch = 1, side, threads, device, monitor = silent }: ExportTriggerOptions = {},
): Promise<ExportedTrigger> {
  const { attack, surrogate: name, ...settings } = chosen.settings
  const { size, classes, surrogate: checkpoint } = await triggerSubject(chosen, side, monitor)
  const surrogate = chosen.attack.needs.surrogate ? surrogateFor(checkpoint, name, size, monitor) : undefined
  const runtime = startRuntime({
    threads: threads ?? settings.threads ?? 1,
    device: device ?? settings.device,
  })
  const program = await preparedTrigger(runtime, chosen, size, classes, surrogate).finally(() =>
    runtime.close(),
  )
  const bytes = triggerModel(chosen.attack, program, { batch, ...size })
  await makeFolder(path.dirname(out))
  await writeFileWhole(out, bytes)

  const images = { dtype: 'uint8', shape: [batch, 3, size.height, size.width] }
  const { labels, noise } = needsOf(program)
  const inputs = {
    images,
    ...(labels && { labels: { dtype: 'int64', shape: [batch] } }),
    ...(noise && { noise: { dtype: 'float32', shape: [batch, ...noise.shape] } }),
  }
  return {
    file: out,
    bytes: bytes.length,
    attack,
    surrogate: surrogate ? name : null,
    inputs,
    outputs: { triggered: images },
  }
}
