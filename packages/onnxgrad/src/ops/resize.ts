import type { Attributes, OpDefinition, Value } from '../graph/graph.js'
import { type Shape, sizeOf } from '../graph/tensor.js'
import { constantNumbers, defineOp, int, integers, required } from './define-op.js'
import { mul } from './elementwise.js'
import { transpose } from './layout.js'
import { matmul } from './matrix-product.js'
import { reshape } from './reshaping.js'

export interface ResizeOptions {
  /** Default 'linear'. */
  readonly mode?: 'nearest' | 'linear' | 'cubic'
  /** How the axes of input and output lie on each other. Default 'half_pixel', as PyTorch without align_corners. */
  readonly coordinates?: 'half_pixel' | 'pytorch_half_pixel' | 'align_corners' | 'asymmetric'
  /** For cubic: the slope parameter a. Default −0.75, as PyTorch; Pillow has −0.5. */
  readonly cubicCoefficient?: number
}

/** Resizes the two last axes of (N, C, H, W). */
export function resize(
  x: Value,
  size: readonly [number, number],
  { mode = 'linear', coordinates = 'half_pixel', cubicCoefficient = -0.75 }: ResizeOptions = {},
): Value {
  const sizes = x.graph.constant('int64', [4], [x.shape[0]!, x.shape[1]!, ...size])
  return x.graph.apply(Resize, [x, null, null, sizes], {
    mode,
    coordinate_transformation_mode: coordinates,
    ...(mode === 'cubic' && { cubic_coeff_a: cubicCoefficient }),
    ...(mode === 'nearest' && { nearest_mode: 'floor' }),
  })[0]!
}

/** Output shape and, for each axis, by how much it grows. */
function target(inputs: readonly (Value | null)[]): { shape: Shape; scales: number[] } {
  const x = required(inputs, 0)
  const scales = inputs[2]
  if (inputs[3] && sizeOf(inputs[3].shape) > 0) {
    const shape = integers(inputs[3])
    if (shape.length !== x.shape.length)
      throw new Error(`${shape.length} sizes do not fit ${x.shape.length} axes`)
    return { shape, scales: shape.map((dim, i) => dim / x.shape[i]!) }
  }
  if (!scales || scales.shape[0] !== x.shape.length) throw new Error('neither scales nor sizes fit the input')
  const factors = constantNumbers(scales)
  return { shape: x.shape.map((dim, i) => Math.floor(dim * factors[i]!)), scales: factors }
}

/** Where output element `o` lies on the input axis. */
function position(o: number, from: number, to: number, scale: number, mode: string): number {
  switch (mode) {
    case 'half_pixel':
      return (o + 0.5) / scale - 0.5
    case 'pytorch_half_pixel':
      return to > 1 ? (o + 0.5) / scale - 0.5 : 0
    case 'align_corners':
      return to === 1 ? 0 : (o * (from - 1)) / (to - 1)
    case 'asymmetric':
      return o / scale
    default:
      throw new Error(`coordinate_transformation_mode '${mode}' is not supported`)
  }
}

function nearest(at: number, mode: string): number {
  switch (mode) {
    case 'round_prefer_floor':
      return Math.ceil(at - 0.5)
    case 'round_prefer_ceil':
      return Math.floor(at + 0.5)
    case 'floor':
      return Math.floor(at)
    case 'ceil':
      return Math.ceil(at)
    default:
      throw new Error(`nearest_mode '${mode}' is not known`)
  }
}

/** Keys' cubic convolution kernel (1981). */
function cubic(distance: number, a: number): number {
  const d = Math.abs(distance)
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0
}

/**
 * The matrix (to × from, row-major) by which an axis is resized: resizing is linear in the input, and each axis is
 * done by itself. Elements beyond the ends are those at the ends.
 */
export function resizeMatrix(from: number, to: number, scale: number, attributes: Attributes): number[] {
  const matrix = new Array<number>(from * to).fill(0)
  const mode = (attributes.mode as string | undefined) ?? 'nearest'
  const coordinates = (attributes.coordinate_transformation_mode as string | undefined) ?? 'half_pixel'
  const put = (o: number, i: number, weight: number) => {
    matrix[o * from + Math.min(from - 1, Math.max(0, i))]! += weight
  }
  for (let o = 0; o < to; o++) {
    const at = position(o, from, to, scale, coordinates)
    const below = Math.floor(at)
    if (mode === 'nearest') {
      put(o, nearest(at, (attributes.nearest_mode as string | undefined) ?? 'round_prefer_floor'), 1)
    } else if (mode === 'linear') {
      const within = Math.min(from - 1, Math.max(0, at))
      const low = Math.floor(within)
      put(o, low, 1 - (within - low))
      put(o, low + 1, within - low)
    } else if (mode === 'cubic') {
      for (let i = below - 1; i <= below + 2; i++)
        put(o, i, cubic(at - i, int(attributes, 'cubic_coeff_a', -0.75)))
    } else throw new Error(`mode '${mode}' is not supported`)
  }
  return matrix
}

