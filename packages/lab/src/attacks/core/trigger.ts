import { type Device, forDevice, Graph, peakOfValues, type Runtime, type Tensor, toOnnx } from 'onnxgrad'
import { type ImageSource, imageSize } from '../../images/image-source.js'
import { type AttackConfig, attacks } from '../registry.js'
import type { Surrogate } from './define-attack.js'

export interface TriggerOptions {
  readonly attack: AttackConfig
  readonly surrogate: Surrogate
  /** Images a run. */
  readonly batch: number
}

/**
 * The whole trigger as a graph: `images`, uint8 (batch, 3, H, W), in; `triggered`, of the same kind, out.
 * With `stages`, the pictures on the way come out as well.
 */
export function triggerGraph({ attack, surrogate, batch }: TriggerOptions, stages = false): Graph {
  const graph = new Graph()
  const side = surrogate.model.imageSize
  const images = graph.input('images', 'uint8', [batch, 3, side, side])
  const built = attacks[attack.name].build(graph, images, surrogate, attack)
  graph.output('triggered', built.triggered)
  if (stages) for (const [name, value] of Object.entries(built.stages)) graph.output(name, value)
  return graph
}

/** `triggerGraph` as an ONNX model that says what it is, for a device. */
export function triggerModel(options: TriggerOptions, stages = false, device: Device = 'cpu'): Uint8Array {
  const { attack } = options
  const { citation, url } = attacks[attack.name]
  return toOnnx(forDevice(triggerGraph(options, stages), device), {
    name: `${attack.name}-trigger`,
    doc: `Backdoor trigger of ${attack.name} (${citation}, ${url}), for research on defenses.`,
    metadata: {
      attack: JSON.stringify(attack),
      purpose: 'research on backdoor defenses',
    },
  })
}

/** The pictures of one image on its way through the trigger. */
export interface TriggeredImage {
  /** uint8, 3 × H × W. */
  readonly triggered: Uint8Array
  /** By name: float32, (1 or 3) × H × W. */
  readonly stages: Readonly<Record<string, Float32Array>>
}

type Images = Pick<ImageSource, 'read' | 'labels' | 'count' | 'height' | 'width'>

/** A loaded trigger. */
export interface Trigger {
  /** All images with the trigger, uint8 (count, 3, H, W). */
  apply(images: Images, progress?: (done: number) => void): Promise<Uint8Array>
  release(): Promise<void>
}

/** Images of a run at most, and what the values of a run may take at one time, bytes. */
const MOST_IMAGES = 100
const MOST_BYTES = 2 ** 31

/** As many images a run as memory allows: for small models the most. */
function batchFor(attacker: Omit<TriggerOptions, 'batch'>): number {
  let batch = MOST_IMAGES
  while (batch > 1 && peakOfValues(triggerGraph({ ...attacker, batch })) > MOST_BYTES)
    batch = Math.floor(batch / 2)
  return batch
}

/**
 * Loads a trigger for many images.
 * @param attacker without `batch`, it is as large as memory allows; a surrogate may fix it.
 */
export async function loadTrigger(
  runtime: Runtime,
  attacker: Omit<TriggerOptions, 'batch'> & Partial<Pick<TriggerOptions, 'batch'>>,
): Promise<Trigger> {
  const batch = attacker.surrogate.model.fixedBatch ?? attacker.batch ?? batchFor(attacker)
  const options = { ...attacker, batch }
  const session = await runtime.load(triggerModel(options, false, await runtime.device()))
  return {
    async apply(images, progress) {
      const size = imageSize(images)
      const out = new Uint8Array(images.count * size)
      for (let start = 0; start < images.count; start += options.batch) {
        const { triggered } = await session.run(await feeds(options, images, start))
        const count = Math.min(options.batch, images.count - start)
        out.set((triggered!.data as Uint8Array).subarray(0, count * size), start * size)
        progress?.(start + count)
      }
      return out
    },
    release: () => session.release(),
  }
}

/** Triggers a few images, keeping every stage's picture. */
export async function triggerWithStages(
  runtime: Runtime,
  options: Omit<TriggerOptions, 'batch'>,
  images: Images,
): Promise<TriggeredImage[]> {
  const batch = options.surrogate.model.fixedBatch ?? images.count
  const batched = { ...options, batch }
  const session = await runtime.load(triggerModel(batched, true, await runtime.device()))
  try {
    const pictures: TriggeredImage[] = []
    for (let start = 0; start < images.count; start += batch) {
      const { triggered, ...stages } = await session.run(await feeds(batched, images, start))
      const part = <T extends Float32Array | Uint8Array>(data: T, i: number) => {
        const size = data.length / batch
        return data.slice(i * size, (i + 1) * size) as T
      }
      for (let i = 0; i < Math.min(batch, images.count - start); i++) {
        pictures.push({
          triggered: part(triggered!.data as Uint8Array, i),
          stages: Object.fromEntries(
            Object.entries(stages).map(([name, tensor]) => [name, part(tensor.data as Float32Array, i)]),
          ),
        })
      }
    }
    return pictures
  } finally {
    await session.release()
  }
}

/** One batch from `start`, filled up with zeros at the end. */
async function feeds(
  { attack, batch }: TriggerOptions,
  images: Images,
  start: number,
): Promise<Record<string, Tensor>> {
  const size = imageSize(images)
  const data = new Uint8Array(batch * size)
  const count = Math.min(batch, images.count - start)
  await images.read(
    Array.from({ length: count }, (_, i) => start + i),
    data.subarray(0, count * size),
  )
  const all: Record<string, Tensor> = {
    images: { dtype: 'uint8', shape: [batch, 3, images.height, images.width], data },
  }
  if (attacks[attack.name].needsLabels(attack)) {
    const labels = new BigInt64Array(batch)
    for (let i = start; i < Math.min(images.count, start + batch); i++)
      labels[i - start] = BigInt(images.labels[i]!)
    all.labels = { dtype: 'int64', shape: [batch], data: labels }
  }
  return all
}
