import type { OpDefinition, Value } from '../graph/graph.js'
import { sameShape } from '../graph/tensor.js'
import { cast } from './cast.js'
import { equal } from './comparison.js'
import { defineOp, required } from './define-op.js'
import { add, div, exp, mul, sub } from './elementwise.js'
import { reduceSum } from './reduction.js'
import { reshape } from './reshaping.js'

export interface SoftmaxCrossEntropyOptions {
  /** Weight of each class (classes). Default: all 1. It gets no gradient. */
  weights?: Value
  /** Elements of this label count for nothing. */
  ignoreIndex?: number
  /** Default 'mean': weighted, over the elements that count. */
  reduction?: 'none' | 'mean' | 'sum'
}

/**
 * −log softmax(scores)[label], and all the log-probabilities.
 * @param scores float (N, classes, …).
 * @param labels int64 or int32 (N, …), each in [0, classes) or the ignored one.
 */
export function softmaxCrossEntropyLoss(
  scores: Value,
  labels: Value,
  { weights, ignoreIndex, reduction = 'mean' }: SoftmaxCrossEntropyOptions = {},
): { loss: Value; logProbabilities: Value } {
  const [loss, logProbabilities] = scores.graph.apply(
    SoftmaxCrossEntropyLoss,
    weights ? [scores, labels, weights] : [scores, labels],
    { reduction, ...(ignoreIndex !== undefined && { ignore_index: ignoreIndex }) },
  )
  return { loss: loss!, logProbabilities: logProbabilities! }
}

/** Each element's weight at its label and 0 at the other classes: (N, classes, …). Ignoring is a weight of 0. */
function weightedTargets(scores: Value, labels: Value, weights: Value | null, ignored?: number): Value {
  const { graph, dtype } = scores
  const [batch, classes, ...rest] = scores.shape as [number, number, ...number[]]
  const column = [classes, ...rest.map(() => 1)]
  const all = Array.from({ length: classes }, (_, i) => i)
  const hit = equal(reshape(labels, [batch, 1, ...rest]), graph.constant(labels.dtype, column, all))
  let targets = cast(hit, dtype)
  if (weights) targets = mul(targets, reshape(weights, column))
  if (ignored !== undefined && all.includes(ignored))
    targets = mul(
      targets,
      graph.constant(
        dtype,
        column,
        all.map(i => (i === ignored ? 0 : 1)),
      ),
    )
  return targets
}

/** Three rows of scores for four classes, one class not called for. */
const labelled = (scores: Value, labels: readonly number[] = [1, 3, 0]) =>
  scores.graph.constant('int64', [labels.length], labels)

export const SoftmaxCrossEntropyLoss: OpDefinition = defineOp({
  name: 'SoftmaxCrossEntropyLoss',
  attributes: { ignore_index: 'int', reduction: 'string' },
  infer(inputs, { reduction = 'mean' }) {
    const [scores, labels] = [required(inputs, 0), required(inputs, 1)]
    if (scores.shape.length < 2) throw new Error('the scores need two axes or more')
    if (labels.dtype !== 'int64' && labels.dtype !== 'int32')
      throw new Error(`the labels must be int64 or int32, not ${labels.dtype}`)
    if (!sameShape(labels.shape, scores.shape.toSpliced(1, 1)))
      throw new Error('the labels must have the shape of the scores without axis 1')
    const weights = inputs[2]
    if (weights && !sameShape(weights.shape, [scores.shape[1]!]))
      throw new Error(`the weights must have shape [${scores.shape[1]}], one a class`)
    if (reduction !== 'none' && reduction !== 'mean' && reduction !== 'sum')
      throw new Error(`reduction '${reduction}' is not one of none, mean, sum`)
    const { dtype, shape } = scores
    return [
      { dtype, shape: reduction === 'none' ? labels.shape : [] },
      { dtype, shape },
    ]
  },
  gradient({ inputs, outputs: [, logProbabilities], gradients: [dy, dLog], attributes, wants }) {
    if (wants(2)) throw new Error('the gradient at the class weights is not supported')
    const [scores, labels, weights] = [inputs[0]!, inputs[1]!, inputs[2] ?? null]
    const probabilities = exp(logProbabilities!)
    const parts: Value[] = []
    if (dy) {
      const { reduction = 'mean', ignore_index } = attributes
      const targets = weightedTargets(scores, labels, weights, ignore_index as number | undefined)
      const mass = reduceSum(targets, [1], { keep: true })
      const slope = sub(mul(mass, probabilities), targets)
      const everything = mass.shape.map((_, axis) => axis)
      const scale =
        reduction === 'none'
          ? reshape(dy, mass.shape)
          : reduction === 'mean'
            ? div(dy, reduceSum(mass, everything))
            : dy
      parts.push(mul(slope, scale))
    }
    if (dLog) parts.push(sub(dLog, mul(probabilities, reduceSum(dLog, [1], { keep: true }))))
    return [parts.reduce(add), null, null]
  },
  cases: [
    { name: 'mean', inputs: [[3, 4]], build: (_, [x]) => softmaxCrossEntropyLoss(x!, labelled(x!)).loss },
    {
      name: 'sum, an ignored class',
      inputs: [[3, 4]],
      build: (_, [x]) => softmaxCrossEntropyLoss(x!, labelled(x!), { reduction: 'sum', ignoreIndex: 3 }).loss,
    },
    {
      name: 'mean, a label that is no class ignored',
      inputs: [[3, 4]],
      build: (_, [x]) => softmaxCrossEntropyLoss(x!, labelled(x!, [1, -100, 0]), { ignoreIndex: -100 }).loss,
    },
    {
      name: 'weighted mean, an ignored class',
      inputs: [[3, 4]],
      build: (graph, [x]) =>
        softmaxCrossEntropyLoss(x!, labelled(x!), {
          weights: graph.constant(x!.dtype, [4], [0.5, 2, 3, 1]),
          ignoreIndex: 0,
        }).loss,
    },
    {
      name: 'one loss a pixel',
      inputs: [[2, 3, 2]],
      build: (graph, [x]) => {
        const labels = graph.constant('int64', [2, 2], [0, 2, 1, 1])
        return softmaxCrossEntropyLoss(x!, labels, { reduction: 'none' }).loss
      },
    },
    {
      name: 'loss and log-probabilities together',
      inputs: [[3, 4]],
      build: (_, [x]) => {
        const { loss, logProbabilities } = softmaxCrossEntropyLoss(x!, labelled(x!))
        return mul(loss, logProbabilities)
      },
    },
    {
      name: 'log-probabilities alone',
      inputs: [[3, 4]],
      build: (_, [x]) => softmaxCrossEntropyLoss(x!, labelled(x!)).logProbabilities,
    },
  ],
})

export const losses: readonly OpDefinition[] = [SoftmaxCrossEntropyLoss]