/** Multiplies axis `axis` of x by the transpose of `matrix` (rows × its length). */
function alongAxis(x: Value, axis: number, rows: number, matrix: readonly number[]): Value {
  const last = x.shape.length - 1
  const swapped = x.shape.map((_, i) => (i === axis ? last : i === last ? axis : i))
  const moved = transpose(x, swapped)
  const length = moved.shape[last]!
  const flat = reshape(moved, [sizeOf(moved.shape) / length, length])
  const product = matmul(flat, x.graph.constant(x.dtype, [length, matrix.length / length], matrix))
  return transpose(reshape(product, [...moved.shape.slice(0, -1), rows]), swapped)
}

/**
 * What Resize computes, as products with the matrices of its axes. The runtime moves a transposition in front of a cubic
 * Resize behind it, and then refuses it for the order of its axes.
 */
export function resizeByProducts(inputs: readonly (Value | null)[], attributes: Attributes): Value {
  const { shape, scales } = target(inputs)
  let x = required(inputs, 0)
  for (const [axis, to] of shape.entries()) {
    const from = x.shape[axis]!
    if (from === to) continue
    const matrix = resizeMatrix(from, to, scales[axis]!, attributes)
    const turned = Array.from({ length: from * to }, (_, i) => matrix[(i % to) * from + Math.floor(i / to)]!)
    x = alongAxis(x, axis, to, turned)
  }
  return x
}

const options = { coordinate_transformation_mode: 'half_pixel' }

export const Resize: OpDefinition = defineOp({
  name: 'Resize',
  attributes: {
    coordinate_transformation_mode: 'string',
    cubic_coeff_a: 'float',
    exclude_outside: 'int',
    extrapolation_value: 'float',
    mode: 'string',
    nearest_mode: 'string',
  },
  infer(inputs, attributes) {
    const { shape } = target(inputs)
    if (int(attributes, 'exclude_outside', 0) === 1) throw new Error('exclude_outside is not supported')
    return [{ dtype: required(inputs, 0).dtype, shape }]
  },
  gradient({ inputs, gradients: [dy], attributes }) {
    const x = inputs[0]!
    const { shape, scales } = target(inputs)
    let back = dy!
    for (const [axis, to] of shape.entries()) {
      const from = x.shape[axis]!
      if (from === to) continue
      back = alongAxis(back, axis, from, resizeMatrix(from, to, scales[axis]!, attributes))
    }
    return [back]
  },
  cases: [
    { name: 'linear, larger', inputs: [[1, 2, 3, 4]], build: (_, [x]) => resize(x!, [6, 7]) },
    { name: 'linear, smaller', inputs: [[2, 1, 5, 6]], build: (_, [x]) => resize(x!, [3, 2]) },
    {
      name: 'corners aligned',
      inputs: [[1, 1, 3, 4]],
      build: (_, [x]) => resize(x!, [5, 6], { coordinates: 'align_corners' }),
    },
    {
      name: 'cubic',
      inputs: [[1, 1, 4, 5]],
      dtype: 'float32',
      build: (_, [x]) => resize(x!, [7, 3], { mode: 'cubic' }),
    },
    {
      name: 'nearest by scales',
      inputs: [[1, 1, 3, 2]],
      build: (graph, [x]) => {
        const scales = graph.constant('float32', [4], [1, 1, 2, 3])
        const attributes = { ...options, mode: 'nearest', nearest_mode: 'round_prefer_floor' }
        return graph.apply(Resize, [x!, null, scales], attributes)[0]!
      },
    },
    {
      name: 'nearest, asymmetric',
      inputs: [[1, 2, 4, 6]],
      build: (_, [x]) => resize(x!, [2, 4], { mode: 'nearest', coordinates: 'asymmetric' }),
    },
    { name: 'fan-out', inputs: [[1, 1, 2, 2]], build: (_, [x]) => mul(resize(x!, [2, 2]), x!) },
  ],
})

export const resizings: readonly OpDefinition[] = [Resize]
