import { conv2d, globalAveragePool, linear, maxPool2d, relu, reshape, type Value } from 'onnxgrad'
import { z } from 'zod'
import { activate, activationName } from './activation.js'
import { batchNorms } from './batch-norm.js'
import { defineFamily } from './define-family.js'
import { residuals } from './encoder.js'
import { normalizationOf, normalize } from './image-input.js'
import type { Model, Task } from './model.js'
import { heNormal, ParameterList } from './parameters.js'
import { imageSide } from './patches.js'

const positive = z.int().positive()
/** Channels of a bottleneck's inner convolutions: its own by this. */
const REDUCTION = 4

/**
 * Shape of a ResNet (He et al. 2016), in the keys of Hugging Face's `ResNetConfig`. `image_size` and `stem` are this
 * project's additions: for small images the network begins with one 3×3 convolution at full size.
 */
export const resnetConfig = z.object({
  image_size: imageSide.default(224),
  num_channels: z.literal(3).default(3),
  embedding_size: positive.default(64).describe('channels of the stem'),
  hidden_sizes: z
    .array(positive)
    .min(1)
    .max(16)
    .default([256, 512, 1024, 2048])
    .describe('channels of every stage'),
  depths: z
    .array(positive.max(1000))
    .min(1)
    .max(16)
    .default([3, 4, 6, 3])
    .describe('number of blocks of every stage'),
  layer_type: z
    .enum(['basic', 'bottleneck'])
    .default('bottleneck')
    .describe('two 3×3 convolutions a block, or 1×1, 3×3 and 1×1'),
  hidden_act: activationName.default('relu').describe('behind the stem and every block'),
  downsample_in_first_stage: z.boolean().default(false).describe('halve the size in the first stage, too'),
  downsample_in_bottleneck: z
    .boolean()
    .default(false)
    .describe("halve in a bottleneck's first convolution, not its second"),
  stem: z
    .enum(['imagenet', 'cifar'])
    .default('imagenet')
    .describe('7×7 convolution and pooling, to a quarter of the size; or 3×3 at full size'),
})
export type ResNetConfig = z.infer<typeof resnetConfig>

/** A ResNet with the parameter names and layouts of Hugging Face's `ResNetForImageClassification`. */
export const resnet = defineFamily({
  modelType: 'resnet',
  architectures: ['ResNetForImageClassification'],
  citation: 'He et al. 2016',
  url: 'https://arxiv.org/abs/1512.03385',
  config: resnetConfig,
  anyImageSize: true,
  build: buildResNet,
})

/** A convolution without bias, padded by half its kernel, and the normalization behind it. */
interface ConvLayer {
  readonly name: string
  readonly inputs: number
  readonly outputs: number
  readonly kernel: number
  readonly stride: number
}
interface Block {
  /** Scope in which it is built. */
  readonly scope: string
  readonly layers: readonly ConvLayer[]
  /** Where the block changes size or channels. */
  readonly shortcut: ConvLayer | null
}

function buildResNet(config: ResNetConfig, task: Task): Model {
  const { embedding_size, hidden_sizes, hidden_act, image_size } = config
  const blocks = blocksOf(config)
  const normalization = normalizationOf(task)
  const [kernel, stride] = config.stem === 'imagenet' ? [7, 2] : [3, 1]
  const stem = { name: 'resnet.embedder.embedder', inputs: 3, outputs: embedding_size, kernel, stride }

  const list = new ParameterList()
  const declare = ({ name, inputs, outputs, kernel }: ConvLayer) => {
    const shape = [outputs, inputs, kernel, kernel] as const
    list.conv(`${name}.convolution`, shape, heNormal(outputs, kernel), false)
    list.batchNorm(`${name}.normalization`, outputs)
  }
  declare(stem)
  for (const { layers, shortcut } of blocks) {
    list.nextLayer()
    if (shortcut) declare(shortcut)
    for (const layer of layers) declare(layer)
  }
  list.nextLayer()
  list.dense('classifier.1', task.classNames.length, hidden_sizes.at(-1)!)

  return {
    modelType: 'resnet',
    config,
    imageSize: image_size,
    classNames: task.classNames,
    parameters: list.all,
    branches: blocks.length,
    blocks: blocks.map(({ scope }) => scope),
    leadingTokens: 0,
    ...normalization,
    forward(p, pixels, options = {}) {
      const { graph } = pixels
      const { norm, buffers } = batchNorms(p, options)
      const residual = residuals(options)
      const convolve = (x: Value, { name, kernel, stride }: ConvLayer) => {
        const y = conv2d(x, p[`${name}.convolution.weight`]!, null, { stride, padding: (kernel - 1) / 2 })
        return norm(y, `${name}.normalization`)
      }
      const hidden: Value[] = []
      let x = graph.within('stem', () => {
        const y = activate(convolve(normalize(pixels, normalization), stem), hidden_act)
        return config.stem === 'imagenet' ? maxPool2d(y, { kernel: 3, stride: 2, padding: 1 }) : y
      })
      for (const { scope, layers, shortcut } of blocks) {
        hidden.push(x)
        x = graph.within(scope, () => {
          const skipped = shortcut ? convolve(x, shortcut) : x
          const branch = layers.reduce((y, layer, i) => {
            const z = convolve(y, layer)
            // As in Hugging Face's: whatever hidden_act is, within a block it is ReLU.
            return i < layers.length - 1 ? relu(z) : z
          }, x)
          return activate(residual(skipped, branch), hidden_act)
        })
      }
      const pooled = reshape(globalAveragePool(x), [x.shape[0]!, x.shape[1]!])
      const logits = linear(pooled, p['classifier.1.weight']!, p['classifier.1.bias']!)
      return { logits, features: pooled, hidden: [...hidden, x], attention: [], activations: x, buffers }
    },
  }
}

function blocksOf(c: ResNetConfig): Block[] {
  const { hidden_sizes, depths, layer_type, downsample_in_bottleneck: early } = c
  if (hidden_sizes.length !== depths.length)
    throw new RangeError(`hidden_sizes has ${hidden_sizes.length} stages, but depths has ${depths.length}`)
  if (layer_type === 'bottleneck' && Math.min(...hidden_sizes) < REDUCTION)
    throw new RangeError(`hidden_sizes ${Math.min(...hidden_sizes)} is too few for a bottleneck: 4 at least`)
  return depths.flatMap((depth, stage) =>
    Array.from({ length: depth }, (_, i): Block => {
      const name = `resnet.encoder.stages.${stage}.layers.${i}`
      const outputs = hidden_sizes[stage]!
      const inputs = i > 0 ? outputs : (hidden_sizes[stage - 1] ?? c.embedding_size)
      const stride = i === 0 && (stage > 0 || c.downsample_in_first_stage) ? 2 : 1
      const inner = Math.floor(outputs / REDUCTION)
      const shapes: [inputs: number, outputs: number, kernel: number, stride: number][] =
        layer_type === 'basic'
          ? [
              [inputs, outputs, 3, stride],
              [outputs, outputs, 3, 1],
            ]
          : [
              [inputs, inner, 1, early ? stride : 1],
              [inner, inner, 3, early ? 1 : stride],
              [inner, outputs, 1, 1],
            ]
      return {
        scope: `stage${stage}.block${i}`,
        layers: shapes.map(([inputs, outputs, kernel, stride], j) => ({
          name: `${name}.layer.${j}`,
          inputs,
          outputs,
          kernel,
          stride,
        })),
        shortcut:
          inputs !== outputs || stride !== 1
            ? { name: `${name}.shortcut`, inputs, outputs, kernel: 1, stride }
            : null,
      }
    }),
  )
}
