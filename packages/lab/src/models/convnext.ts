import { conv2d, layerNorm, linear, mul, pad, reduceMean, reshape, transpose, type Value } from 'onnxgrad'
import { z } from 'zod'
import { activate, activationName } from './activation.js'
import { defineFamily } from './define-family.js'
import { normDense, normedHead, residuals } from './encoder.js'
import { normalizationOf, normalize } from './image-input.js'
import type { Model, Task } from './model.js'
import { ParameterList } from './parameters.js'
import { embedPatches, imageSide, mergeCells } from './patches.js'

const positive = z.int().positive()

/** Shape of a ConvNeXt (Liu et al. 2022), in the keys and defaults (ConvNeXt-T) of Hugging Face's `ConvNextConfig`. */
export const convnextConfig = z.object({
  image_size: imageSide.default(224),
  patch_size: positive.default(4).describe('side of a patch of the stem, pixels'),
  num_channels: z.literal(3).default(3),
  num_stages: positive.optional().describe('number of stages; default: as many as depths has'),
  hidden_sizes: z
    .array(positive)
    .min(1)
    .max(16)
    .default([96, 192, 384, 768])
    .describe('channels of every stage'),
  depths: z.array(positive.max(1000)).min(1).max(16).default([3, 3, 9, 3]).describe('blocks of every stage'),
  hidden_act: activationName.default('gelu'),
  layer_norm_eps: z
    .number()
    .positive()
    .default(1e-12)
    .describe('of the last normalization; the others have 1e-6'),
  layer_scale_init_value: z
    .number()
    .default(1e-6)
    .describe("first factor of the blocks' branches; 0 or less: they have none"),
})
export type ConvNextConfig = z.infer<typeof convnextConfig>

/** A ConvNeXt with the parameter names and layouts of Hugging Face's `ConvNextForImageClassification`. */
export const convnext = defineFamily({
  modelType: 'convnext',
  architectures: ['ConvNextForImageClassification'],
  citation: 'Liu et al. 2022',
  url: 'https://arxiv.org/abs/2201.03545',
  config: convnextConfig,
  anyImageSize: true,
  build: buildConvNext,
})

/** Of all normalizations but the last. */
const EPSILON = 1e-6
const EMBEDDINGS = 'convnext.embeddings'

interface Stage {
  /** Of the parameters that halve the sides in front of the blocks; null in the first stage. */
  readonly downsampling: string | null
  /** Of the blocks' parameters. */
  readonly blocks: readonly string[]
  readonly inputs: number
  readonly width: number
}

type Parameters = Readonly<Record<string, Value>>

function buildConvNext(config: ConvNextConfig, task: Task): Model {
  const stages = stagesOf(config)
  const blocks = stages.flatMap(stage => stage.blocks)
  const scopeOf = (block: string) => `block${blocks.indexOf(block)}`
  const normalization = normalizationOf(task)
  return {
    modelType: 'convnext',
    config: { ...config, num_stages: stages.length },
    imageSize: config.image_size,
    classNames: task.classNames,
    parameters: parametersOf(config, stages, task.classNames.length),
    branches: blocks.length,
    blocks: blocks.map(scopeOf),
    leadingTokens: 0,
    ...normalization,
    forward(p, pixels, options = {}) {
      const { graph } = pixels
      const residual = residuals(options)
      const hidden: Value[] = []
      // Channels last: all but the depthwise convolution works along them.
      let x = graph.within('embeddings', () => embed(p, normalize(pixels, normalization), config))
      for (const { downsampling, blocks } of stages) {
        if (downsampling) x = graph.within('downsample', () => downsample(p, x, downsampling))
        for (const block of blocks) {
          hidden.push(x)
          x = graph.within(scopeOf(block), () => residual(x, branch(p, x, block, config)))
        }
      }
      const activations = transpose(x, [0, 3, 1, 2])
      const pooled = reduceMean(activations, [2, 3])
      const head = normedHead(p, pooled, 'convnext.layernorm', config.layer_norm_eps)
      return {
        logits: head.logits('classifier'),
        features: head.features,
        hidden: [...hidden, x],
        attention: [],
        activations,
      }
    },
  }
}

