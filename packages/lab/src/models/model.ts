import type { Graph, OnnxModel, Shape, Value } from 'onnxgrad'
import type { Rng } from '../random/rng.js'

/** How a parameter starts when a model is trained from scratch. */
export type Initializer = 'zeros' | 'ones' | { readonly normal: number } | { readonly constant: number }

export interface ModelParameter {
  readonly shape: Shape
  /** Whether weight decay applies: matrices and kernels, not biases, norms and embeddings. */
  readonly decay: boolean
  readonly init: Initializer
  /**
   * Layers between it and the input, for layer-wise learning rates: 0 for embeddings, i + 1 for block i, and one
   * more for what follows the blocks (BEiT, Bao et al. 2022).
   */
  readonly depth?: number
  /** Moved by the forward pass in training and not by the optimizer: a running mean or variance. Default false. */
  readonly buffer?: boolean
  /** Of position embeddings (1, leading + side², width): how they are laid out, so that they can be interpolated. */
  readonly positions?: Positions
}

/** Position embeddings of a square grid of patches, row by row. */
export interface Positions {
  /** Rows in front of the grid's. */
  readonly leading: number
  /** Patches along a side. */
  readonly side: number
  /** Whether `transformers` interpolates them with antialiasing. Default: false. */
  readonly antialias?: boolean
}

/** Tensors of a model by parameter name, row-major. */
export type Weights = Readonly<Record<string, Float32Array>>

export interface ForwardOptions {
  /**
   * Stochastic depth (Huang et al. 2016): float32 (branches, N), the factor of every residual branch for every
   * image: 0 or 1 / (1 − rate). Default: every branch counts once.
   */
  readonly branchScale?: Value
  /** Batch normalizations use the batch's own statistics and update their running ones. Default false. */
  readonly training?: boolean
  /**
   * Which parameters are frozen, by name: a batch normalization whose running statistics are frozen uses them even in
   * training. Default: nothing.
   */
  readonly frozen?: (parameter: string) => boolean
}

/** Where one block looks. */
export interface AttentionMap {
  /** float32 (N · windows, heads, tokens, tokens), the softmax over the last axis; windows is 1 but for Swin. */
  readonly probabilities: Value
  /**
   * Lays what was computed for every key token, float32 (N · windows, tokens), out over the image: (N, 1, rows,
   * columns), one cell a patch. Tokens that stand for no patch are left out.
   */
  toGrid(perKey: Value): Value
  /** Side of a cell in pixels, where the last cells reach past the image. Default: the cells fill it evenly. */
  readonly cellSide?: number
}

export interface ForwardResult {
  /** float32 (N, classes), before the softmax. */
  readonly logits: Value
  /**
   * What the head reads, float32 (N, width): the logits are a linear function of it. None where an imported file's
   * logits are no matrix product of one vector an image.
   */
  readonly features?: Value
  /**
   * What goes into every block of `Model.blocks`, and last what comes out of the last one: blocks + 1 values, each
   * with the images along its first axis. Empty for imported files.
   */
  readonly hidden: readonly Value[]
  /** Of every block, from the input on; empty for models without attention. */
  readonly attention: readonly AttentionMap[]
  /**
   * Of models without attention: the last stage's activations, float32 (N, channels, rows, columns), of which the
   * logits are made.
   */
  readonly activations?: Value
  /** In training: what the buffers that are not frozen become, by name. */
  readonly buffers?: Readonly<Record<string, Value>>
}

/** An image classifier that can be built into a graph. */
export interface Model {
  /** What family it is of, as Hugging Face's `model_type`. */
  readonly modelType: string
  /** All that its family needs to build it again, in the keys of Hugging Face's configurations. */
  readonly config: Readonly<Record<string, unknown>>
  readonly imageSize: number
  /** The ONNX file that it was read from, in place of a family and a configuration. */
  readonly file?: OnnxModel
  /** Images that every run takes, where an imported file leaves no choice. */
  readonly fixedBatch?: number
  readonly classNames: readonly string[]
  /** In a fixed order. */
  readonly parameters: Readonly<Record<string, ModelParameter>>
  /** Number of residual branches that stochastic depth can drop. */
  readonly branches: number
  /** Scopes in which `forward` builds its blocks, each of which can be recomputed to save memory. */
  readonly blocks: readonly string[]
  /** Tokens in front of the patch tokens in every attention map: class, distillation, registers. */
  readonly leadingTokens: number
  /** Whether the first of these is a class token. Default: whether there are any. */
  readonly hasClassToken?: boolean
  /** Order in which the network takes the channels; `forward` reverses them. Default: red, green, blue. */
  readonly channels?: 'bgr'
  /** Per-channel mean and standard deviation by which values in [0, 1] are normalized, in that order. */
  readonly mean: readonly number[]
  readonly std: readonly number[]
  /**
   * @param pixels float32 (N, 3, imageSize, imageSize) with values in [0, 1]; normalization is part of the model.
   */
  forward(parameters: Readonly<Record<string, Value>>, pixels: Value, options?: ForwardOptions): ForwardResult
}

/** What a model is to tell apart, and how its input is normalized; without `mean` and `std`, to [−1, 1]. */
export interface Task {
  readonly classNames: readonly string[]
  readonly channels?: 'bgr' | undefined
  readonly mean?: readonly number[] | undefined
  readonly std?: readonly number[] | undefined
}

/** First weights for training from scratch. */
export function initialWeights(model: Model, rng: Rng): Record<string, Float32Array> {
  const weights: Record<string, Float32Array> = {}
  for (const [name, parameter] of Object.entries(model.parameters)) {
    weights[name] = initialValues(parameter, rng)
  }
  return weights
}

/** First values of one parameter. */
export function initialValues(
  { shape, init }: Pick<ModelParameter, 'shape' | 'init'>,
  rng: Rng,
): Float32Array {
  const data = new Float32Array(shape.reduce((n, dim) => n * dim, 1))
  if (init === 'ones') data.fill(1)
  else if (init === 'zeros') data.fill(0)
  else if ('constant' in init) data.fill(init.constant)
  else for (let i = 0; i < data.length; i++) data[i] = truncatedNormal(rng) * init.normal
  return data
}

/** Standard normal cut off at two standard deviations, as timm initializes ViTs. */
function truncatedNormal(rng: Rng): number {
  for (;;) {
    const value = rng.normal()
    if (Math.abs(value) <= 2) return value
  }
}

/** The model's weights as constants of a graph, which have their names there unless those are taken. */
export function bakeWeights(graph: Graph, model: Model, weights: Weights, scope = ''): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(model.parameters).map(([name, { shape }]) => [
      name,
      graph.initializer(graph.unused(`${scope}${name}`), 'float32', shape, weights[name]!),
    ]),
  )
}

/** Number of trainable values. */
export function parameterCount(model: Model): number {
  return Object.values(model.parameters).reduce(
    (sum, { shape, buffer }) => sum + (buffer ? 0 : shape.reduce((n, dim) => n * dim, 1)),
    0,
  )
}
