import { describe, expect, it } from 'vitest'
import { learningRate } from './learning-rate.js'
import { type TrainingConfig, trainingConfig } from './training-config.js'

const steps = { perEpoch: 2, total: 12 }
const configured = (changes: Partial<TrainingConfig>) =>
  trainingConfig.parse({ learningRate: 1, warmupEpochs: 1, dropEpochs: 1, dropFactor: 0.5, ...changes })
const rates = (changes: Partial<TrainingConfig>) => {
  const rate = learningRate(configured(changes), steps)
  return Array.from({ length: 12 }, (_, i) => rate.at(i))
}

describe('learningRate', () => {
  it('rises over the warm-up, then goes as the schedule says', () => {
    expect(rates({ schedule: 'constant' })).toEqual([0.5, ...Array(11).fill(1)])
    expect(rates({ schedule: 'step', floor: 0.2 })).toEqual([
      0.5, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2,
    ])
    const line = rates({ schedule: 'linear', floor: 0.5 })
    expect(line.slice(0, 4)).toEqual([0.5, 1, 1, 0.95])
    expect(line.at(-1)).toBeCloseTo(0.55, 12)
    const curve = rates({ schedule: 'cosine' })
    expect(curve).toEqual(rates({}))
    expect(curve[7]).toBeCloseTo(0.5, 12)
  })

  it('drops on a plateau of the mean loss of an epoch, also across an interruption', () => {
    const config = configured({ schedule: 'plateau' })
    // Means of epochs: 2, 1, 1.1, 1.1 (drop), 1.2, 1.3 (drop).
    const losses = [2.5, 1.5, 0.9, 1.1, 1.2, 1, 1.1, 1.1, 1.2, 1.2, 1.3, 1.3].map(Math.fround)
    const course = (interruptions: readonly number[]) => {
      let rate = learningRate(config, steps)
      return losses.map((loss, i) => {
        if (interruptions.includes(i)) rate = learningRate(config, steps, rate.tensors())
        const now = rate.at(i)
        rate.observe(i, loss)
        return { now, after: rate.tensors() }
      })
    }
    const whole = course([])
    expect(whole.map(({ now }) => now)).toEqual([0.5, 1, 1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5])
    expect(whole.at(-1)!.after['schedule.plateau']!.data[0]).toBe(2)
    expect(course([1, 4, 7, 8])).toEqual(whole)
    expect(() => learningRate(config, steps, {})).toThrow(
      "the saved state has no 'schedule.plateau': it was saved with another schedule; resume with that schedule",
    )
  })
})
