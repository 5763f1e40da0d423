import { type Device, type DeviceChoice, devices } from '../device.js'
import { InputError } from '../errors.js'
import { Graph } from '../graph/graph.js'
import { toOnnx } from '../onnx/to-onnx.js'
import { matmul } from '../ops/matrix-product.js'
import { type Engine, SessionHost } from './session-host.js'

/** What a platform (Node, or a browser) has to say of devices. */
export interface Platform {
  /** The devices that the runtime's build lists. That it lists one does not mean that it is there. */
  readonly listed: ReadonlySet<Device>
  /** What to install, or where the device can be had: the end of a sentence. */
  readonly advice: Readonly<Record<Device, string>>
  engine(device: Device): Promise<Engine>
}

/** Best first. CoreML knows so few operators of a training step that WebGPU serves an Apple processor better. */
const preference: readonly Device[] = ['cuda', 'webgpu', 'dml', 'coreml']

/**
 * The engine of the device that was asked for, or for 'auto' of the best one on which a small graph really runs.
 * Throws InputError if the device is not there.
 */
export async function chooseEngine(platform: Platform, choice: DeviceChoice): Promise<Engine> {
  if (choice === 'cpu') return platform.engine('cpu')
  if (choice === 'auto') {
    for (const device of preference.filter(one => platform.listed.has(one))) {
      const engine = await probe(platform, device).catch(() => null)
      if (engine) return engine
    }
    return platform.engine('cpu')
  }
  if (!devices.includes(choice)) {
    throw new InputError(`there is no device '${choice}': choose one of ${[...devices, 'auto'].join(', ')}`)
  }
  const say = (reason: string) =>
    new InputError(
      `the device '${choice}' is not available (${reason}): ${platform.advice[choice]}, or choose cpu`,
    )
  if (!platform.listed.has(choice)) throw say('it is not offered here')
  return probe(platform, choice).catch(error => {
    throw say(lastSentence((error as Error).message))
  })
}

/** Runs a product of two small matrices and checks it. */
async function probe(platform: Platform, device: Device): Promise<Engine> {
  const engine = await platform.engine(device)
  const graph = new Graph()
  const x = graph.input('x', 'float32', [2, 2])
  graph.output('y', matmul(x, x))
  const host = new SessionHost(engine)
  const id = await host.load(toOnnx(graph), {})
  try {
    const { y } = await host.run(id, {
      x: { dtype: 'float32', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
    })
    if (String(y!.data) !== '7,10,15,22') throw new Error(`a matrix product came out as ${y!.data}`)
  } finally {
    await host.release(id)
  }
  return engine
}

/** The runtime's messages begin with file names and signatures; what went wrong is at their end. */
function lastSentence(message: string): string {
  const line = message.trim().split('\n').at(-1)!
  return line.slice(line.lastIndexOf('. ', line.length - 2) + 1).trim()
}
