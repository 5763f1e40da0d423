import type { Value } from '../graph/graph.js'
import type { Shape } from '../graph/tensor.js'
import { erf, gelu, sigmoid, tanh } from '../ops/activation.js'
import { einsum } from '../ops/einsum.js'
import { add, cos, div, exp, identity, log, mul, neg, pow, sin, sqrt, sub } from '../ops/elementwise.js'
import { gather, gatherElements, gatherND, scatterElements } from '../ops/indexing.js'
import { concat, expand, pad, slice, split, transpose } from '../ops/layout.js'
import { gemm, matmul } from '../ops/matrix-product.js'
import { logSoftmax, softmax } from '../ops/normalization.js'
import { cumSum, reduceL2, reduceLogSumExp, reduceMean, reduceSum } from '../ops/reduction.js'
import { flatten, reshape, squeeze, unsqueeze } from '../ops/reshaping.js'
import { trilu } from '../ops/selection.js'
import { tile } from '../ops/tile.js'
import { where } from '../ops/where.js'

/** Every value of a random graph broadcasts to this shape; its matrices are square, so that products keep it. */
export const base: Shape = [2, 3, 3]
/** Shapes that an input may have. */
export const inputShapes: readonly Shape[] = [base, [3], [3, 1], [2, 1, 3], [1, 3, 3], [2, 3, 1], []]

/** Natural numbers from which a graph is made; all are taken modulo what there is to choose from. */
export interface Recipe {
  /** Places in `inputShapes`. */
  readonly inputs: readonly number[]
  readonly steps: readonly Step[]
}
export interface Step {
  readonly operator: number
  readonly operands: readonly [number, number]
  readonly axis: number
}

/** A value with a bound of its magnitude, so that a chain of products and powers stays within reach. */
interface Bounded {
  readonly value: Value
  readonly bound: number
}

interface Choice {
  /** What the operands are made into: their own shape, the base shape, or positive numbers of their own shape. */
  readonly operands: readonly ('any' | 'full' | 'positive')[]
  readonly build: (operands: readonly Value[], axis: number) => Value
  /** Bound of the result from those of the operands. */
  readonly bound: (a: number, b: number) => number
  /** The runtime has no kernel for float64. */
  readonly single?: true
}

const limit = 4
const [least, most] = [0.5, 2.5]
const same = (a: number) => a
const one = () => 1

const unary = (
  build: (x: Value) => Value,
  bound: Choice['bound'],
  operand: 'any' | 'positive' = 'any',
): Choice => ({
  operands: [operand],
  build: ([x]) => build(x!),
  bound,
})
const binary = (build: (a: Value, b: Value) => Value, bound: Choice['bound']): Choice => ({
  operands: ['any', 'any'],
  build: ([a, b]) => build(a!, b!),
  bound,
})
const full = (build: (x: Value, axis: number) => Value, bound: Choice['bound'] = same): Choice => ({
  operands: ['full'],
  build: ([x], axis) => build(x!, axis),
  bound,
})
const fullPair = (build: (a: Value, b: Value) => Value, bound: Choice['bound']): Choice => ({
  operands: ['full', 'full'],
  build: ([a, b]) => build(a!, b!),
  bound,
})
const reduction = (
  build: typeof reduceSum,
  bound: Choice['bound'],
  operand: 'full' | 'positive' = 'full',
) => ({
  operands: [operand],
  build: ([x]: readonly Value[], axis: number) => build(expand(x!, base), [axis], { keep: true }),
  bound,
})
const indices = (x: Value, shape: Shape, values: readonly number[]) =>
  x.graph.constant('int64', shape, values)

/**
 * Smooth operators, each as something that gives a shape which broadcasts to the base. Operators with kinks are
 * left out: central differences across a kink would fail by bad luck.
 */
