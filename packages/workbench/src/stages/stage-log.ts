import type { StageTime } from '@ageb/lab'
import type { Monitor } from '../runs/monitor.js'
import { runStage } from '../store/run-stage.js'
import type { Stage } from '../store/stage.js'
import type { Store } from '../store/store.js'

export interface StageLogOptions {
  readonly store: Store
  readonly monitor: Monitor
  readonly signal?: AbortSignal | undefined
  /** Is told of every stage as soon as its output is available. */
  readonly onStage?: (time: StageTime) => Promise<void>
}

/** Runs the stages of one run, and notes how long each took and whether its output was stored already. */
export class StageLog {
  readonly times: StageTime[] = []
  readonly #options: StageLogOptions
  constructor(options: StageLogOptions) {
    this.#options = options
  }

  /**
   * The output of a stage, and the key that it is stored under.
   * @param name what the stage is in this run: `clean-twin`
   */
  async run<I, O>(name: string, stage: Stage<I, O>, input: I): Promise<{ output: O; key: string }> {
    const { output, key, reused, seconds, machine } = await runStage(stage, input, this.#options)
    const time = { stage: name, key, reused, seconds, machine }
    this.times.push(time)
    await this.#options.onStage?.(time)
    return { output, key }
  }

  /** The names of the stages all of whose outputs were stored already, each name once. */
  get reused(): string[] {
    const names = [...new Set(this.times.map(({ stage }) => stage))]
    return names.filter(name => this.times.every(({ stage, reused }) => stage !== name || reused))
  }
}
