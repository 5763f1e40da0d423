import { conv2d, globalAveragePool, linear, reshape, type Value } from 'onnxgrad'
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

/** Shape of a ResNet with pre-activation; keys as in Hugging Face's `ResNetConfig`. Defaults: PreAct-ResNet-18. */
export const preactResNetConfig = z.object({
  image_size: imageSide.default(32),
  num_channels: z.literal(3).default(3),
  embedding_size: positive.default(64).describe('channels of the first convolution'),
  hidden_sizes: z
    .array(positive)
    .min(1)
    .max(16)
    .default([64, 128, 256, 512])
    .describe('channels of every stage'),
  depths: z
    .array(positive.max(1000))
    .min(1)
    .max(16)
    .default([2, 2, 2, 2])
    .describe('number of blocks of every stage'),
  hidden_act: activationName.default('relu'),
})
export type PreActResNetConfig = z.infer<typeof preactResNetConfig>

/**
 * The PreAct-ResNet-18 that the backdoor literature trains on CIFAR-10 (BackdoorBench, Wu et al. 2022): basic blocks
 * whose normalization and activation come before each convolution, a 3×3 stem at full size, and no normalization
 * behind the last block. There is no such class in `transformers`.
 */
export const preactResNet = defineFamily({
  modelType: 'preact_resnet',
  architectures: ['PreActResNetForImageClassification'],
  notInTransformers: () => 'ResNets with pre-activation',
  citation: 'He et al. 2016b',
  url: 'https://arxiv.org/abs/1603.05027',
  config: preactResNetConfig,
  anyImageSize: true,
  build: buildPreActResNet,
})

const prefix = 'preact_resnet'
const stem = `${prefix}.embedder.convolution`

function buildPreActResNet(config: PreActResNetConfig, task: Task): Model {
  const { embedding_size, hidden_sizes, depths, hidden_act, image_size } = config
  if (hidden_sizes.length !== depths.length)
    throw new RangeError(`hidden_sizes has ${hidden_sizes.length} stages, but depths has ${depths.length}`)
  const normalization = normalizationOf(task)
  const blocks = depths.flatMap((depth, stage) =>
    Array.from({ length: depth }, (_, i) => {
      const outputs = hidden_sizes[stage]!
      const inputs = i > 0 ? outputs : (hidden_sizes[stage - 1] ?? embedding_size)
      const stride = i === 0 && stage > 0 ? 2 : 1
      const name = `${prefix}.encoder.stages.${stage}.layers.${i}`
      return {
        scope: `stage${stage}.block${i}`,
        name,
        inputs,
        outputs,
        stride,
        changes: inputs !== outputs || stride !== 1,
      }
    }),
  )

  const list = new ParameterList()
  const declare = (name: string, inputs: number, outputs: number, kernel: number) =>
    list.conv(name, [outputs, inputs, kernel, kernel], heNormal(outputs, kernel), false)
  declare(stem, 3, embedding_size, 3)
  for (const { name, inputs, outputs, changes } of blocks) {
    list.nextLayer()
    list.batchNorm(`${name}.layer.0.normalization`, inputs)
    declare(`${name}.layer.0.convolution`, inputs, outputs, 3)
    list.batchNorm(`${name}.layer.1.normalization`, outputs)
    declare(`${name}.layer.1.convolution`, outputs, outputs, 3)
    if (changes) declare(`${name}.shortcut.convolution`, inputs, outputs, 1)
  }
  list.nextLayer()
  list.dense('classifier', task.classNames.length, hidden_sizes.at(-1)!)

  return {
    modelType: 'preact_resnet',
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
      const convolve = (x: Value, name: string, padding: number, stride = 1) =>
        conv2d(x, p[`${name}.weight`]!, null, { stride, padding })
      const hidden: Value[] = []
      let x = graph.within('stem', () => convolve(normalize(pixels, normalization), stem, 1))
      for (const { scope, name, stride, changes } of blocks) {
        hidden.push(x)
        x = graph.within(scope, () => {
          const ready = (y: Value, i: number) =>
            activate(norm(y, `${name}.layer.${i}.normalization`), hidden_act)
          const first = ready(x, 0)
          // A shortcut that changes the size branches off behind the activation; one that does not, before it.
          const skipped = changes ? convolve(first, `${name}.shortcut.convolution`, 0, stride) : x
          const middle = convolve(first, `${name}.layer.0.convolution`, 1, stride)
          return residual(skipped, convolve(ready(middle, 1), `${name}.layer.1.convolution`, 1))
        })
      }
      const pooled = reshape(globalAveragePool(x), [x.shape[0]!, x.shape[1]!])
      const logits = linear(pooled, p['classifier.weight']!, p['classifier.bias']!)
      return { logits, features: pooled, hidden: [...hidden, x], attention: [], activations: x, buffers }
    },
  }
}