const choices: Record<string, Choice> = {
  Add: binary(add, (a, b) => a + b),
  Sub: binary(sub, (a, b) => a + b),
  Mul: binary(mul, (a, b) => a * b),
  Div: { operands: ['any', 'positive'], build: ([a, b]) => div(a!, b!), bound: a => a / least },
  Pow: {
    operands: ['positive', 'any'],
    build: ([a, b]) => pow(a!, b!),
    bound: (_, b) => most ** b,
  },
  Where: {
    operands: ['any', 'any'],
    build: ([a, b]) => where(a!.graph.constant('bool', [3], [1, 0, 1]), a!, b!),
    bound: Math.max,
  },
  Neg: unary(neg, same),
  Identity: unary(identity, same),
  Exp: unary(exp, Math.exp),
  Log: unary(log, one, 'positive'),
  Sqrt: unary(sqrt, () => Math.sqrt(most), 'positive'),
  Sin: unary(sin, one),
  Cos: unary(cos, one),
  Tanh: unary(tanh, one),
  Sigmoid: unary(sigmoid, one),
  Erf: { ...unary(erf, one), single: true },
  Gelu: { ...unary(gelu, same), single: true },
  Softmax: full(softmax, one),
  LogSoftmax: full(logSoftmax, a => 2 * a + Math.log(3)),
  ReduceSum: reduction(reduceSum, a => 3 * a),
  ReduceMean: reduction(reduceMean, same),
  ReduceLogSumExp: reduction(reduceLogSumExp, a => a + Math.log(3)),
  ReduceL2: reduction(reduceL2, () => most * Math.sqrt(3), 'positive'),
  CumSum: full(cumSum, a => 3 * a),
  MatMul: fullPair(matmul, (a, b) => 3 * a * b),
  Einsum: fullPair(
    (a, b) => einsum('bij,bkj->bik', a, b),
    (a, b) => 3 * a * b,
  ),
  Gemm: fullPair(
    (a, b) => expand(gemm(reshape(a, [3, 6]), reshape(b, [3, 6]), null, { b: true }), base),
    (a, b) => 6 * a * b,
  ),
  Reshape: full(x => reshape(reshape(x, [9, 2]), base)),
  Flatten: full(x => reshape(flatten(x, 2), base)),
  Squeeze: full(x => squeeze(unsqueeze(x, [1]), [1])),
  Transpose: full(x => transpose(x, [0, 2, 1])),
  Concat: fullPair((a, b) => slice(concat([a, b], 1), [1], [-1], [-7], [-2]), Math.max),
  // The middle part is left out: its gradient is none, and must become zeros.
  Split: full((x, axis) => {
    const parts = split(x, axis === 0 ? [1, 0, 1] : 3, axis)
    return concat(axis === 0 ? [parts[2]!, parts[0]!] : [parts[2]!, parts[0]!, parts[2]!], axis)
  }),
  Slice: full(x => slice(x, [1, 2], [-1, 2], [-9, 3], [-1, 1])),
  Tile: full(x => tile(slice(x, [1, 2], [-1, 1], [-9, 2], [-1, 1]), [1, 1, 3])),
  Pad: full(x => pad(x, [0, 1, 0], [0, -1, 0])),
  Trilu: full((x, axis) => trilu(x, { upper: axis === 0, k: axis - 1 })),
  Gather: full((x, axis) => gather(x, axis === 0 ? [1, 1] : [2, 0, 2], axis)),
  GatherElements: full(x => gatherElements(x, indices(x, [1, 3, 3], [2, 0, 1, 0, 0, -1, 2, 2, 2]), 1)),
  GatherND: full(x => gatherND(x, indices(x, [2, 3, 2], [1, 0, 1, 2, 0, 0, 0, 1, 1, 0, 0, -1]))),
  ScatterElements: fullPair(
    (a, b) =>
      scatterElements(a, indices(a, [2, 3, 1], [2, 0, 1, 0, 0, -1]), slice(b, [2], [0], [1]), 2, 'add'),
    (a, b) => a + 3 * b,
  ),
}

/** The operators that random graphs are made of: all, or those that the runtime has in double precision. */
export function operatorsFor(dtype: 'float32' | 'float64'): readonly string[] {
  return Object.keys(choices).filter(name => dtype === 'float32' || !choices[name]!.single)
}

/** The shapes of a recipe's inputs. */
export function shapesOf(recipe: Recipe): Shape[] {
  return recipe.inputs.map(i => inputShapes[i % inputShapes.length]!)
}

/** The operators that a recipe applies. */
export function operatorsOf(recipe: Recipe, operators: readonly string[]): string[] {
  return recipe.steps.map(({ operator }) => operators[operator % operators.length]!)
}

function prepared({ value, bound }: Bounded, as: Choice['operands'][number]): Bounded {
  if (as === 'positive') return { value: add(mul(sigmoid(value), most - least), least), bound: most }
  const tame = bound > limit ? { value: mul(value, limit / bound), bound: limit } : { value, bound }
  return as === 'full' ? { ...tame, value: expand(tame.value, base) } : tame
}

/**
 * Builds the graph of a recipe. Any value made so far may be an operand, several times over. The result sums what
 * nothing used, and every input once more, so that no input's gradient is too small to be compared: √2 times, which
 * no sum and difference of the steps takes away again.
 * @param inputs values in [−1, 1] of `shapesOf(recipe)`.
 */
export function buildRandom(recipe: Recipe, operators: readonly string[], inputs: readonly Value[]): Value {
  const pool: Bounded[] = inputs.map(value => ({ value, bound: 1 }))
  const used = new Set<Bounded>()
  recipe.steps.forEach(({ operands, axis }, i) => {
    const { operands: kinds, build, bound } = choices[operatorsOf(recipe, operators)[i]!]!
    const taken = kinds.map((kind, k) => {
      const operand = pool[operands[k]! % pool.length]!
      used.add(operand)
      return prepared(operand, kind)
    })
    const value = build(
      taken.map(operand => operand.value),
      axis % base.length,
    )
    pool.push({ value, bound: bound(taken[0]!.bound, taken[1]?.bound ?? 0) })
  })
  const sinks = pool.filter(item => !used.has(item)).map(item => prepared(item, 'full').value)
  return [...sinks, ...inputs.map(x => mul(expand(x, base), Math.SQRT2))].reduce(add)
}
