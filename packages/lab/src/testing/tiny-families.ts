import type { Model } from '../models/model.js'
import { buildModel, modelConfig } from '../models/registry.js'
import { tinyTask } from './tiny.js'

const build = (config: object) => buildModel(modelConfig.parse(config), tinyTask)
const encoder = {
  image_size: 16,
  hidden_size: 8,
  num_hidden_layers: 3,
  num_attention_heads: 2,
  intermediate_size: 12,
}
const transformer = { ...encoder, patch_size: 4 }
const stages = { image_size: 16, hidden_sizes: [4, 8], depths: [2, 1] }

/** A model of every family, for 16×16 images of the three classes of `tinyImages`. */
export const tinyFamilies: Readonly<Record<string, Model>> = {
  vit: build({ model_type: 'vit', ...transformer }),
  deit: build({ model_type: 'deit', ...transformer }),
  'deit with a teacher': build({
    model_type: 'deit',
    ...transformer,
    architectures: ['DeiTForImageClassificationWithTeacher'],
  }),
  swin: build({
    model_type: 'swin',
    image_size: 16,
    patch_size: 2,
    embed_dim: 4,
    depths: [2, 1],
    num_heads: [2, 2],
    window_size: 4,
  }),
  cct: build({ model_type: 'cct', ...encoder, tokenizer: [4] }),
  resnet: build({ model_type: 'resnet', ...stages, embedding_size: 4, layer_type: 'basic', stem: 'cifar' }),
  preact_resnet: build({ model_type: 'preact_resnet', ...stages, embedding_size: 4 }),
  convnext: build({ model_type: 'convnext', ...stages, patch_size: 2, layer_scale_init_value: 0.5 }),
}
