import {
  cosine,
  dropped,
  InputError,
  linearDecay,
  noPlateau,
  observePlateau,
  type Plateau,
  type Schedule,
  stepDecay,
  type Tensor,
  warmup,
} from 'onnxgrad'
import type { TrainingConfig } from './training-config.js'

/** The learning rate of a training, which may depend on how the training goes. */
export interface LearningRate {
  /** Of step i, from 0; of the next step only if it depends on the losses so far. */
  at(i: number): number
  /** Takes note of the loss (float32) of step i. */
  observe(i: number, loss: number): void
  /** What has to be saved with the training's state to resume it. */
  tensors(): Record<string, Tensor>
}

const PLATEAU = 'schedule.plateau'

/**
 * The schedule that a configuration names.
 * @param from the tensors of the state that is resumed.
 * @throws InputError if that state was saved with another schedule.
 */
export function learningRate(
  config: TrainingConfig,
  { perEpoch, total }: { perEpoch: number; total: number },
  from?: Readonly<Record<string, Tensor>>,
): LearningRate {
  const rise = Math.min(total, Math.round(config.warmupEpochs * perEpoch))
  if (config.schedule === 'plateau') return onPlateau(config, perEpoch, rise, from)
  return {
    at: warmup(config.learningRate, rise, decay(config.schedule, config, perEpoch, total - rise)),
    observe() {},
    tensors: () => ({}),
  }
}

function decay(
  name: Exclude<TrainingConfig['schedule'], 'plateau'>,
  { learningRate: peak, floor, dropEpochs, dropFactor }: TrainingConfig,
  perEpoch: number,
  steps: number,
): Schedule {
  switch (name) {
    case 'cosine':
      return cosine({ peak, steps, floor })
    case 'linear':
      return linearDecay({ peak, steps, floor })
    case 'step':
      return stepDecay({ peak, floor, factor: dropFactor, every: dropEpochs * perEpoch })
    case 'constant':
      return () => peak
  }
}

/** Drops when the mean training loss of an epoch has not fallen for some time. */
function onPlateau(
  { learningRate: peak, floor, dropEpochs: patience, dropFactor: factor }: TrainingConfig,
  perEpoch: number,
  rise: number,
  from: Readonly<Record<string, Tensor>> | undefined,
): LearningRate {
  if (from && !from[PLATEAU])
    throw new InputError(
      `the saved state has no '${PLATEAU}': it was saved with another schedule; resume with that schedule`,
    )
  const [drops, best, bad, running] = Array.from(from?.[PLATEAU]?.data ?? [], Number)
  let plateau: Plateau = from ? { drops: drops!, best: best!, bad: bad! } : noPlateau
  let sum = running ?? 0
  return {
    at: i => warmup(peak, rise, () => dropped(plateau.drops, { peak, factor, floor }))(i),
    observe(i, loss) {
      // Single precision throughout, so that a saved state is this state to the last bit.
      sum = Math.fround(sum + loss)
      if ((i + 1) % perEpoch !== 0) return
      plateau = observePlateau(plateau, Math.fround(sum / perEpoch), { patience })
      sum = 0
    },
    tensors: () => ({
      [PLATEAU]: {
        dtype: 'float32',
        shape: [4],
        data: Float32Array.of(plateau.drops, plateau.best, plateau.bad, sum),
      },
    }),
  }
}
