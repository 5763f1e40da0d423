import type { z } from 'zod'
import type { Model } from '../models/model.js'
import { preactResNet, preactResNetConfig } from '../models/preact-resnet.js'
import { resnet, resnetConfig } from '../models/resnet.js'
import { tinyTask } from './tiny.js'

// Two stages: a block that keeps size and channels, and one that halves the size.
const shape = { image_size: 8, embedding_size: 4, hidden_sizes: [4, 6], depths: [1, 1], hidden_act: 'gelu' }

/** A ResNet for 8×8 images. */
export function tinyResNet(changes: z.input<typeof resnetConfig> = {}): Model {
  const config = resnetConfig.parse({ ...shape, layer_type: 'basic', stem: 'cifar', ...changes })
  return resnet.build(config, tinyTask)
}

/** A PreAct-ResNet for 8×8 images. */
export function tinyPreActResNet(changes: z.input<typeof preactResNetConfig> = {}): Model {
  return preactResNet.build(preactResNetConfig.parse({ ...shape, ...changes }), tinyTask)
}
