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
