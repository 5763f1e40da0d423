import type { Value } from '../graph/graph.js'
import { add, div, mul, sqrt, sub } from '../ops/elementwise.js'

/** What an optimizer is given for one parameter in one step. */
export interface Update {
  readonly parameter: Value
  readonly gradient: Value
  /** The optimizer's memory of this parameter, of the parameter's shape, in the order of `slots`. */
  readonly slots: readonly Value[]
  /** Scalar. */
  readonly learningRate: Value
  /** Scalar inputs named by `scalars`. */
  readonly scalars: Readonly<Record<string, Value>>
  /** Whether weight decay applies to this parameter. */
  readonly decay: boolean
}

/** A first-order optimizer as graph nodes. */
export interface Optimizer {
  /** Names of the tensors it remembers for every parameter; all start at zero. */
  readonly slots: readonly string[]
  /** Scalars that depend on the number of the step (from 1), fed at every step. */
  readonly scalars: (step: number) => Readonly<Record<string, number>>
  /** Builds the new parameter and the new slots. */
  readonly update: (update: Update) => { parameter: Value; slots: readonly Value[] }
  /** Where the gradient is to be taken in place of the parameters themselves, given their gradients there. */
  readonly perturb?: (parameters: readonly Value[], gradients: readonly Value[]) => readonly Value[]
}

export interface AdamWOptions {
  /** Decay of the first and second moment. Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number]
  /** Added to the root of the second moment. Default 1e-8. */
  readonly epsilon?: number
  /** Decoupled weight decay: the parameter shrinks by learningRate × weightDecay a step. Default 0.01. */
  readonly weightDecay?: number
}

/** AdamW (Loshchilov and Hutter 2019), as PyTorch's `torch.optim.AdamW` computes it. */
export function adamW(options: AdamWOptions = {}): Optimizer {
  const { betas = [0.9, 0.999], epsilon = 1e-8, weightDecay = 0.01 } = options
  const [beta1, beta2] = betas
  const [share1, share2] = [1 - beta1, 1 - beta2]
  return {
    slots: ['m', 'v'],
    scalars: step => {
      const root = Math.sqrt((1 - beta2 ** step) / share2)
      return { stepScale: (root * share1) / (1 - beta1 ** step), scaledEpsilon: epsilon * root }
    },
    update({ parameter, gradient, slots: [m, v], learningRate, scalars, decay }) {
      // Sums in place of averages: m and v are PyTorch's moments over 1 − β. That and the corrections of their bias are
      // factors of all values alike, so they go into two scalars, and the moments take a pass less each.
      const m1 = add(mul(m!, beta1), gradient)
      const v1 = add(mul(v!, beta2), mul(gradient, gradient))
      const { stepScale, scaledEpsilon } = scalars
      const step = div(mul(m1, mul(learningRate, stepScale!)), add(sqrt(v1), scaledEpsilon!))
      const kept =
        decay && weightDecay > 0 ? mul(parameter, sub(1, mul(learningRate, weightDecay))) : parameter
      return { parameter: sub(kept, step), slots: [m1, v1] }
    },
  }
}

export interface SgdOptions {
  /** Share of the last step carried on. Default 0. */
  readonly momentum?: number
  /** Look ahead along the momentum (Nesterov). Default false. */
  readonly nesterov?: boolean
  /** Decoupled weight decay, as in `adamW`. Default 0. */
  readonly weightDecay?: number
}

/** Stochastic gradient descent with momentum as PyTorch has it (velocity = momentum·velocity + gradient). */
export function sgd(options: SgdOptions = {}): Optimizer {
  const { momentum = 0, nesterov = false, weightDecay = 0 } = options
  return {
    slots: momentum === 0 ? [] : ['velocity'],
    scalars: () => ({}),
    update({ parameter, gradient, slots: [velocity], learningRate, decay }) {
      const kept =
        decay && weightDecay > 0 ? mul(parameter, sub(1, mul(learningRate, weightDecay))) : parameter
      if (!velocity) return { parameter: sub(kept, mul(gradient, learningRate)), slots: [] }
      const next = add(mul(velocity, momentum), gradient)
      const direction = nesterov ? add(gradient, mul(next, momentum)) : next
      return { parameter: sub(kept, mul(direction, learningRate)), slots: [next] }
    },
  }
}
