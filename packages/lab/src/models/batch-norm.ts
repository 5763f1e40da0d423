import { batchNorm, type Value } from 'onnxgrad'
import type { ForwardOptions, ModelParameter } from './model.js'

/**
 * The batch normalizations of one forward pass: `norm` applies one by name, `buffers` gathers what the running
 * statistics become.
 */
export function batchNorms(p: Readonly<Record<string, Value>>, { training = false, frozen }: ForwardOptions) {
  const buffers: Record<string, Value> = {}
  const norm = (x: Value, name: string): Value => {
    const [meanName, varianceName] = [`${name}.running_mean`, `${name}.running_var`]
    const learns = training && !frozen?.(meanName) && !frozen?.(varianceName)
    const { y, mean, variance } = batchNorm(
      x,
      {
        scale: p[`${name}.weight`]!,
        shift: p[`${name}.bias`]!,
        mean: p[meanName]!,
        variance: p[varianceName]!,
      },
      { training: learns },
    )
    if (training && !frozen?.(meanName)) buffers[meanName] = mean
    if (training && !frozen?.(varianceName)) buffers[varianceName] = variance
    return y
  }
  return { norm, buffers }
}

/**
 * The counters that PyTorch saves beside a batch normalization's running statistics, int64 scalars. Only a momentum
 * that falls with their number reads them, which no family here has.
 */
export function batchCounters(parameters: Readonly<Record<string, ModelParameter>>): string[] {
  return Object.keys(parameters).flatMap(name =>
    name.endsWith('.running_mean') ? [name.replace(/running_mean$/, 'num_batches_tracked')] : [],
  )
}
