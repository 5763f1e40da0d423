import { broadcast } from '../graph/shape.js'
import type { Value } from '../graph/types.js'
import { defineOp, int, type OpDefinition, required } from './define-op.js'
import { mul } from './elementwise.js'
import { swapLast } from './layout.js'
import { reshape } from './reshaping.js'

/** Matrix product over the last two axes, the leading ones broadcast. */
export function matmul(a: Value, b: Value): Value {
  return a.graph.apply('MatMul', [a, b])[0]!
}

/** op(a)·op(b) + c for matrices, where op is the transpose if asked; c broadcasts to the product. */
export function gemm(
  a: Value,
  b: Value,
  c?: Value | null,
  transpose: { a?: boolean; b?: boolean } = {},
): Value {
  const attributes = { ...(transpose.a && { transA: 1 }), ...(transpose.b && { transB: 1 }) }
  return a.graph.apply('Gemm', c ? [a, b, c] : [a, b], attributes)[0]!
}

export const matrixProducts: OpDefinition[] = [
  defineOp({
    name: 'MatMul',
    infer(inputs) {
      const [a, b] = [required(inputs, 0), required(inputs, 1)]
      if (a.shape.length < 2 || b.shape.length < 2) throw new Error('both inputs need two axes or more')
      if (a.dtype !== b.dtype) throw new Error(`types differ: ${a.dtype} and ${b.dtype}`)
      const lead = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2))
      if (!lead) throw new Error('the leading axes do not broadcast')
      const inner = a.shape.at(-1)
      if (inner !== b.shape.at(-2)) throw new Error(`inner dimensions differ: ${inner} and ${b.shape.at(-2)}`)
      return [{ dtype: a.dtype, shape: [...lead, a.shape.at(-2)!, b.shape.at(-1)!] }]
    },
    gradient: ({ inputs: [a, b], gradients: [dy], wants }) => [
      wants(0) ? matmul(dy!, swapLast(b!)) : null,
      wants(1) ? matmul(swapLast(a!), dy!) : null,
    ],
    cases: [
      {
        name: 'matrices',
        inputs: [
          [2, 3],
          [3, 4],
        ],
      },
      {
        name: 'batches',
        inputs: [
          [2, 2, 3],
          [2, 3, 4],
        ],
      },
      {
        name: 'broadcast batch',
        inputs: [
          [2, 5, 2, 3],
          [5, 3, 4],
        ],
      },
      {
        name: 'matrix against batch',
        inputs: [
          [2, 3],
          [4, 3, 2],
        ],
      },
      { name: 'one value as both inputs', inputs: [[3, 3]], build: (_, [x]) => matmul(x!, x!) },
    ],
  }),
  defineOp({
    name: 'Gemm',
    attributes: { alpha: 'float', beta: 'float', transA: 'int', transB: 'int' },
    infer(inputs, attributes) {
      const [a, b] = [required(inputs, 0), required(inputs, 1)]
      if (a.shape.length !== 2 || b.shape.length !== 2) throw new Error('both factors must be matrices')
      const [m, k] = int(attributes, 'transA', 0) ? [a.shape[1]!, a.shape[0]!] : [a.shape[0]!, a.shape[1]!]
      const [k2, n] = int(attributes, 'transB', 0) ? [b.shape[1]!, b.shape[0]!] : [b.shape[0]!, b.shape[1]!]
      if (k !== k2) throw new Error(`inner dimensions differ: ${k} and ${k2}`)
      const c = inputs[2]
      const joint = c && broadcast(c.shape, [m, n])
      if (c && (joint?.length !== 2 || joint[0] !== m || joint[1] !== n)) {
        throw new Error(`the addend [${c.shape.join(', ')}] does not broadcast to [${m}, ${n}]`)
      }
      return [{ dtype: a.dtype, shape: [m, n] }]
    },
    gradient: ({ inputs: [a, b, c], gradients: [dy], attributes, wants }) => {
      const alpha = int(attributes, 'alpha', 1)
      const beta = int(attributes, 'beta', 1)
      const [tA, tB] = [int(attributes, 'transA', 0) === 1, int(attributes, 'transB', 0) === 1]
      const scaled = alpha === 1 ? dy! : mul(dy!, alpha)
      const da = () => (tA ? gemm(b!, scaled, null, { a: tB, b: true }) : gemm(scaled, b!, null, { b: !tB }))
      const db = () => (tB ? gemm(scaled, a!, null, { a: true, b: tA }) : gemm(a!, scaled, null, { a: !tA }))
      return [wants(0) ? da() : null, wants(1) ? db() : null, c ? (beta === 1 ? dy! : mul(dy!, beta)) : null]
    },
    cases: [
      {
        name: 'plain',
        inputs: [
          [2, 3],
          [3, 4],
        ],
      },
      { name: 'with bias', inputs: [[2, 3], [3, 4], [4]] },
      {
        name: 'transA',
        inputs: [
          [3, 2],
          [3, 4],
          [2, 1],
        ],
        attributes: { transA: 1 },
      },
      { name: 'transB', inputs: [[2, 3], [4, 3], [4]], attributes: { transB: 1 } },
      {
        name: 'both transposed, scaled',
        inputs: [[3, 2], [4, 3], [1]],
        attributes: { transA: 1, transB: 1, alpha: 0.5, beta: 2 },
      },
      {
        name: 'one value as both factors',
        inputs: [[3, 3]],
        build: (_, [x]) => gemm(x!, x!, null, { b: true }),
      },
    ],
  }),
]

/** x·Wᵀ + b over the last axis; W is (out, in) as PyTorch keeps it, b (out). */
export function linear(x: Value, weight: Value, bias?: Value | null): Value {
  const rows = x.shape.slice(0, -1)
  const flat = reshape(x, [rows.reduce((n, dim) => n * dim, 1), x.shape.at(-1)!])
  return reshape(gemm(flat, weight, bias, { b: true }), [...rows, weight.shape[0]!])
}
