import { relu, type Value } from 'onnxgrad'
import { z } from 'zod'

/** Activations by the names that Hugging Face's configurations have for them. */
export const activationName = z.enum(['gelu', 'relu'])
export type ActivationName = z.infer<typeof activationName>

export function activate(x: Value, name: ActivationName): Value {
  return name === 'gelu' ? x.graph.apply('Gelu', [x])[0]! : relu(x)
}
