import { isFloat } from '../graph/dtype.js'
import { GraphError, type Value } from '../graph/graph.js'
import { sameShape, showType } from '../graph/tensor.js'
import { cast } from '../ops/cast.js'
import { equal } from '../ops/comparison.js'
import { add, mul, neg } from '../ops/elementwise.js'
import { logSoftmax } from '../ops/normalization.js'
import { reduceMean, reduceSum } from '../ops/reduction.js'
import { reshape } from '../ops/reshaping.js'
import { argMax } from '../ops/selection.js'

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
  return cast(equal(column, all), dtype)
}

/**
 * Mean cross-entropy of logits against labels or soft targets, a scalar.
 * @param logits float (N, classes).
 * @param targets int64 (N), each in [0, classes); or a distribution a row, in the logits' type (N, classes).
 * @param smoothing share of the target mass spread evenly over all classes (Szegedy et al. 2016), in [0, 1).
 */
export function crossEntropy(logits: Value, targets: Value, smoothing = 0): Value {
  return neg(reduceMean(logLikelihoods(logits, targets, smoothing), [0]))
}

/** The cross-entropy of every row, float (N), whose mean `crossEntropy` is. */
export function crossEntropies(logits: Value, targets: Value, smoothing = 0): Value {
  return neg(logLikelihoods(logits, targets, smoothing))
}

function logLikelihoods(logits: Value, targets: Value, smoothing: number): Value {
  const classes = logits.shape[1]!
  const given = isFloat(targets.dtype) ? targets : oneHot(targets, classes, logits.dtype)
  if (!sameShape(given.shape, logits.shape))
    throw new GraphError(`the targets ${showType(targets)} do not fit the logits ${showType(logits)}`)
  const smoothed = smoothing === 0 ? given : add(mul(given, 1 - smoothing), smoothing / classes)
  return reduceSum(mul(logSoftmax(logits), smoothed), [1])
}

/**
 * How many rows of logits (N, classes) are largest where their target is: a float32 scalar.
 * @param targets as for `crossEntropy`; of soft targets the largest counts.
 */
export function correctCount(logits: Value, targets: Value): Value {
  if (!isFloat(logits.dtype)) throw new TypeError(`logits must be of a float type, not ${logits.dtype}`)
  const called = argMax(logits, 1)
  const labels = isFloat(targets.dtype) ? argMax(targets, 1) : targets
  return reduceSum(cast(equal(called, labels), 'float32'), [0])
}
