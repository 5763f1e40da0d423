import type { Attributes, Value } from '../graph/types.js'
import { defineOp, int, ints, type OpDefinition, required } from './define-op.js'
import { mul } from './elementwise.js'
import { concat, pad, slice, transpose } from './layout.js'
import { gemm } from './matrix-product.js'
import { reduceSum } from './reduction.js'
import { reshape } from './reshaping.js'

/** Two-dimensional convolution. x (N, C, H, W), weight (O, C / group, kH, kW), bias (O). */
export function conv2d(
  x: Value,
  weight: Value,
  bias: Value | null,
  options: { stride?: number; padding?: number } = {},
): Value {
  const { stride = 1, padding = 0 } = options
  const attributes = { strides: [stride, stride], pads: [padding, padding, padding, padding] }
  return x.graph.apply('Conv', bias ? [x, weight, bias] : [x, weight], attributes)[0]!
}

interface Window {
  strides: number[]
  pads: number[]
  dilations: number[]
  group: number
}

function window(attributes: Attributes): Window {
  if (attributes.auto_pad && attributes.auto_pad !== 'NOTSET') {
    throw new Error(`auto_pad '${attributes.auto_pad}' is not supported; give pads`)
  }
  return {
    strides: ints(attributes, 'strides') ?? [1, 1],
    pads: ints(attributes, 'pads') ?? [0, 0, 0, 0],
    dilations: ints(attributes, 'dilations') ?? [1, 1],
    group: int(attributes, 'group', 1),
  }
}

/** Length of an axis after a window of `kernel` taps slid over it. */
function slid(dim: number, kernel: number, i: number, w: Window): number {
  return (
    Math.floor((dim + w.pads[i]! + w.pads[i + 2]! - w.dilations[i]! * (kernel - 1) - 1) / w.strides[i]!) + 1
  )
}

/** Gradient at the input: the transposed convolution, padded to the input's size where the stride cut it. */
function inputGradient(x: Value, weight: Value, dy: Value, w: Window): Value {
  const output_padding = [0, 1].map(i => {
    const kernel = w.dilations[i]! * (weight.shape[i + 2]! - 1) + 1
    return x.shape[i + 2]! - ((dy.shape[i + 2]! - 1) * w.strides[i]! + kernel - w.pads[i]! - w.pads[i + 2]!)
  })
  const { strides, pads, dilations, group } = w
  return x.graph.apply('ConvTranspose', [dy, weight], { strides, pads, dilations, group, output_padding })[0]!
}

/**
 * Gradient at the weight, one matrix product a tap: the rows of the input that the tap saw against the rows of
 * dy. A convolution with batch and channels swapped gives the same, but ran at a third of the speed.
 */
function weightGradient(x: Value, weight: Value, dy: Value, w: Window): Value {
  const [outputs, , kH, kW] = weight.shape as [number, number, number, number]
  const [batch, channels] = x.shape as [number, number]
  const [oH, oW] = [dy.shape[2]!, dy.shape[3]!]
  const rows = batch * oH * oW
  const nhwc = (v: Value) => transpose(v, [0, 2, 3, 1])
  const padded = pad(nhwc(x), [0, w.pads[0]!, w.pads[1]!, 0], [0, w.pads[2]!, w.pads[3]!, 0])
  const dyRows = reshape(nhwc(dy), [rows, outputs])
  const taps: Value[] = []
  for (let i = 0; i < kH; i++) {
    for (let j = 0; j < kW; j++) {
      const starts = [i * w.dilations[0]!, j * w.dilations[1]!]
      const ends = [starts[0]! + (oH - 1) * w.strides[0]! + 1, starts[1]! + (oW - 1) * w.strides[1]! + 1]
      taps.push(reshape(slice(padded, [1, 2], starts, ends, w.strides), [rows, channels]))
    }
  }
  // (outputs, kH·kW·channels) → (outputs, channels, kH, kW)
  const joint = gemm(dyRows, concat(taps, 1), null, { a: true })
  return transpose(reshape(joint, [outputs, kH, kW, channels]), [0, 3, 1, 2])
}

export const convolutions: OpDefinition[] = [
  defineOp({
    name: 'Conv',
    attributes: {
      auto_pad: 'string',
      dilations: 'ints',
      group: 'int',
      kernel_shape: 'ints',
      pads: 'ints',
      strides: 'ints',
    },
    infer(inputs, attributes) {
      const [x, weight] = [required(inputs, 0), required(inputs, 1)]
      const w = window(attributes)
      if (x.shape.length !== 4 || weight.shape.length !== 4)
        throw new Error('only two-dimensional convolutions are supported')
      const [batch, channels, height, width] = x.shape as [number, number, number, number]
      const [outputs, perGroup, kH, kW] = weight.shape as [number, number, number, number]
      if (channels !== perGroup * w.group)
        throw new Error(`${channels} channels do not fit a kernel for ${perGroup} × ${w.group}`)
      return [{ dtype: x.dtype, shape: [batch, outputs, slid(height, kH, 0, w), slid(width, kW, 1, w)] }]
    },
    gradient({ inputs: [x, weight, bias], gradients: [dy], attributes, wants }) {
      const w = window(attributes)
      if (w.group !== 1 && wants(1))
        throw new Error('the weight gradient of a grouped convolution is not supported')
      return [
        wants(0) ? inputGradient(x!, weight!, dy!, w) : null,
        wants(1) ? weightGradient(x!, weight!, dy!, w) : null,
        bias ? reduceSum(dy!, [0, 2, 3]) : null,
      ]
    },
    cases: [
      {
        name: 'plain',
        inputs: [
          [2, 3, 5, 4],
          [2, 3, 3, 3],
        ],
      },
      {
        name: 'padded with bias',
        inputs: [[2, 2, 4, 4], [3, 2, 3, 3], [3]],
        attributes: { pads: [1, 1, 1, 1] },
      },
      {
        name: 'stride 2',
        inputs: [
          [2, 2, 6, 5],
          [3, 2, 3, 3],
        ],
        attributes: { pads: [1, 1, 1, 1], strides: [2, 2] },
      },
      {
        name: 'stride that leaves a remainder',
        inputs: [
          [1, 2, 6, 6],
          [2, 2, 3, 3],
        ],
        attributes: { strides: [2, 2] },
      },
      {
        name: 'dilated',
        inputs: [
          [1, 2, 6, 6],
          [2, 2, 3, 3],
        ],
        attributes: { dilations: [2, 2] },
      },
      {
        name: 'fan-out',
        inputs: [
          [1, 2, 4, 4],
          [2, 2, 3, 3],
        ],
        build: (_, [x, weight]) => mul(conv2d(x!, weight!, null, { padding: 1 }), x!),
      },
    ],
  }),
  defineOp({
    name: 'ConvTranspose',
    attributes: {
      auto_pad: 'string',
      dilations: 'ints',
      group: 'int',
      kernel_shape: 'ints',
      output_padding: 'ints',
      pads: 'ints',
      strides: 'ints',
    },
    infer(inputs, attributes) {
      const [x, weight] = [required(inputs, 0), required(inputs, 1)]
      const w = window(attributes)
      const extra = ints(attributes, 'output_padding') ?? [0, 0]
      const size = [0, 1].map(
        i =>
          (x.shape[i + 2]! - 1) * w.strides[i]! +
          w.dilations[i]! * (weight.shape[i + 2]! - 1) +
          1 -
          w.pads[i]! -
          w.pads[i + 2]! +
          extra[i]!,
      )
      return [{ dtype: x.dtype, shape: [x.shape[0]!, weight.shape[1]! * w.group, ...size] }]
    },
  }),
]
