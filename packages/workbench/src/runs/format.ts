/** One line of a summary: what it is, its value, a remark. */
export type Row = readonly [label: string, value: string, note?: string]

/** `98.6 %`. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`
}

/** `95 % interval 97.9–99.1 %, n = 1000` of a share. */
export function intervalNote({ low, high, n }: { low: number; high: number; n: number }): string {
  return `95 % interval ${(100 * low).toFixed(1)}–${percent(high)}, n = ${n}`
}

/** `48 s`, `12 min 5 s`, `7 h 3 min`. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  const minutes = Math.floor(whole / 60)
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
