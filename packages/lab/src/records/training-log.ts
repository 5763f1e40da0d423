import { InputError } from 'onnxgrad'
import { decodeTable, encodeTable } from './table.js'
import type { TrainingCurve } from './training-curve.js'

/** The steps of one training, in order; what the configuration decides, so no times. */
export interface TrainingLog {
  /** Steps done, from 1. */
  readonly step: Int32Array
  /** Epochs done, a fraction. */
  readonly epoch: Float32Array
  readonly loss: Float32Array
  /** Share of the (augmented) batch that was classified correctly. */
  readonly accuracy: Float32Array
  readonly learningRate: Float32Array
  /** Norm of all gradients before clipping. */
  readonly gradientNorm: Float32Array
}

const columns = {
  step: 'int',
  epoch: 'float',
  loss: 'float',
  accuracy: 'float',
  learningRate: 'float',
  gradientNorm: 'float',
} as const

/** A training's log as a Parquet table, one row a step. */
export function encodeTrainingLog(log: TrainingLog): Uint8Array {
  return encodeTable({ ...log })
}

/**
 * Reads what `encodeTrainingLog` wrote.
 * @throws InputError naming the file if it is damaged, or a step is missing or duplicated
 */
export async function decodeTrainingLog(bytes: Uint8Array, where: string): Promise<TrainingLog> {
  const log = await decodeTable(bytes, columns, where)
  const row = log.step.findIndex((step, i) => step !== i + 1)
  if (row >= 0)
    throw new InputError(
      `${where}, row ${row}: it is step ${log.step[row]} where step ${row + 1} is expected: restore it from a copy`,
    )
  const odd = log.epoch.findIndex(epoch => !Number.isFinite(epoch))
  if (odd >= 0)
    throw new InputError(`${where}, row ${odd}: 'epoch' is ${log.epoch[odd]}: restore it from a copy`)
  return log
}

/** One step, as `train` reports it. */
export type LoggedStep = { readonly [key in keyof TrainingLog]: number }

/** The log of steps that came one after another. */
export function trainingLogOf(steps: readonly LoggedStep[]): TrainingLog {
  const floats = (key: keyof LoggedStep) => Float32Array.from(steps, step => step[key])
  return {
    step: Int32Array.from(steps, ({ step }) => step),
    epoch: floats('epoch'),
    loss: floats('loss'),
    accuracy: floats('accuracy'),
    learningRate: floats('learningRate'),
    gradientNorm: floats('gradientNorm'),
  }
}

/** The curve of a training, for charts; accuracies are means over each epoch. */
export function curveOf(name: string, log: TrainingLog): TrainingCurve {
  const perEpoch = new Map<number, { sum: number; n: number }>()
  log.epoch.forEach((epoch, i) => {
    const { sum, n } = perEpoch.get(Math.ceil(epoch)) ?? { sum: 0, n: 0 }
    perEpoch.set(Math.ceil(epoch), { sum: sum + log.accuracy[i]!, n: n + 1 })
  })
  return {
    name,
    evaluatedOn: 'augmented training batches, mean over each epoch',
    steps: Array.from(log.step, (step, i) => ({
      step,
      epoch: log.epoch[i]!,
      loss: log.loss[i]!,
      learningRate: log.learningRate[i]!,
    })),
    evaluations: [...perEpoch].map(([epoch, { sum, n }]) => ({ epoch, accuracy: sum / n })),
  }
}
