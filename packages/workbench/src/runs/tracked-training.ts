import { performance } from 'node:perf_hooks'
import { type TrainOptions, train, type Weights } from '@ageb/lab'
import type { Monitor } from './monitor.js'
import type { RunEvent, RunFolder } from './run-folder.js'

export interface TrackedTraining
  extends Omit<TrainOptions, 'from' | 'onStep' | 'wantsCheckpoint' | 'onCheckpoint'> {
  readonly run: RunFolder
  readonly monitor: Monitor
  /** Names the training within its run: files and events carry it. */
  readonly phase: string
  readonly from: Weights
  /** Seconds between checkpoints. Default 30. */
  readonly checkpointSeconds?: number
}

/**
 * A training that shows its progress, logs every step and leaves checkpoints in its run, and that goes on from
 * the last checkpoint if there is one.
 */
export async function trackedTraining(options: TrackedTraining): Promise<Weights> {
  const { run, monitor, phase, checkpointSeconds = 30 } = options
  const state = await run.loadState(phase)
  if (state) await run.rewind(phase, state.step)
  let events: RunEvent[] = []
  const flush = async () => {
    const ready = events
    events = []
    if (ready.length > 0) await run.log(...ready)
  }
  let saved = performance.now()
  let bar: ReturnType<Monitor['progress']> | undefined
  try {
    return await train({
      ...options,
      from: state ?? options.from,
      onStep(event, { seconds, dataWaitSeconds }) {
        events.push({ type: 'step', phase, ...event, seconds, dataWaitSeconds })
        bar ??= monitor.progress(phase, event.steps)
        bar.update(event.step, `epoch ${event.epoch.toFixed(1)} · loss ${event.loss.toFixed(3)}`)
      },
      wantsCheckpoint: () => performance.now() - saved > checkpointSeconds * 1000,
      async onCheckpoint(now) {
        await flush()
        await run.saveState(phase, now)
        saved = performance.now()
      },
    })
  } finally {
    bar?.stop()
    await flush()
  }
}
