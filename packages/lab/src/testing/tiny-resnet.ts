import type { Model } from '../models/model.js'
import { resnet, resnetConfig } from '../models/resnet.js'
import { tinyTask } from './tiny.js'

/** A ResNet for 8×8 images with a block that keeps the size, one that halves it, and smooth activations. */
export function tinyResNet(changes: Partial<Parameters<typeof resnetConfig.parse>[0] & object> = {}): Model {
  const config = resnetConfig.parse({
    image_size: 8,
    embedding_size: 4,
    hidden_sizes: [4, 6],
    depths: [1, 1],
    layer_type: 'basic',
    hidden_act: 'gelu',
    stem: 'cifar',
    ...changes,
  })
  return resnet.build(config, tinyTask)
}
