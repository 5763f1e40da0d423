import type { Graph, Value } from 'onnxgrad'
import type { z } from 'zod'
import type { Model, Weights } from '../../models/model.js'

/** The pre-trained model that an attacker holds and computes triggers with. */
export interface Surrogate {
  readonly model: Model
  readonly weights: Weights
}

/** A trigger's graph: what comes out, and the pictures on the way, by the name that a report shows. */
export interface TriggerGraph {
  /** uint8 (N, 3, H, W). */
  readonly triggered: Value
  /**
   * float32, one channel (N, 1, H, W) ≥ 0 for a map, or three (N, 3, H, W) in [0, 1] for an image; in the order
   * in which they are computed.
   */
  readonly stages: Readonly<Record<string, Value>>
}

/** A backdoor attack whose trigger is a function of the image and a surrogate. */
export interface Attack<S extends z.ZodObject = z.ZodObject> {
  readonly name: string
  readonly citation: string
  readonly url: string
  readonly parameters: S
  /** Whether the trigger needs the true labels as a second input, `labels` (int64, N). */
  needsLabels(parameters: z.infer<S>): boolean
  /** @param images uint8 (N, 3, H, W). */
  build(graph: Graph, images: Value, surrogate: Surrogate, parameters: z.infer<S>): TriggerGraph
}

/** Declares an attack. */
export function defineAttack<S extends z.ZodObject>(attack: Attack<S>): Attack<S> {
  return attack
}
