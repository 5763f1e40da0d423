import { isFloat, type Value } from '../graph/types.js'
import { add, cast, mul, neg } from '../ops/elementwise.js'
import { logSoftmax } from '../ops/normalization.js'
import { reduceMean, reduceSum } from '../ops/reduction.js'
import { reshape } from '../ops/reshaping.js'

/**
 * One row a label, 1 at the label and 0 elsewhere, in `dtype`.
 * @param labels int64 (N), each in [0, classes).
 */
export function oneHot(labels: Value, classes: number, dtype: Value['dtype']): Value {
  const { graph } = labels
  const column = reshape(labels, [labels.shape[0]!, 1])
  const all = graph.constant(
    'int64',
    [1, classes],
    Array.from({ length: classes }, (_, i) => i),
  )
  return cast(graph.apply('Equal', [column, all])[0]!, dtype)
}

/**
 * Mean cross-entropy of logits against integer labels, a scalar.
 * @param logits float (N, classes).
 * @param labels int64 (N).
 * @param smoothing share of the target mass spread evenly over all classes (Szegedy et al. 2016), in [0, 1).
 */
export function crossEntropy(logits: Value, labels: Value, smoothing = 0): Value {
  const classes = logits.shape[1]!
  const hard = oneHot(labels, classes, logits.dtype)
  const targets = smoothing === 0 ? hard : add(mul(hard, 1 - smoothing), smoothing / classes)
  return neg(reduceMean(reduceSum(mul(logSoftmax(logits), targets), [1]), [0]))
}

/** How many rows of logits (N, classes) are largest at their label (int64, N): a float32 scalar. */
export function correctCount(logits: Value, labels: Value): Value {
  if (!isFloat(logits.dtype)) throw new TypeError(`logits must be of a float type, not ${logits.dtype}`)
  const { graph } = logits
  const called = graph.apply('ArgMax', [logits], { axis: 1, keepdims: 0 })[0]!
  return reduceSum(cast(graph.apply('Equal', [called, labels])[0]!, 'float32'), [0])
}
