import {
  type Feeds,
  forDevice,
  type Graph,
  peakOfValues,
  type Runtime,
  type Shape,
  type Tensor,
  toOnnx,
} from 'onnxgrad'
import { type ImageSet, imagesInMemory } from '../../images/image-set.js'
import { type ImageSource, imageSize } from '../../images/image-source.js'
import type { TensorSource } from '../../images/tensor-source.js'
import { rng } from '../../random/rng.js'
import { type ImageMap, type ImageProgram, mapGraph, needsOf, programGraph } from './image-program.js'

/** What is needed of the images that a program runs over. */
export type RenderedImages = Pick<ImageSource, 'read' | 'labels' | 'count' | 'height' | 'width'>

/** Values computed of each image before: those of a map. */
export type MapSource = Pick<TensorSource, 'read'>

/** How a program or map is run over images. */
export interface BatchOptions {
  /** Images a run at most. Default: as many as memory allows, at most 100. A surrogate may fix it. */
  readonly batch?: number
  /** Ends the work between two runs. */
  readonly signal?: AbortSignal
}

export interface RenderOptions extends BatchOptions {
  /** Decides the program's noise. */
  readonly seed: number
  /** The program's maps that were computed before, by name. Default: they are built into the graph. */
  readonly maps?: Readonly<Record<string, MapSource>>
}

/** Some images in a row, from `start` on. */
export interface Rendered {
  readonly start: number
  readonly count: number
  /** uint8, count × 3 × H × W. */
  readonly pixels: Uint8Array
}

/** Values of some images in a row, from `start` on. */
export interface MappedValues {
  readonly start: number
  readonly count: number
  /** float32, count × the map's shape. */
  readonly values: Float32Array
}

/**
 * Runs a program over all images, piece by piece, in order. How many are in a batch changes nothing.
 *
 * The noise of image i is `imageNoise(seed, i, …)`.
 */
export async function* renderImages(
  runtime: Runtime,
  program: ImageProgram,
  images: RenderedImages,
  { seed, maps = {}, ...options }: RenderOptions,
): AsyncGenerator<Rendered> {
  const given = Object.keys(program.maps ?? {}).filter(name => maps[name])
  const graphOf = (batch: number) => programGraph(program, { ...sideOf(images), batch }, { given }).graph
  const feeds = feedsOf(program, seed, maps)
  for await (const { start, count, outputs } of runs(runtime, graphOf, images, {
    ...options,
    fixedBatch: needsOf(program, given).fixedBatch,
    feeds,
  }))
    yield { start, count, pixels: bytes(outputs.triggered).subarray(0, count * imageSize(images)) }
}

/** `renderImages` into memory: the images with the program run over them, labels as they are. */
export async function renderToMemory(
  runtime: Runtime,
  program: ImageProgram,
  images: ImageSource,
  options: RenderOptions & { readonly progress?: (done: number) => void },
): Promise<ImageSet> {
  const size = imageSize(images)
  const pixels = new Uint8Array(images.count * size)
  for await (const part of renderImages(runtime, program, images, options)) {
    pixels.set(part.pixels, part.start * size)
    options.progress?.(part.start + part.count)
  }
  const { name, split, height, width, labels, classNames } = images
  return imagesInMemory({ name, split, height, width, labels, classNames, pixels })
}

/** Computes a map of all images, piece by piece, in order. */
export async function* computeMap(
  runtime: Runtime,
  map: ImageMap,
  images: RenderedImages,
  options: BatchOptions = {},
): AsyncGenerator<MappedValues> {
  const graphOf = (batch: number) => mapGraph(map, { ...sideOf(images), batch })
  const size = sizeOf(map.shape)
  for await (const { start, count, outputs } of runs(runtime, graphOf, images, {
    ...options,
    fixedBatch: map.fixedBatch,
    feeds: async () => ({}),
  }))
    yield { start, count, values: floats(outputs.map).subarray(0, count * size) }
}

/** An image with the pictures on its way through a program. */
export interface StagedImage {
  /** uint8, 3 × H × W. */
  readonly image: Uint8Array
  readonly stages: readonly {
    readonly name: string
    readonly kind: 'map' | 'mask' | 'image'
    /** (1 or 3) × H × W, see `Stage`. */
    readonly data: Float32Array
  }[]
}

/** Runs a program over a few images, keeping every stage's picture. */
export async function renderStages(
  runtime: Runtime,
  program: ImageProgram,
  images: RenderedImages,
  { seed, ...options }: { readonly seed: number } & BatchOptions,
): Promise<StagedImage[]> {
  const built = (batch: number) => programGraph(program, { ...sideOf(images), batch }, { showStages: true })
  const { stages } = built(1)
  const staged: StagedImage[] = []
  for await (const { count, batch, outputs } of runs(runtime, b => built(b).graph, images, {
    ...options,
    fixedBatch: needsOf(program).fixedBatch,
    feeds: feedsOf(program, seed, {}),
  })) {
    for (let i = 0; i < count; i++) {
      staged.push({
        image: part(bytes(outputs.triggered), i, batch),
        stages: stages.map(({ name, kind, output }) => ({
          name,
          kind,
          data: part(floats(outputs[output]), i, batch),
        })),
      })
    }
  }
  return staged
}