function stagesOf(c: ConvNextConfig): Stage[] {
  const count = c.num_stages ?? c.depths.length
  if (c.depths.length !== count || c.hidden_sizes.length !== count) {
    throw new RangeError(
      `num_stages is ${count}, but depths has ${c.depths.length} stages and hidden_sizes ${c.hidden_sizes.length}`,
    )
  }
  if (Math.floor(c.image_size / c.patch_size) < 2 ** (count - 1)) {
    throw new RangeError(
      `image_size ${c.image_size} is too small for patch_size ${c.patch_size} and ${count - 1} halvings`,
    )
  }
  return c.depths.map((depth, i) => {
    const name = `convnext.encoder.stages.${i}`
    return {
      downsampling: i > 0 ? `${name}.downsampling_layer` : null,
      blocks: Array.from({ length: depth }, (_, j) => `${name}.layers.${j}`),
      inputs: c.hidden_sizes[Math.max(i - 1, 0)]!,
      width: c.hidden_sizes[i]!,
    }
  })
}

function parametersOf(c: ConvNextConfig, stages: readonly Stage[], classes: number): Model['parameters'] {
  const list = new ParameterList()
  const first = stages[0]!.width
  // All start alike (Liu et al. 2022, appendix A.1).
  list.conv(`${EMBEDDINGS}.patch_embeddings`, [first, 3, c.patch_size, c.patch_size], 0.02)
  list.norm(`${EMBEDDINGS}.layernorm`, first)
  for (const { downsampling, blocks, inputs, width } of stages) {
    if (downsampling) {
      list.norm(`${downsampling}.0`, inputs)
      list.conv(`${downsampling}.1`, [width, inputs, 2, 2], 0.02)
    }
    for (const block of blocks) {
      list.nextLayer()
      list.conv(`${block}.dwconv`, [width, 1, 7, 7], 0.02)
      list.norm(`${block}.layernorm`, width)
      list.dense(`${block}.pwconv1`, 4 * width, width)
      list.dense(`${block}.pwconv2`, width, 4 * width)
      if (c.layer_scale_init_value > 0)
        list.embedding(`${block}.layer_scale_parameter`, [width], { constant: c.layer_scale_init_value })
    }
  }
  list.nextLayer()
  const last = stages.at(-1)!.width
  list.norm('convnext.layernorm', last)
  list.dense('classifier', classes, last)
  return list.all
}

/** Normalized images (N, 3, H, H), what is left of whole patches cut off, to (N, side, side, width). */
function embed(p: Parameters, pixels: Value, { image_size, patch_size }: ConvNextConfig): Value {
  const side = Math.floor(image_size / patch_size)
  const less = side * patch_size - image_size
  const whole = pad(pixels, [0, 0, 0, 0], [0, 0, less, less])
  const projection = `${EMBEDDINGS}.patch_embeddings`
  const patches = embedPatches(whole, p[`${projection}.weight`]!, p[`${projection}.bias`]!)
  const [batch, , width] = patches.shape as [number, number, number]
  return norm(p, reshape(patches, [batch, side, side, width]), `${EMBEDDINGS}.layernorm`)
}

function norm(p: Parameters, x: Value, name: string): Value {
  return layerNorm(x, p[`${name}.weight`]!, p[`${name}.bias`]!, EPSILON)
}

/** (N, h, w, inputs) to (N, ⌊h / 2⌋, ⌊w / 2⌋, width): a convolution whose stride is its kernel is a matrix product. */
function downsample(p: Parameters, x: Value, name: string): Value {
  const less = -(x.shape[1]! % 2)
  const even = pad(x, [0, 0, 0, 0], [0, less, less, 0])
  const kernel = p[`${name}.1.weight`]!
  const [width, inputs] = kernel.shape as [number, number]
  const matrix = reshape(transpose(kernel, [0, 2, 3, 1]), [width, 4 * inputs])
  return linear(mergeCells(norm(p, even, `${name}.0`)), matrix, p[`${name}.1.bias`])
}

/** What a block adds to x, float32 (N, h, w, width). */
function branch(p: Parameters, x: Value, block: string, c: ConvNextConfig): Value {
  const width = x.shape[3]!
  const planes = conv2d(
    transpose(x, [0, 3, 1, 2]),
    p[`${block}.dwconv.weight`]!,
    p[`${block}.dwconv.bias`]!,
    {
      padding: 3,
      group: width,
    },
  )
  const pixels = transpose(planes, [0, 2, 3, 1])
  const hidden = normDense(p, pixels, `${block}.layernorm`, EPSILON)(`${block}.pwconv1`)
  const [weight, bias] = [p[`${block}.pwconv2.weight`]!, p[`${block}.pwconv2.bias`]!]
  const scale = p[`${block}.layer_scale_parameter`]
  const active = activate(hidden, c.hidden_act)
  if (!scale) return linear(active, weight, bias)
  // The scale goes into the small layer, not over the pixels.
  return linear(active, mul(weight, reshape(scale, [width, 1])), mul(bias, scale))
}
