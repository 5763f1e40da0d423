import {
  add,
  fusedMatMul,
  layerNorm,
  linear,
  matmul,
  normalizedLinear,
  pad,
  reduceMean,
  reshape,
  softmax,
  transpose,
  type Value,
} from 'onnxgrad'
import { z } from 'zod'
import { activate, activationName } from './activation.js'
import { defineFamily } from './define-family.js'
import { normDense, residuals } from './encoder.js'
import { normalizationOf, normalize } from './image-input.js'
import type { AttentionMap, Model, Task } from './model.js'
import { ParameterList } from './parameters.js'
import { embedPatches, imageSide, mergeCells } from './patches.js'
import { Windows } from './windows.js'

const positive = z.int().positive()

/** Shape of a Swin Transformer (Liu et al. 2021), in the keys and defaults (Swin-T) of Hugging Face's `SwinConfig`. */
export const swinConfig = z.object({
  image_size: imageSide.default(224),
  patch_size: positive.default(4).describe('side of a patch, pixels'),
  num_channels: z.literal(3).default(3),
  embed_dim: positive
    .default(96)
    .describe('width of a token in the first stage; every further one doubles it'),
  depths: z.array(positive.max(1000)).min(1).max(16).default([2, 2, 6, 2]).describe('blocks of every stage'),
  num_heads: z
    .array(positive)
    .min(1)
    .max(16)
    .default([3, 6, 12, 24])
    .describe('attention heads of every stage'),
  window_size: positive.default(7).describe('tokens along a side of a window'),
  mlp_ratio: z
    .number()
    .positive()
    .default(4)
    .describe("width of the blocks' hidden layer, in widths of a token"),
  qkv_bias: z.boolean().default(true),
  hidden_act: activationName.default('gelu'),
  use_absolute_embeddings: z.boolean().default(false).describe('add a learned position to every patch'),
  layer_norm_eps: z.number().positive().default(1e-5),
})
export type SwinConfig = z.infer<typeof swinConfig>

/**
 * A Swin Transformer with the parameter names and layouts of Hugging Face's checkpoints. Where a window is larger
 * than the grid, the pairs of tokens that there are take their rows of the table; `transformers` 5 refuses that case.
 */
export const swin = defineFamily({
  modelType: 'swin',
  architectures: ['SwinForImageClassification'],
  citation: 'Liu et al. 2021',
  url: 'https://arxiv.org/abs/2103.14030',
  config: swinConfig,
  build: buildSwin,
})

/** Of the normalizations whose epsilon `layer_norm_eps` does not set: PyTorch's default. */
const EPSILON = 1e-5
const EMBEDDINGS = 'swin.embeddings'

interface Block {
  /** Of its parameters. */
  readonly name: string
  /** Of its scope in the graph. */
  readonly scope: string
  readonly heads: number
  readonly windows: Windows
}

interface Stage {
  readonly name: string
  readonly width: number
  /** Tokens along a side. */
  readonly grid: number
  /** Of a token, in pixels. */
  readonly cellSide: number
  readonly blocks: readonly Block[]
  /** Whether the tokens are merged two by two behind the blocks. */
  readonly merges: boolean
}

type Parameters = Readonly<Record<string, Value>>

function buildSwin(config: SwinConfig, task: Task): Model {
  const stages = stagesOf(config)
  const blocks = stages.flatMap(stage => stage.blocks)
  const normalization = normalizationOf(task)
  return {
    modelType: 'swin',
    config,
    imageSize: config.image_size,
    classNames: task.classNames,
    parameters: parametersOf(config, stages, task.classNames.length),
    branches: 2 * blocks.length,
    blocks: blocks.map(({ scope }) => scope),
    leadingTokens: 0,
    ...normalization,
    forward(p, pixels, options = {}) {
      const { graph } = pixels
      const residual = residuals(options)
      const attention: AttentionMap[] = []
      const hidden: Value[] = []
      let x = graph.within('embeddings', () => embed(p, normalize(pixels, normalization), config))
      for (const stage of stages) {
        for (const block of stage.blocks) {
          hidden.push(x)
          graph.within(block.scope, () => {
            const { output, probabilities } = attend(p, x, block, config)
            attention.push(windowAttention(probabilities, block.windows, stage.cellSide))
            x = residual(x, dense(p, output, `${block.name}.attention.output.dense`))
            const expand = normDense(p, x, `${block.name}.layernorm_after`, config.layer_norm_eps)
            const active = activate(expand(`${block.name}.intermediate.dense`), config.hidden_act)
            x = residual(x, dense(p, active, `${block.name}.output.dense`))
          })
        }
        if (stage.merges) x = graph.within('downsample', () => merge(p, x, stage))
      }
      const last = layerNorm(x, p['swin.layernorm.weight']!, p['swin.layernorm.bias']!, config.layer_norm_eps)
      const features = reduceMean(last, [1])
      return { logits: dense(p, features, 'classifier'), features, hidden: [...hidden, x], attention }
    },
  }
}

