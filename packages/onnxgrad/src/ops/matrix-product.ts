import type { OpDefinition, Value } from '../graph/graph.js'
import { broadcast } from '../graph/shape.js'
import { defineOp, int, required } from './define-op.js'
import { mul } from './elementwise.js'
import { swapLast } from './layout.js'
import { reduceSum } from './reduction.js'
import { reshape } from './reshaping.js'

/** Matrix product over the last two axes, the leading ones broadcast; a vector is a row on the left, a column on the right. */
export function matmul(a: Value, b: Value): Value {
  return a.graph.apply(MatMul, [a, b])[0]!
}

/** alpha·op(a)·op(b) over the last two axes, the leading ones broadcast, where op swaps the last two if asked. */
export function fusedMatMul(
  a: Value,
  b: Value,
  { transA = false, transB = false, alpha = 1 }: { transA?: boolean; transB?: boolean; alpha?: number } = {},
): Value {
  const attributes = { alpha, transA: Number(transA), transB: Number(transB) }
  return a.graph.apply(FusedMatMul, [a, b], attributes)[0]!
}

/** op(a)·op(b) + c for matrices, where op is the transpose if asked; c broadcasts to the product. */
export function gemm(
  a: Value,
  b: Value,
  c?: Value | null,
  transpose: { a?: boolean; b?: boolean } = {},
): Value {
  const attributes = { ...(transpose.a && { transA: 1 }), ...(transpose.b && { transB: 1 }) }
  return a.graph.apply(Gemm, c ? [a, b, c] : [a, b], attributes)[0]!
}

/** The type of a factor, where a vector on the left (0) is a row and one on the right (1) a column. */
function matrixOf(x: Value, side: number): Value {
  if (x.shape.length !== 1) return x
  return { ...x, shape: side === 0 ? [1, x.shape[0]!] : [x.shape[0]!, 1] }
}

/** The gradient at a vector that was a matrix in the product, summed over what it was broadcast to. */
function ofVector(gradient: Value, x: Value): Value {
  if (x.shape.length !== 1) return gradient
  const lead = gradient.shape.slice(0, -2).map((_, i) => i)
  return reshape(reduceSum(gradient, lead), x.shape)
}

/** Of the usual addend, a bias, by a product with ones: on a CPU twice as fast as ReduceSum over the rows. */
function addendGradient(dy: Value, c: Value): Value {
  const [rows, columns] = dy.shape as [number, number]
  if (rows === 1 || c.shape.length !== 1 || c.shape[0] !== columns) return dy
  return matmul(dy.graph.constant(dy.dtype, [rows], new Array(rows).fill(1)), dy)
}

function productType(inputs: readonly (Value | null)[], transA: boolean, transB: boolean) {
  const [a, b] = [required(inputs, 0), required(inputs, 1)]
  if (a.shape.length < 2 || b.shape.length < 2) throw new Error('both inputs need two axes or more')
  if (a.dtype !== b.dtype) throw new Error(`types differ: ${a.dtype} and ${b.dtype}`)
  const lead = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2))
  if (!lead) throw new Error('the leading axes do not broadcast')
  const [rows, inner] = transA ? [a.shape.at(-1)!, a.shape.at(-2)!] : [a.shape.at(-2)!, a.shape.at(-1)!]
  const [inner2, columns] = transB ? [b.shape.at(-1)!, b.shape.at(-2)!] : [b.shape.at(-2)!, b.shape.at(-1)!]
  if (inner !== inner2) throw new Error(`inner dimensions differ: ${inner} and ${inner2}`)
  return [{ dtype: a.dtype, shape: [...lead, rows, columns] }]
}

