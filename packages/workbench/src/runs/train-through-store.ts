import { frozenPrefix } from '@ageb/lab'
import { prefixStage } from '../stages/prefix-stage.js'
import type { TrainingInput } from '../stages/resumable-training.js'
import type { StageLog } from '../stages/stage-log.js'
import { trainingStage } from '../stages/training-stage.js'

/**
 * Trains, through the store. Where the leading blocks of the model are frozen and the images are not augmented, what these
 * blocks compute is a stage of its own, and the training starts behind them.
 *
 * @param name what the training is in its run: `clean-twin`
 */
export async function trainThroughStore(
  stages: StageLog,
  name: string,
  input: Omit<TrainingInput, 'prefix'>,
) {
  const { engine, model, weights, digest, data, config } = input
  const block = frozenPrefix(model, config)
  if (block === null) return stages.run(name, trainingStage, input)
  const blocks = { engine, model, weights, digest, images: data, block }
  const { output: hidden } = await stages.run('frozen-blocks', prefixStage, blocks)
  return stages.run(name, trainingStage, { ...input, prefix: { block, hidden } })
}