function stagesOf(c: SwinConfig): Stage[] {
  if (c.num_heads.length !== c.depths.length)
    throw new RangeError(`num_heads has ${c.num_heads.length} stages, but depths ${c.depths.length}`)
  let grid = Math.ceil(c.image_size / c.patch_size)
  if (c.use_absolute_embeddings && grid * c.patch_size !== c.image_size)
    throw new RangeError(
      `image_size ${c.image_size} is no multiple of patch_size ${c.patch_size}, as use_absolute_embeddings needs`,
    )
  let before = 0
  return c.depths.map((depth, i) => {
    const width = c.embed_dim * 2 ** i
    const heads = c.num_heads[i]!
    if (width % heads !== 0)
      throw new RangeError(
        `width ${width} of stage ${i} (embed_dim · 2^${i}) is no multiple of num_heads ${heads}`,
      )
    const name = `swin.encoder.layers.${i}`
    const blocks = Array.from({ length: depth }, (_, j) => ({
      name: `${name}.blocks.${j}`,
      scope: `block${before + j}`,
      heads,
      windows: new Windows(grid, c.window_size, j % 2 === 1),
    }))
    const cellSide = c.patch_size * 2 ** i
    const stage: Stage = { name, width, grid, cellSide, blocks, merges: i < c.depths.length - 1 }
    before += depth
    grid = Math.ceil(grid / 2)
    return stage
  })
}

function parametersOf(c: SwinConfig, stages: readonly Stage[], classes: number): Model['parameters'] {
  const list = new ParameterList()
  const patch = c.patch_size
  const projection = [c.embed_dim, 3, patch, patch] as const
  list.conv(`${EMBEDDINGS}.patch_embeddings.projection`, projection, Math.sqrt(1 / (3 * patch * patch)))
  list.norm(`${EMBEDDINGS}.norm`, c.embed_dim)
  if (c.use_absolute_embeddings)
    list.embedding(`${EMBEDDINGS}.position_embeddings`, [1, stages[0]!.grid ** 2, c.embed_dim])
  for (const { name: stage, width, blocks, merges } of stages) {
    const hidden = Math.floor(c.mlp_ratio * width)
    for (const { name, heads } of blocks) {
      list.nextLayer()
      list.norm(`${name}.layernorm_before`, width)
      for (const part of ['query', 'key', 'value'])
        list.dense(`${name}.attention.self.${part}`, width, width, c.qkv_bias)
      list.embedding(`${name}.attention.self.relative_position_bias_table`, [
        (2 * c.window_size - 1) ** 2,
        heads,
      ])
      list.dense(`${name}.attention.output.dense`, width, width)
      list.norm(`${name}.layernorm_after`, width)
      list.dense(`${name}.intermediate.dense`, hidden, width)
      list.dense(`${name}.output.dense`, width, hidden)
    }
    if (!merges) continue
    list.norm(`${stage}.downsample.norm`, 4 * width)
    list.dense(`${stage}.downsample.reduction`, 2 * width, 4 * width, false)
  }
  list.nextLayer()
  const last = stages.at(-1)!.width
  list.norm('swin.layernorm', last)
  list.dense('classifier', classes, last)
  return list.all
}

function dense(p: Parameters, x: Value, name: string): Value {
  return linear(x, p[`${name}.weight`]!, p[`${name}.bias`])
}

