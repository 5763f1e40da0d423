import type { Shape } from './tensor.js'

/** The shape two operands broadcast to (numpy rules), or null where they do not. */
export function broadcast(a: Shape, b: Shape): Shape | null {
  const rank = Math.max(a.length, b.length)
  const out: number[] = []
  for (let i = 0; i < rank; i++) {
    const x = a[i - rank + a.length] ?? 1
    const y = b[i - rank + b.length] ?? 1
    if (x !== y && x !== 1 && y !== 1) return null
    out.push(x === 1 ? y : x)
  }
  return out
}

/** An axis in [0, rank) from one in [−rank, rank). Throws RangeError otherwise. */
export function axisOf(axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new RangeError(`axis ${axis} is outside a tensor of rank ${rank}`)
  }
  return axis < 0 ? axis + rank : axis
}

/** Axes in [0, rank), ascending and without repetition. */
export function axesOf(axes: readonly number[], rank: number): number[] {
  return [...new Set(axes.map(axis => axisOf(axis, rank)))].sort((a, b) => a - b)
}

/** The axes of `to` along which a tensor of shape `from` was repeated when it was broadcast to `to`. */
export function broadcastAxes(from: Shape, to: Shape): number[] {
  const lead = to.length - from.length
  return to.flatMap((dim, i) => (i < lead || (from[i - lead] === 1 && dim !== 1) ? [i] : []))
}
