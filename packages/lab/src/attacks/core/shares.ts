/** The share that at most `most` of `count` are, to three digits, rounded down: for messages. */
export function largestShare(most: number, count: number): number {
  const scale = digitsOf(most / count)
  return Math.floor((most * scale) / count) / scale
}

/** The share from which on it is rounded to one of `count`, to three digits, rounded up: for messages. */
export function smallestShare(count: number): number {
  const scale = digitsOf(1 / (2 * count))
  return Math.ceil(scale / (2 * count)) / scale
}

/** The power of ten by which a share has three digits before its point. */
function digitsOf(share: number): number {
  return 10 ** (2 - Math.floor(Math.log10(share)))
}
