import { freeze, type ParameterSpec } from 'onnxgrad'
import { mixes } from '../images/mix.js'
import type { Model } from '../models/model.js'
import type { TrainingConfig } from './training-config.js'

/**
 * How far a training could start behind its frozen part, whose outputs are then the same at every step: the number of
 * the block, from 0, in front of which all is frozen. The number of blocks stands for what follows the last of them.
 *
 * @returns null if nothing in front is frozen, images are augmented (crop, flip, mixup, cutmix), or branches of frozen
 * blocks are dropped at random.
 * @throws InputError if a frozen name fits no parameter.
 */
export function frozenPrefix(model: Model, config: TrainingConfig): number | null {
  const { crop, flip, stochasticDepth, frozen } = config
  if (model.blocks.length === 0 || crop > 0 || flip || stochasticDepth > 0 || mixes(config)) return null
  const specs: Readonly<Record<string, ParameterSpec>> = freeze(model.parameters, frozen)
  const trained = Object.entries(model.parameters).filter(([name]) => !specs[name]!.frozen)
  // Embeddings have depth 0, block i has i + 1, what follows the blocks one more than the last.
  const block = Math.min(...trained.map(([, { depth = 0 }]) => depth)) - 1
  return trained.length > 0 && block >= 0 ? block : null
}
