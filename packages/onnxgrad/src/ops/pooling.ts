import type { Attributes, OpDefinition, Value } from '../graph/graph.js'
import { sizeOf } from '../graph/tensor.js'
import { ConvTranspose } from './convolution.js'
import { defineOp, int, ints, required } from './define-op.js'
import { mul } from './elementwise.js'
import { expand, pad, slice } from './layout.js'
import { scatterByIndices } from './max-pool-gradient.js'
import { reduceMean } from './reduction.js'
import { slid, type Window, windowOf } from './window.js'

interface PoolOptions {
  kernel: number
  /** Default: the kernel. */
  stride?: number
  padding?: number
}

/** Mean over height and width: (N, C, H, W) to (N, C, 1, 1). */
export function globalAveragePool(x: Value): Value {
  return x.graph.apply(GlobalAveragePool, [x])[0]!
}

function poolingWindow(inputs: readonly (Value | null)[], attributes: Attributes): Window {
  const x = required(inputs, 0)
  if (x.shape.length !== 4) throw new Error('only two-dimensional pooling is supported')
  const kernel = ints(attributes, 'kernel_shape')
  if (!kernel) throw new Error("the attribute 'kernel_shape' is missing")
  return windowOf(attributes, x.shape.slice(2), kernel)
}

function pooledShape(inputs: readonly (Value | null)[], attributes: Attributes): number[] {
  const x = required(inputs, 0)
  const size = slid(
    x.shape.slice(2),
    poolingWindow(inputs, attributes),
    int(attributes, 'ceil_mode', 0) === 1,
  )
  return [x.shape[0]!, x.shape[1]!, ...size]
}

/** 1 over the number of elements that each window's mean is taken of, (1, 1, oH, oW). */
function shares(x: Value, y: Value, w: Window, includePad: boolean): Value {
  const counts = [0, 1].map(i => {
    const [from, to] = includePad ? [-w.pads[i]!, x.shape[i + 2]! + w.pads[i + 2]!] : [0, x.shape[i + 2]!]
    return Array.from({ length: y.shape[i + 2]! }, (_, o) => {
      const taps = Array.from(
        { length: w.kernel[i]! },
        (_, k) => o * w.strides[i]! - w.pads[i]! + k * w.dilations[i]!,
      )
      return taps.filter(at => at >= from && at < to).length
    })
  })
  const all = counts[0]!.flatMap(rows => counts[1]!.map(columns => 1 / (rows * columns)))
  return x.graph.constant(x.dtype, [1, 1, y.shape[2]!, y.shape[3]!], all)
}

/** Every element of dy added to all that its window covers: a transposed depthwise convolution with ones. */
function spread(x: Value, dy: Value, w: Window): Value {
  const channels = x.shape[1]!
  const ones = x.graph.constant(
    x.dtype,
    [channels, 1, ...w.kernel],
    new Array(channels * sizeOf(w.kernel)).fill(1),
  )
  const { strides, dilations } = w
  const whole = x.graph.apply(ConvTranspose, [dy, ones], { strides, dilations, group: channels })[0]!
  // The windows may end before the padded input does, or, with ceil_mode, behind it.
  const missing = [0, 1].map(i => Math.max(0, w.pads[i]! + x.shape[i + 2]! - whole.shape[i + 2]!))
  const long = pad(whole, [0, 0, 0, 0], [0, 0, ...missing])
  const [top, left] = [w.pads[0]!, w.pads[1]!]
  return slice(long, [2, 3], [top, left], [top + x.shape[2]!, left + x.shape[3]!])
}

const poolAttributes = {
  auto_pad: 'string',
  ceil_mode: 'int',
  dilations: 'ints',
  kernel_shape: 'ints',
  pads: 'ints',
  strides: 'ints',
} as const

