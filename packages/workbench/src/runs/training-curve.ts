import type { TrainingCurve } from '@ageb/lab'
import type { RunEvent } from './run-folder.js'

/** The curve of the training that logged its steps under `phase`, for charts. */
export function curveOf(phase: string, name: string, events: readonly RunEvent[]): TrainingCurve {
  const steps = events.filter(event => event.type === 'step' && event.phase === phase)
  const number = (event: RunEvent, key: string) => Number(event[key])
  const perEpoch = new Map<number, number[]>()
  for (const event of steps) {
    const epoch = Math.ceil(number(event, 'epoch'))
    perEpoch.set(epoch, [...(perEpoch.get(epoch) ?? []), number(event, 'accuracy')])
  }
  return {
    name,
    evaluatedOn: 'augmented training batches, mean over each epoch',
    steps: steps.map(event => ({
      step: number(event, 'step'),
      epoch: number(event, 'epoch'),
      loss: number(event, 'loss'),
      learningRate: number(event, 'learningRate'),
    })),
    evaluations: [...perEpoch].map(([epoch, shares]) => ({
      epoch,
      accuracy: shares.reduce((sum, share) => sum + share, 0) / shares.length,
    })),
  }
}
