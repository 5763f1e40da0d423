import { WARM_UP } from '../../stages/speed.js'

/** The least number of repetitions, however short the time: the median of fewer would mean little. */
const LEAST = 5

/** Whether a part may stop after this many repetitions and seconds. */
export function isEnough(repetitions: number, elapsed: number, seconds: number): boolean {
  return repetitions >= LEAST && elapsed >= seconds
}

/** Repeats some work for a time after a warm-up, and returns how many seconds each repetition took. */
export async function timed(seconds: number, work: () => Promise<unknown>): Promise<number[]> {
  for (let i = 0; i < WARM_UP; i++) await work()
  const times: number[] = []
  const start = performance.now()
  let last = start
  while (!isEnough(times.length, (last - start) / 1000, seconds)) {
    await work()
    const now = performance.now()
    times.push((now - last) / 1000)
    last = now
  }
  return times
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}