export const AveragePool: OpDefinition = defineOp({
  name: 'AveragePool',
  attributes: { ...poolAttributes, count_include_pad: 'int' },
  infer: (inputs, attributes) => [
    { dtype: required(inputs, 0).dtype, shape: pooledShape(inputs, attributes) },
  ],
  gradient({ inputs: [x], outputs: [y], gradients: [dy], attributes }) {
    const w = poolingWindow([x!], attributes)
    const included = int(attributes, 'count_include_pad', 0) === 1
    return [spread(x!, mul(dy!, shares(x!, y!, w, included)), w)]
  },
  cases: [
    { name: 'plain', inputs: [[2, 3, 4, 6]], attributes: { kernel_shape: [2, 3], strides: [2, 3] } },
    {
      name: 'overlapping, padded',
      inputs: [[1, 2, 5, 6]],
      attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
    },
    {
      name: 'padding counts',
      inputs: [[1, 2, 5, 4]],
      attributes: { kernel_shape: [3, 2], pads: [1, 1, 0, 1], count_include_pad: 1 },
    },
    {
      name: 'last window beyond the end',
      inputs: [[1, 2, 6, 5]],
      attributes: { kernel_shape: [3, 2], strides: [2, 2], ceil_mode: 1 },
    },
    {
      name: 'what the stride leaves over',
      inputs: [[1, 1, 6, 7]],
      attributes: { kernel_shape: [2, 2], strides: [3, 4] },
    },
    {
      name: 'SAME_UPPER',
      inputs: [[1, 1, 5, 5]],
      attributes: { kernel_shape: [2, 2], auto_pad: 'SAME_UPPER' },
    },
  ],
})

export const MaxPool: OpDefinition = defineOp({
  name: 'MaxPool',
  attributes: { ...poolAttributes, storage_order: 'int' },
  requiredOutputs: 1,
  infer(inputs, attributes) {
    const shape = pooledShape(inputs, attributes)
    return [
      { dtype: required(inputs, 0).dtype, shape },
      { dtype: 'int64', shape },
    ]
  },
  gradient({ inputs: [x], outputs: [, indices], gradients: [dy], attributes }) {
    if (int(attributes, 'storage_order', 0) !== 0) throw new Error('storage_order 1 is not supported')
    return [scatterByIndices(x!, indices!, dy!)]
  },
  cases: [
    {
      name: 'plain',
      inputs: [[1, 2, 2, 4]],
      distinct: true,
      attributes: { kernel_shape: [2, 2], strides: [2, 2] },
    },
    {
      name: 'overlapping, padded',
      inputs: [[1, 1, 4, 5]],
      distinct: true,
      attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
    },
    {
      name: 'two images, dilated',
      inputs: [[2, 1, 3, 3]],
      distinct: true,
      attributes: { kernel_shape: [2, 2], dilations: [2, 2] },
    },
    {
      name: 'last window beyond the end',
      inputs: [[1, 1, 4, 4]],
      distinct: true,
      attributes: { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 },
    },
    {
      name: 'fan-out',
      inputs: [[1, 1, 3, 4]],
      distinct: true,
      build: (_, [x]) => mul(maxPool2d(x!, { kernel: 3, stride: 1, padding: 1 }), x!),
    },
  ],
})

export const GlobalAveragePool: OpDefinition = defineOp({
  name: 'GlobalAveragePool',
  infer(inputs) {
    const x = required(inputs, 0)
    if (x.shape.length < 3) throw new Error('there are no axes to average over')
    return [{ dtype: x.dtype, shape: x.shape.map((dim, i) => (i < 2 ? dim : 1)) }]
  },
  gradient: ({ inputs: [x], gradients: [dy] }) => [mul(expand(dy!, x!.shape), 1 / sizeOf(x!.shape.slice(2)))],
  cases: [
    { name: 'images', inputs: [[2, 3, 2, 4]] },
    {
      name: 'the mean of the mean',
      inputs: [[2, 2, 3]],
      build: (_, [x]) => mul(globalAveragePool(x!), x!),
    },
    {
      name: 'agrees with ReduceMean',
      inputs: [[1, 2, 3, 3]],
      build: (_, [x]) => mul(globalAveragePool(x!), reduceMean(x!, [2, 3], { keep: true })),
    },
  ],
})

const pool =
  (definition: OpDefinition) =>
  (x: Value, { kernel, stride = kernel, padding = 0 }: PoolOptions): Value =>
    x.graph.apply(definition, [x], {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [padding, padding, padding, padding],
    })[0]!

/** Largest value of every window of (N, C, H, W). */
export const maxPool2d = pool(MaxPool)
/** Mean of every window of (N, C, H, W); padding does not count. */
export const avgPool2d = pool(AveragePool)

export const poolings: readonly OpDefinition[] = [AveragePool, MaxPool, GlobalAveragePool]
