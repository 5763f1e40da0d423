import {
  add,
  conv2d,
  layerNorm,
  linear,
  matmul,
  maxPool2d,
  relu,
  reshape,
  softmax,
  transpose,
  type Value,
} from 'onnxgrad'
import { z } from 'zod'
import { defineFamily } from './define-family.js'
import { assertHeadsFit, blockNames, declareEncoder, encode, encoderKeys } from './encoder.js'
import { normalizationOf, normalize } from './image-input.js'
import type { Model, Task } from './model.js'
import { heNormal, ParameterList } from './parameters.js'
import { imageSide, patchAttention } from './patches.js'

const positive = z.int().positive()

/**
 * Shape of a Compact Convolutional Transformer (Hassani et al. 2021): a convolutional tokenizer, a pre-norm encoder
 * without class token, and pooling of the sequence by learned weights. Keys as in Hugging Face's `ViTConfig` where
 * it has them.
 */
export const cctConfig = z.object({
  image_size: imageSide.default(32),
  num_channels: z.literal(3).default(3),
  tokenizer: z
    .array(positive)
    .default([64])
    .describe(
      'channels of 3×3 convolutions, each followed by pooling to half the side; one more leads to hidden_size',
    ),
  ...encoderKeys,
  num_hidden_layers: encoderKeys.num_hidden_layers.default(4),
  num_attention_heads: encoderKeys.num_attention_heads.default(2),
  layer_norm_eps: encoderKeys.layer_norm_eps.default(1e-5),
})
export type CCTConfig = z.infer<typeof cctConfig>

/** The small-data model that two cores can train. There is no such class in `transformers`. */
export const cct = defineFamily({
  modelType: 'cct',
  architectures: ['CCTForImageClassification'],
  notInTransformers: () => 'CCTs',
  citation: 'Hassani et al. 2021',
  url: 'https://arxiv.org/abs/2104.05704',
  config: cctConfig,
  build: buildCCT,
})

function buildCCT(config: CCTConfig, task: Task): Model {
  assertHeadsFit(config)
  const { image_size, hidden_size: width, layer_norm_eps: epsilon } = config
  const channels = [3, ...config.tokenizer, width]
  const layers = channels.slice(1).map((outputs, i) => ({
    name: `cct.tokenizer.${i}`,
    inputs: channels[i]!,
    outputs,
  }))
  const side = image_size / 2 ** layers.length
  if (!Number.isInteger(side)) {
    throw new RangeError(
      `image_size ${image_size} cannot be halved ${layers.length} times: use fewer convolutions in tokenizer`,
    )
  }
  const normalization = normalizationOf(task)

  const list = new ParameterList()
  for (const { name, inputs, outputs } of layers)
    list.conv(name, [outputs, inputs, 3, 3], heNormal(inputs, 3), false)
  list.embedding('cct.position_embeddings', [1, side * side, width])
  declareEncoder(list, 'cct.encoder.layer', config)
  list.nextLayer()
  list.norm('cct.layernorm', width)
  list.dense('cct.pooler', 1, width)
  list.dense('classifier', task.classNames.length, width)

  return {
    modelType: 'cct',
    config,
    imageSize: image_size,
    classNames: task.classNames,
    parameters: list.all,
    branches: 2 * config.num_hidden_layers,
    blocks: blockNames(config),
    leadingTokens: 0,
    ...normalization,
    forward(p, pixels, options = {}) {
      const [batch] = pixels.shape as [number]
      const dense = (x: Value, name: string) => linear(x, p[`${name}.weight`]!, p[`${name}.bias`])
      const first = pixels.graph.within('embeddings', () => {
        let x = normalize(pixels, normalization)
        for (const { name } of layers) {
          // ReLU after the pooling gives the same, for a quarter of the work.
          x = conv2d(x, p[`${name}.weight`]!, null, { padding: 1 })
          x = relu(maxPool2d(x, { kernel: 3, stride: 2, padding: 1 }))
        }
        const patches = reshape(transpose(x, [0, 2, 3, 1]), [batch, side * side, width])
        return add(patches, p['cct.position_embeddings']!)
      })
      const { tokens, probabilities, hidden } = encode(p, 'cct.encoder.layer', first, config, options)
      const normalized = layerNorm(tokens, p['cct.layernorm.weight']!, p['cct.layernorm.bias']!, epsilon)
      // Sequence pooling: a mean of the tokens, weighted by what one more layer makes of each.
      const weights = softmax(transpose(dense(normalized, 'cct.pooler'), [0, 2, 1]))
      const pooled = reshape(matmul(weights, normalized), [batch, width])
      return {
        logits: dense(pooled, 'classifier'),
        features: pooled,
        hidden,
        attention: probabilities.map(map => patchAttention(map, 0)),
      }
    },
  }
}
