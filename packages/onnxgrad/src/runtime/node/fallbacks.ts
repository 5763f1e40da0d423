import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Device } from '../../device.js'
import type { Feeds } from '../../graph/tensor.js'
import type { Runtime, SessionOptions } from '../session.js'

/** A node that ran elsewhere than on the runtime's device. */
export interface Fallback {
  /** The node's name; after the runtime's optimizations it may be one of its own. */
  readonly node: string
  /** ONNX operator name. */
  readonly op: string
  /** The execution provider that ran it. */
  readonly provider: string
}

/** Execution providers as the runtime's profile names them. */
const providers: Record<Device, string> = {
  cpu: 'CPUExecutionProvider',
  webgpu: 'WebGpuExecutionProvider',
  cuda: 'CUDAExecutionProvider',
  coreml: 'CoreMLExecutionProvider',
  dml: 'DmlExecutionProvider',
}

/**
 * The nodes of a model that the runtime puts on another provider than that of its device, most often because the
 * provider lacks the operator or its type. Every such node costs copies between two memories. Runs the model once in
 * a session of its own, with the runtime's profiler; copies themselves are not listed.
 *
 * @param feeds as for `Session.run`
 */
export async function fallbacks(
  runtime: Runtime,
  model: Uint8Array,
  feeds: Feeds,
  options: Omit<SessionOptions, 'profile'> = {},
): Promise<Fallback[]> {
  const provider = providers[await runtime.device()]
  const folder = await mkdtemp(path.join(tmpdir(), 'onnxgrad-profile-'))
  try {
    const session = await runtime.load(model, { ...options, profile: path.join(folder, 'run') })
    try {
      await session.run(feeds)
    } finally {
      // It is now that the profile is written to its end.
      await session.release()
    }
    const [file] = await readdir(folder)
    const events = JSON.parse(await readFile(path.join(folder, file!), 'utf8')) as ProfileEvent[]
    return events.flatMap(({ cat, name, args }) =>
      cat === 'Node' && args?.provider && args.provider !== provider && !args.op_name?.startsWith('Memcpy')
        ? [{ node: name.replace(/_kernel_time$/, ''), op: args.op_name!, provider: args.provider }]
        : [],
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

interface ProfileEvent {
  readonly cat: string
  readonly name: string
  readonly args?: { readonly op_name?: string; readonly provider?: string }
}
