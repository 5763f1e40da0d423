/** What a person who watches is told during the work. A program that does not need this passes `silent`. */
export interface Monitor {
  /** Something worth knowing that stops nothing, in one line. */
  say(text: string): void
  /** A piece of work of `total` units begins. */
  progress(label: string, total: number): ProgressBar
}

export interface ProgressBar {
  /** @param done units done so far. */
  update(done: number, note?: string): void
  stop(): void
}

/** Reports nothing. */
export const silent: Monitor = {
  say() {},
  progress: () => ({ update() {}, stop() {} }),
}

/** How a program watches work that takes a while, and stops it. */
export interface WatchOptions {
  /** Told what is worth knowing, and how far the work is. Default: `silent`. */
  readonly monitor?: Monitor | undefined
  /** Stops the work, which then throws the signal's reason. */
  readonly signal?: AbortSignal | undefined
}