/** Normalized images (N, 3, H, H), padded to whole patches, to tokens (N, grid², embed_dim). */
function embed(p: Parameters, pixels: Value, c: SwinConfig): Value {
  const { image_size, patch_size } = c
  const more = Math.ceil(image_size / patch_size) * patch_size - image_size
  const projection = `${EMBEDDINGS}.patch_embeddings.projection`
  const whole = pad(pixels, [0, 0, 0, 0], [0, 0, more, more])
  const patches = embedPatches(whole, p[`${projection}.weight`]!, p[`${projection}.bias`]!)
  const tokens = layerNorm(patches, p[`${EMBEDDINGS}.norm.weight`]!, p[`${EMBEDDINGS}.norm.bias`]!, EPSILON)
  return c.use_absolute_embeddings ? add(tokens, p[`${EMBEDDINGS}.position_embeddings`]!) : tokens
}

/** Self-attention within windows before the output projection: tokens (N, grid², width) to the same shape. */
function attend(p: Parameters, x: Value, { name, heads, windows }: Block, c: SwinConfig) {
  const [batch, , width] = x.shape as [number, number, number]
  const size = width / heads
  const project = projections(p, x, `${name}.layernorm_before`, windows, c.layer_norm_eps)
  const split = (part: string) => {
    const y = project(`${name}.attention.self.${part}`)
    return transpose(reshape(y, [batch * windows.count, windows.tokens, heads, size]), [0, 2, 1, 3])
  }
  const [query, key, value] = [split('query'), split('key'), split('value')]
  const scores = fusedMatMul(query, key, { transB: true, alpha: 1 / Math.sqrt(size) })
  const bias = windows.relativeBias(p[`${name}.attention.self.relative_position_bias_table`]!)
  const mask = windows.mask(x.graph)
  const { tokens, count } = windows
  // Both are added at once: the mask is the same in every image, its sum with the bias small.
  const perImage = [batch, count, heads, tokens, tokens]
  const biased = mask
    ? reshape(add(reshape(scores, perImage), add(bias, mask)), scores.shape)
    : add(scores, bias)
  const probabilities = softmax(biased)
  const merged = transpose(matmul(probabilities, value), [0, 2, 1, 3])
  return { output: windows.join(reshape(merged, [batch * count, tokens, width])), probabilities }
}

/** Fully connected layers of the normalized tokens of every window. Padding is zero behind the normalization. */
function projections(
  p: Parameters,
  x: Value,
  norm: string,
  windows: Windows,
  epsilon: number,
): (name: string) => Value {
  // The cheaper form has the normalization's shift in the layers, where padding must not get it.
  if (!windows.padded) return normDense(p, windows.cut(x), norm, epsilon)
  const normalized = windows.cut(layerNorm(x, p[`${norm}.weight`]!, p[`${norm}.bias`]!, epsilon))
  return name => dense(p, normalized, name)
}

function windowAttention(probabilities: Value, windows: Windows, cellSide: number): AttentionMap {
  return {
    probabilities,
    cellSide,
    toGrid(perKey) {
      const cells = windows.join(perKey)
      const side = Math.sqrt(cells.shape[1]!)
      return reshape(cells, [cells.shape[0]!, 1, side, side])
    },
  }
}

/** Tokens (N, grid², width) to (N, ⌈grid / 2⌉², 2 · width). */
function merge(p: Parameters, x: Value, { name, grid, width }: Stage): Value {
  const odd = grid % 2
  const square = reshape(x, [x.shape[0]!, grid, grid, width])
  const cells = mergeCells(pad(square, [0, 0, 0, 0], [0, odd, odd, 0]))
  const [batch, rows, columns] = cells.shape as [number, number, number]
  // The checkpoint's order has the left two cells first: the small parameters are brought into ours.
  const reorder = (parameter: Value) => {
    const outer = parameter.shape.slice(0, -1).reduce((n, dim) => n * dim, 1)
    return reshape(transpose(reshape(parameter, [outer, 2, 2, width]), [0, 2, 1, 3]), parameter.shape)
  }
  const part = (of: string) => reorder(p[`${name}.downsample.${of}`]!)
  const reduce = normalizedLinear(
    reshape(cells, [batch, rows * columns, 4 * width]),
    part('norm.weight'),
    part('norm.bias'),
    EPSILON,
  )
  return reduce(part('reduction.weight'))
}
