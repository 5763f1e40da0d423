import pc from 'picocolors'

/** What a command found out: for programs, and for people. */
export interface Outcome {
  /** One plain object. */
  readonly data: object
  /** A few lines without a newline at the end. */
  readonly text: string
}

/** Colours, on a terminal and unless NO_COLOR is set; elsewhere functions that change nothing. */
export const colors = pc.createColors(process.stdout.isTTY === true && pc.isColorSupported)

/** Prints a command's outcome on standard output: with `json` as one line of JSON. */
export function show(outcome: Outcome, json: boolean | undefined): void {
  process.stdout.write(`${json ? JSON.stringify(outcome.data) : outcome.text}\n`)
}

/** One line of a table: what it is, its value, a remark. */
export type Row = readonly [label: string, value: string, note?: string]

/** Aligned columns, labels and remarks dimmed. */
export function table(rows: readonly Row[]): string {
  const width = (column: 0 | 1) => Math.max(0, ...rows.map(row => row[column].length))
  const [labels, values] = [width(0), width(1)]
  return rows
    .map(([label, value, note = '']) =>
      note === ''
        ? `${colors.dim(label.padEnd(labels))}  ${value}`
        : `${colors.dim(label.padEnd(labels))}  ${value.padEnd(values)}  ${colors.dim(note)}`,
    )
    .join('\n')
}

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
