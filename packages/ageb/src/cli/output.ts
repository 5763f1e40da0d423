import type { Row } from '@ageb/workbench'
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
