import { imageSize, type Model, type TrainingConfig, trainingStep } from '@ageb/lab'
import { bytesOf, peakOfValues } from 'onnxgrad'
import { residentBytes } from '../data/split-source.js'
import { residentRecordBytes } from '../stages/record-file.js'
import type { Workload } from './workload.js'

const MiB = 2 ** 20
// Measured on Linux over nine trainings that took from 150 MB to 4.4 GB: the plan is within an eighth of all of them.
/** Node and the runtime's library. */
const PROGRAM = 150 * MiB
/** Memory of the runtime and of this program for every node. */
const PER_NODE = 12 * 1024
/** Memory relative to the values themselves: the runtime's allocator keeps blocks that later values do not fit into. */
const FRAGMENTATION = 1.2

export interface MemoryPlan {
  /** Images that are held: small splits, and of a backdoor its poison and the triggered test images, if they are few. */
  readonly data: number
  /** A training step with everything that is kept between two steps, and the program itself. */
  readonly step: number
  /** The state to resume from, while it is being written. */
  readonly checkpoint: number
}

/** Bytes in memory at the peak. */
export function memoryOf({ data, model, triggers }: Workload, config: TrainingConfig): MemoryPlan {
  const size = { height: model.imageSize, width: model.imageSize }
  const { bytes, state } = stepMemory(model, config)
  return {
    data:
      residentBytes(data.train, size) +
      residentBytes(data.test, size) +
      residentRecordBytes(triggers.poison, imageSize(size)) +
      residentRecordBytes(triggers.test, imageSize(size)),
    step: bytes,
    checkpoint: state,
  }
}

/**
 * Bytes of a training step, the program itself included, and of its state (weights and the optimizer's state).
 * Beside the values of a step there are the first weights, and the state as it came in and as it comes out.
 */
function stepMemory(model: Model, config: TrainingConfig): { bytes: number; state: number } {
  const step = trainingStep(model, config, { height: model.imageSize, width: model.imageSize })
  const sum = (isCounted: (name: string) => boolean) =>
    step.graph.inputs.reduce((bytes, input) => bytes + (isCounted(input.name) ? bytesOf(input) : 0), 0)
  const state = sum(name => name in step.state)
  const weights = sum(name => name in model.parameters)
  const program = PROGRAM + PER_NODE * step.graph.nodes.length
  return { bytes: program + weights + 2 * state + FRAGMENTATION * peakOfValues(step.graph), state }
}

/** More parts are not tried if they save less than this share of the memory: the rest is weights. */
const WORTHWHILE = 0.01

/** The fewest micro-batches with which a step fits into some bytes; undefined if none does. */
export function microBatchesFor(model: Model, config: TrainingConfig, bytes: number): number | undefined {
  let before = Number.POSITIVE_INFINITY
  for (let parts = 1; parts <= config.batchSize; parts++) {
    if (config.batchSize % parts !== 0) continue
    const step = stepMemory(model, { ...config, microBatches: parts })
    const needed = step.bytes + step.state
    if (needed <= bytes) return parts
    if (needed > before * (1 - WORTHWHILE)) return undefined
    before = needed
  }
  return undefined
}
