import {
  type Device,
  type Feeds,
  InputError,
  type Session,
  severalSteps,
  type Tensor,
  type TrainStep,
} from 'onnxgrad'
import type { Batch } from './batches.js'

/** A batch and the scalars of its step. */
export interface StepFeeds {
  readonly batch: Batch
  readonly scalars: Feeds
}

/** What a call came to. */
export interface StepResults {
  /** What each of its steps delivered. */
  readonly delivered: readonly Record<string, Tensor>[]
  /** The state that the first of them began with, if it was asked for. */
  readonly before: Record<string, Tensor> | null
}

/** How a session is called that makes training steps. */
export interface StepCalls {
  /** What the session has to be loaded with. */
  readonly model: Uint8Array
  /** Makes these steps, at most as many as a call makes. @param takeState whether the state before them is wanted */
  run(session: Session, steps: readonly StepFeeds[], takeState: boolean): Promise<StepResults>
}

/** The most steps of a call, and the most bytes of their images. */
const STEPS = 16
const BYTES = 2 ** 27

/**
 * How many steps a call is to make. The runtime copies the state of CUDA's sessions to the device and back in every call:
 * several steps share the copies. On the processor and on WebGPU the state stays where it is. CoreML and DirectML have no
 * kernel for what several steps need, a Scan.
 *
 * @param batchBytes of the images of one step
 */
export function stepsPerCall(device: Device, batchBytes: number): number {
  return device === 'cuda' ? Math.max(1, Math.min(STEPS, Math.floor(BYTES / batchBytes))) : 1
}

/**
 * Calls of up to so many steps; with 1, the model is that of the single step.
 * @throws InputError if it is no whole number from 1.
 */
export function stepCalls(step: TrainStep, perCall: number): StepCalls {
  if (!Number.isSafeInteger(perCall) || perCall < 1)
    throw new InputError(`a call cannot make ${perCall} steps: give stepsPerCall as a whole number from 1`)
  return perCall === 1 ? singly(step) : together(step)
}

function singly({ model }: TrainStep): StepCalls {
  return {
    model,
    async run(session, steps, takeState) {
      const { batch, scalars } = steps[0]!
      const { outputs, before } = await call(session, { ...batch.feeds, ...scalars }, batch.own, takeState)
      return { delivered: [outputs], before }
    },
  }
}

function together(step: TrainStep): StepCalls {
  const { model, join, divide } = severalSteps(step)
  return {
    model,
    async run(session, steps, takeState) {
      const feeds = join(steps.map(({ batch, scalars }) => ({ ...batch.feeds, ...scalars })))
      const { outputs, before } = await call(session, feeds, Object.keys(feeds), takeState)
      return { delivered: divide(outputs), before }
    },
  }
}

async function call(session: Session, feeds: Feeds, moved: readonly string[], takeState: boolean) {
  if (!takeState) return { outputs: await session.run(feeds, moved), before: null }
  const { outputs, state } = await session.runAndTakeState(feeds, moved)
  return { outputs, before: state }
}
