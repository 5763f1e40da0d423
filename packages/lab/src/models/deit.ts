import { add, concat, expand, mul, reshape, slice } from 'onnxgrad'
import { z } from 'zod'
import { defineFamily } from './define-family.js'
import {
  assertHeadsFit,
  baseSizes,
  blockNames,
  declareEncoder,
  encode,
  encoderKeys,
  normedHead,
} from './encoder.js'
import { normalizationOf, normalize } from './image-input.js'
import type { Model, Task } from './model.js'
import { ParameterList } from './parameters.js'
import { assertPatchesFit, embedPatches, imageSide, patchAttention } from './patches.js'

const positive = z.int().positive()
const architectures = ['DeiTForImageClassification', 'DeiTForImageClassificationWithTeacher'] as const
/** The class token and the distillation token. */
const TOKENS = 2

/** Shape of a DeiT (Touvron et al. 2021), in the keys of Hugging Face's `DeiTConfig`. */
export const deitConfig = z.object({
  architectures: z
    .tuple([z.enum(architectures)])
    .default([architectures[0]])
    .describe('one head on the class token; or one on each token, whose logits are averaged'),
  image_size: imageSide.default(32),
  patch_size: positive.default(4).describe('side of a patch, pixels'),
  num_channels: z.literal(3).default(3),
  ...encoderKeys,
})
export type DeiTConfig = z.infer<typeof deitConfig>

/** A ViT with a distillation token beside the class token; names and layouts of Hugging Face's classes. */
export const deit = defineFamily({
  modelType: 'deit',
  architectures,
  citation: 'Touvron et al. 2021',
  url: 'https://arxiv.org/abs/2012.12877',
  config: deitConfig,
  absentKeys: baseSizes,
  build: buildDeiT,
})

const embeddings = 'deit.embeddings'
const projection = `${embeddings}.patch_embeddings.projection`

function buildDeiT(config: DeiTConfig, task: Task): Model {
  assertPatchesFit(config)
  assertHeadsFit(config)
  const { image_size, patch_size, hidden_size: width, layer_norm_eps } = config
  const patches = (image_size / patch_size) ** 2
  const heads =
    config.architectures[0] === 'DeiTForImageClassification'
      ? ['classifier']
      : ['cls_classifier', 'distillation_classifier']
  const normalization = normalizationOf(task)

  const list = new ParameterList()
  list.embedding(`${embeddings}.cls_token`, [1, 1, width])
  list.embedding(`${embeddings}.distillation_token`, [1, 1, width])
  list.embedding(`${embeddings}.position_embeddings`, [1, TOKENS + patches, width])
  list.conv(projection, [width, 3, patch_size, patch_size], Math.sqrt(1 / (3 * patch_size * patch_size)))
  declareEncoder(list, 'deit.encoder.layer', config)
  list.nextLayer()
  list.norm('deit.layernorm', width)
  for (const head of heads) list.dense(head, task.classNames.length, width)

  return {
    modelType: 'deit',
    config,
    imageSize: image_size,
    classNames: task.classNames,
    parameters: list.all,
    branches: 2 * config.num_hidden_layers,
    blocks: blockNames(config),
    leadingTokens: TOKENS,
    ...normalization,
    forward(p, pixels, options = {}) {
      const [batch] = pixels.shape as [number]
      const first = pixels.graph.within('embeddings', () => {
        const input = normalize(pixels, normalization)
        const tokens = ['cls_token', 'distillation_token'].map(name =>
          expand(p[`${embeddings}.${name}`]!, [batch, 1, width]),
        )
        const grid = embedPatches(input, p[`${projection}.weight`]!, p[`${projection}.bias`]!)
        return add(concat([...tokens, grid], 1), p[`${embeddings}.position_embeddings`]!)
      })
      const { tokens, probabilities, hidden } = encode(p, 'deit.encoder.layer', first, config, options)
      // Normalization works on each token alone, so a head's token is taken first.
      const read = heads.map((head, i) => {
        const token = reshape(slice(tokens, [1], [i], [i + 1]), [batch, width])
        const { features, logits } = normedHead(p, token, 'deit.layernorm', layer_norm_eps)
        return { features, logits: logits(head) }
      })
      const [{ logits }, other] = read as [(typeof read)[0], (typeof read)[0]?]
      return {
        logits: other ? mul(add(logits, other.logits), 0.5) : logits,
        // Of two heads, what one reads and then what the other does.
        features: concat(
          read.map(({ features }) => features),
          1,
        ),
        hidden,
        attention: probabilities.map(map => patchAttention(map, TOKENS)),
      }
    },
  }
}