export const MatMul: OpDefinition = defineOp({
  name: 'MatMul',
  infer(inputs) {
    const [a, b] = [required(inputs, 0), required(inputs, 1)]
    if (a.shape.length === 0 || b.shape.length === 0) throw new Error('a scalar is no matrix')
    const [type] = productType([matrixOf(a, 0), matrixOf(b, 1)], false, false)
    // The axis that a vector was given is gone again in the product.
    const lost = [...(a.shape.length === 1 ? [-2] : []), ...(b.shape.length === 1 ? [-1] : [])]
    const { shape } = type!
    return [{ ...type!, shape: shape.filter((_, i) => !lost.includes(i - shape.length)) }]
  },
  gradient({ inputs: [a, b], gradients: [dy], wants }) {
    const [left, right] = [a!, b!].map((x, i) => reshape(x, matrixOf(x, i).shape)) as [Value, Value]
    const [type] = productType([left, right], false, false)
    const full = reshape(dy!, type!.shape)
    return [
      wants(0) ? ofVector(matmul(full, swapLast(right)), a!) : null,
      wants(1) ? ofVector(matmul(swapLast(left), full), b!) : null,
    ]
  },
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
    { name: 'matrix and vector', inputs: [[2, 3], [3]] },
    { name: 'vector and batch', inputs: [[3], [2, 3, 4]] },
    { name: 'two vectors', inputs: [[3], [3]] },
    { name: 'one value as both inputs', inputs: [[3, 3]], build: (_, [x]) => matmul(x!, x!) },
  ],
})

export const FusedMatMul: OpDefinition = defineOp({
  name: 'com.microsoft:FusedMatMul',
  attributes: { alpha: 'float', transA: 'int', transB: 'int', transBatchA: 'int', transBatchB: 'int' },
  infer(inputs, attributes) {
    if (int(attributes, 'transBatchA', 0) || int(attributes, 'transBatchB', 0))
      throw new Error('transBatchA and transBatchB are not supported')
    return productType(inputs, int(attributes, 'transA', 0) === 1, int(attributes, 'transB', 0) === 1)
  },
  gradient({ inputs: [a, b], gradients: [dy], attributes, wants }) {
    const alpha = int(attributes, 'alpha', 1)
    const [tA, tB] = [int(attributes, 'transA', 0) === 1, int(attributes, 'transB', 0) === 1]
    const da = () =>
      tA
        ? fusedMatMul(b!, dy!, { transA: tB, transB: true, alpha })
        : fusedMatMul(dy!, b!, { transB: !tB, alpha })
    const db = () =>
      tB
        ? fusedMatMul(dy!, a!, { transA: true, transB: tA, alpha })
        : fusedMatMul(a!, dy!, { transA: !tA, alpha })
    return [wants(0) ? da() : null, wants(1) ? db() : null]
  },
  cases: [false, true].flatMap(transA =>
    [false, true].map(transB => ({
      name: `transA ${transA}, transB ${transB}, scaled, broadcast batch`,
      inputs: [
        [2, 5, ...(transA ? [3, 2] : [2, 3])],
        [5, ...(transB ? [4, 3] : [3, 4])],
      ],
      build: (_: unknown, [a, b]: readonly Value[]) => fusedMatMul(a!, b!, { transA, transB, alpha: 0.5 }),
    })),
  ),
})

export const Gemm: OpDefinition = defineOp({
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
    const dc = () => addendGradient(beta === 1 ? dy! : mul(dy!, beta), c!)
    return [wants(0) ? da() : null, wants(1) ? db() : null, wants(2) ? dc() : null]
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
})

export const matrixProducts: readonly OpDefinition[] = [MatMul, FusedMatMul, Gemm]

/** x·Wᵀ + b over the last axis; W is (out, in) as PyTorch keeps it, b (out). */
export function linear(x: Value, weight: Value, bias?: Value | null): Value {
  const rows = x.shape.slice(0, -1)
  const flat = reshape(x, [rows.reduce((n, dim) => n * dim, 1), x.shape.at(-1)!])
  return reshape(gemm(flat, weight, bias, { b: true }), [...rows, weight.shape[0]!])
}
