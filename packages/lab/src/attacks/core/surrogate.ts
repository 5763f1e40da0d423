import { Graph, toOnnx } from 'onnxgrad'
import { digestOf } from '../../digest.js'
import type { Model, Weights } from '../../models/model.js'

/** The pre-trained model that an attacker holds and computes triggers with. */
export interface Surrogate {
  readonly model: Model
  readonly weights: Weights
  /** Digest of all that decides what it computes, hexadecimal. */
  readonly id: string
}

/** A model with its weights as a surrogate. Its id is computed when it is first asked for: large weights take a while. */
export function surrogateOf({ model, weights }: Pick<Surrogate, 'model' | 'weights'>): Surrogate {
  let id: string | undefined
  return {
    model,
    weights,
    get id() {
      id ??= digestOf('surrogate', structureOf(model), ...Object.keys(model.parameters).map(n => weights[n]!))
      return id
    },
  }
}

/** The model's graph without weights, as bytes: what a configuration leaves open, a file of another program for one. */
function structureOf(model: Model): Uint8Array {
  const graph = new Graph()
  const parameters = Object.fromEntries(
    Object.entries(model.parameters).map(([name, { shape }]) => [
      name,
      graph.input(`weights.${name}`, 'float32', shape),
    ]),
  )
  const side = model.imageSize
  const pixels = graph.input('pixels', 'float32', [model.fixedBatch ?? 1, 3, side, side])
  graph.output('logits', model.forward(parameters, pixels).logits)
  return toOnnx(graph)
}