/** The noise that a program gets for one image: uniform in [0, 1), in steps of 2⁻²⁴, which float32 does not round up. */
export function imageNoise(seed: number, index: number, size: number): Float32Array {
  const random = rng(seed, 'noise', index)
  return Float32Array.from({ length: size }, () => random.int(2 ** 24) / 2 ** 24)
}

/** Images of a run at most, and what the values of a run may take at one time, bytes. */
const MOST_IMAGES = 100
const MOST_BYTES = 2 ** 31

/** As many images a run as memory allows: of small graphs all, or the most. */
function batchFor(graphOf: (batch: number) => Graph, images: number): number {
  let batch = Math.min(MOST_IMAGES, images)
  while (batch > 1 && peakOfValues(graphOf(batch)) > MOST_BYTES) batch = Math.floor(batch / 2)
  return batch
}

interface RunOptions extends BatchOptions {
  readonly fixedBatch: number | undefined
  /** What is fed beside images and labels, for some images in a row; filled up to `batch`. */
  feeds(start: number, count: number, batch: number): Promise<Feeds>
}

/** Runs a graph over all images, reading ahead; the last run is filled up with zeros. */
async function* runs(
  runtime: Runtime,
  graphOf: (batch: number) => Graph,
  images: RenderedImages,
  { batch: wanted, fixedBatch, feeds, signal }: RunOptions,
) {
  if (images.count === 0) return
  const batch = fixedBatch ?? Math.min(images.count, wanted ?? batchFor(graphOf, images.count))
  const graph = graphOf(batch)
  const takesLabels = graph.inputs.some(({ name }) => name === 'labels')
  const session = await runtime.load(toOnnx(forDevice(graph, await runtime.device())))
  const load = async (start: number) => {
    const count = Math.max(0, Math.min(batch, images.count - start))
    const [read, others] = await Promise.all([
      imageFeed(images, start, count, batch),
      feeds(start, count, batch),
    ])
    return {
      count,
      feeds: {
        images: read,
        ...(takesLabels && { labels: labelFeed(images, start, count, batch) }),
        ...others,
      },
    }
  }
  try {
    let next = load(0)
    for (let start = 0; start < images.count; start += batch) {
      signal?.throwIfAborted()
      const { count, feeds } = await next
      // Read while the model runs.
      next = load(start + batch)
      next.catch(() => {})
      yield { start, count, batch, outputs: await session.run(feeds) }
    }
  } finally {
    await session.release()
  }
}

/** Feeds a program's noise and those of its maps that were computed before. */
function feedsOf(
  { noise, maps: declared = {} }: ImageProgram,
  seed: number,
  maps: Readonly<Record<string, MapSource>>,
): RunOptions['feeds'] {
  return async (start, count, batch) => {
    const feeds: Record<string, Tensor> = {}
    if (noise) feeds.noise = noiseFeed(seed, noise.shape, start, count, batch)
    for (const [name, map] of Object.entries(declared)) {
      if (!maps[name]) continue
      const size = sizeOf(map.shape)
      const data = new Float32Array(batch * size)
      if (count > 0) await maps[name].read(row(start, count), data.subarray(0, count * size))
      feeds[name] = { dtype: 'float32', shape: [batch, ...map.shape], data }
    }
    return feeds
  }
}

async function imageFeed(
  images: RenderedImages,
  start: number,
  count: number,
  batch: number,
): Promise<Tensor> {
  const size = imageSize(images)
  const data = new Uint8Array(batch * size)
  if (count > 0) await images.read(row(start, count), data.subarray(0, count * size))
  return { dtype: 'uint8', shape: [batch, 3, images.height, images.width], data }
}

function labelFeed({ labels }: RenderedImages, start: number, count: number, batch: number): Tensor {
  const data = new BigInt64Array(batch)
  for (let i = 0; i < count; i++) data[i] = BigInt(labels[start + i]!)
  return { dtype: 'int64', shape: [batch], data }
}

function noiseFeed(seed: number, shape: Shape, start: number, count: number, batch: number): Tensor {
  const size = sizeOf(shape)
  const data = new Float32Array(batch * size)
  for (let i = 0; i < count; i++) data.set(imageNoise(seed, start + i, size), i * size)
  return { dtype: 'float32', shape: [batch, ...shape], data }
}

const row = (start: number, count: number) => Array.from({ length: count }, (_, i) => start + i)
const sideOf = ({ height, width }: RenderedImages) => ({ height, width })
const sizeOf = (shape: Shape) => shape.reduce((n, dim) => n * dim, 1)

function part<T extends Float32Array | Uint8Array>(data: T, i: number, batch: number): T
function part(data: Float32Array | Uint8Array, i: number, batch: number) {
  const size = data.length / batch
  return data.slice(i * size, (i + 1) * size)
}

function bytes(tensor: Tensor | undefined): Uint8Array {
  if (tensor?.data instanceof Uint8Array) return tensor.data
  throw new TypeError(`a program must give uint8 images, not ${tensor?.dtype}`)
}

function floats(tensor: Tensor | undefined): Float32Array {
  if (tensor?.data instanceof Float32Array) return tensor.data
  throw new TypeError(`maps and stages must be float32, not ${tensor?.dtype}`)
}
