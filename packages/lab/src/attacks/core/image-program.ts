import { Graph, type Shape, type Value } from 'onnxgrad'
import type { Json } from '../../digest.js'
import type { ImageSize } from '../../images/image-source.js'

/** A picture on the way from an image to its triggered form. */
export interface Stage {
  /** As a report shows it. */
  readonly name: string
  /** `map`: (N, 1, H, W) ≥ 0; `mask`: (N, 1, H, W), 0 or 1; `image`: (N, 3, H, W) in [0, 1]. */
  readonly kind: 'map' | 'mask' | 'image'
  /** float32. */
  readonly value: Value
}

/** What an image program takes beside the images. */
export interface ProgramInputs {
  /** int64 (N): each image's true class; there if the program has `labels`. */
  readonly labels?: Value
  /** float32 (N, …shape), in [0, 1); there if the program has `noise`. */
  readonly noise?: Value
  /** By name, float32 (N, …shape): the values of the program's `maps`. */
  readonly maps: Readonly<Record<string, Value>>
}

/**
 * What an attack does to images: adds itself to a graph. What it does to an image depends on nothing else in the batch.
 */
export interface ImageProgram {
  /** Whether it takes each image's true class. Default: false. */
  readonly labels?: boolean
  /** It takes uniform numbers, of this shape an image. */
  readonly noise?: { readonly shape: Shape }
  /**
   * Expensive values of each image that programs of other parameters share. Whoever can store them computes them once;
   * else they are built into the same graph, which gives the same bytes.
   */
  readonly maps?: Readonly<Record<string, ImageMap>>
  /**
   * @param images uint8 (N, 3, H, W).
   * @returns `image`: uint8 (N, 3, H, W); `stages` in the order in which they are computed.
   */
  build(
    graph: Graph,
    images: Value,
    inputs: ProgramInputs,
  ): { readonly image: Value; readonly stages: readonly Stage[] }
}

/** Values computed of each image alone: an attention gradient, for one. */
export interface ImageMap {
  /** All that decides the values beside the images: maps of equal keys have equal values. */
  readonly key: Json
  /** Whether it takes each image's true class. Default: false. */
  readonly labels?: boolean
  /** Images that every run takes, where a model leaves no choice. */
  readonly fixedBatch?: number
  /** Of one image's values. */
  readonly shape: Shape
  /**
   * @param images uint8 (N, 3, H, W).
   * @returns float32 (N, …shape).
   */
  build(graph: Graph, images: Value, inputs: { readonly labels?: Value }): Value
}

/** How many images of which size a graph takes. */
export interface BatchShape extends ImageSize {
  readonly batch: number
}

/** What a graph of a program or a map must be fed, and what decides its size. */
export interface GraphNeeds {
  readonly labels: boolean
  readonly noise?: { readonly shape: Shape }
  readonly fixedBatch?: number
  /** Maps that are inputs rather than part of the graph. */
  readonly given: readonly string[]
}

/** What `programGraph` must be fed. @param given names of the program's maps that are inputs. */
export function needsOf(program: ImageProgram, given: readonly string[] = []): GraphNeeds {
  const built = Object.entries(program.maps ?? {}).flatMap(([name, map]) => (given.includes(name) ? [] : map))
  const fixedBatch = built.find(map => map.fixedBatch !== undefined)?.fixedBatch
  return {
    labels: program.labels === true || built.some(map => map.labels === true),
    ...(program.noise && { noise: program.noise }),
    ...(fixedBatch !== undefined && { fixedBatch }),
    given,
  }
}

/**
 * A program as a graph: `images`, uint8 (batch, 3, H, W), in; `triggered`, of the same kind, out. Further inputs where
 * needed: `labels`, int64 (batch); `noise`, float32 (batch, …), uniform in [0, 1); maps that are given, by name.
 *
 * @returns the graph, and the stages; with `showStages`, each is an output under its `output`.
 */
export function programGraph(
  program: ImageProgram,
  size: BatchShape,
  { given = [], showStages = false }: { given?: readonly string[]; showStages?: boolean } = {},
): {
  readonly graph: Graph
  readonly stages: readonly (Omit<Stage, 'value'> & { readonly output: string })[]
} {
  const graph = new Graph()
  const needs = needsOf(program, given)
  const { images, labels } = inputsFor(graph, size, needs.labels)
  const noise = needs.noise && graph.input('noise', 'float32', [size.batch, ...needs.noise.shape])
  const maps = Object.fromEntries(
    Object.entries(program.maps ?? {}).map(([name, map]) => [
      name,
      given.includes(name)
        ? graph.input(name, 'float32', [size.batch, ...map.shape])
        : map.build(graph, images, labels),
    ]),
  )
  const built = program.build(graph, images, { ...labels, ...(noise && { noise }), maps })
  graph.output('triggered', built.image)
  const stages = built.stages.map(({ name, kind, value }, i) => {
    const output = `stage ${i}`
    if (showStages) graph.output(output, value)
    return { name, kind, output }
  })
  return { graph, stages }
}

/** A map as a graph: `images` and where needed `labels` in, as of `programGraph`; `map`, float32 (batch, …shape), out. */
export function mapGraph(map: ImageMap, size: BatchShape): Graph {
  const graph = new Graph()
  const { images, labels } = inputsFor(graph, size, map.labels === true)
  graph.output('map', map.build(graph, images, labels))
  return graph
}

function inputsFor(graph: Graph, { batch, height, width }: BatchShape, needsLabels: boolean) {
  const images = graph.input('images', 'uint8', [batch, 3, height, width])
  return { images, labels: needsLabels ? { labels: graph.input('labels', 'int64', [batch]) } : {} }
}
