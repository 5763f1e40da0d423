import type { Mean, Rate } from '@ageb/lab'

/** Numbers as the report writes them: no line breaks inside a number or before its unit. */
const SPACE = '\u00a0'

/** `10 000`. */
export function count(n: number): string {
  return n.toLocaleString('en-US').replaceAll(',', SPACE)
}

/** `99.85 %`; two decimals only where n is large enough to carry them. */
export function percent(value: number, n = 1000): string {
  return Number.isFinite(value) ? `${percentDigits(value, n)}${SPACE}%` : '–'
}

/** `98.4–98.9 %`. */
export function rateInterval(rate: Rate): string {
  if (!(rate.n > 0)) return 'no interval'
  return `${percentDigits(rate.low, rate.n)}–${percentDigits(rate.high, rate.n)}${SPACE}%`
}

/** `98.6 % (98.4–98.9 %, n = 10 000)`: value, 95 % interval, images. */
export function rateInFull(rate: Rate): string {
  return `${percent(rate.value, rate.n)} (${rateInterval(rate)}, ${sampleSize(rate.n)})`
}

/** A number with a fixed number of decimals; `∞` and `–` for what has none. */
export function decimal(value: number, digits: number): string {
  if (Number.isNaN(value)) return '–'
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞'
  return value.toFixed(digits).replace('-', '−')
}

/** `38.1–38.4 dB`. */
export function meanInterval(mean: Mean, digits: number, unit = ''): string {
  return `${decimal(mean.low, digits)}–${decimal(mean.high, digits)}${suffix(unit)}`
}

/** `38.2 dB (38.1–38.4 dB, n = 500)`: value, 95 % interval, images. */
export function meanInFull(mean: Mean, digits: number, unit = ''): string {
  const value = `${decimal(mean.value, digits)}${suffix(unit)}`
  return `${value} (${meanInterval(mean, digits, unit)}, ${sampleSize(mean.n)})`
}

/** A unit after a number, nothing for no unit. */
export function suffix(unit: string): string {
  return unit && `${SPACE}${unit}`
}

/** `n = 10 000`. */
export function sampleSize(n: number): string {
  return `n${SPACE}=${SPACE}${count(n)}`
}

/** A difference of two shares in percentage points, signed: `−0.4`. */
export function points(difference: number): string {
  const text = (100 * difference).toFixed(1)
  if (Number(text) === 0) return '0.0'
  return difference > 0 ? `+${text}` : text.replace('-', '−')
}

/** `22 November 2026, 14:05 UTC`, or the text itself where it is no date. */
export function dateTime(iso: string): string {
  const date = new Date(iso)
  if (Number.isNaN(date.getTime())) return iso
  const day = date.toLocaleDateString('en-GB', {
    day: 'numeric',
    month: 'long',
    year: 'numeric',
    timeZone: 'UTC',
  })
  return `${day}, ${date.toISOString().slice(11, 16)} UTC`
}

/** `1 h 12 min`, `48 s`; empty where either end is no date. */
export function duration(from: string, to: string): string {
  const seconds = Math.round((new Date(to).getTime() - new Date(from).getTime()) / 1000)
  if (!(seconds >= 0)) return ''
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

function percentDigits(value: number, n: number): string {
  return (100 * value).toFixed(n >= 2000 ? 2 : 1)
}
