import { add, gelu, mul, relu, sigmoid, tanh, type Value } from 'onnxgrad'
import { z } from 'zod'

/** Activations by the names that Hugging Face's configurations have for them. */
export const activationName = z.enum([
  'gelu',
  'gelu_new',
  'gelu_pytorch_tanh',
  'quick_gelu',
  'relu',
  'silu',
  'swish',
  'tanh',
])
export type ActivationName = z.infer<typeof activationName>

const functions: Readonly<Record<ActivationName, (x: Value) => Value>> = {
  gelu,
  gelu_new: geluByTanh,
  gelu_pytorch_tanh: geluByTanh,
  quick_gelu: x => mul(x, sigmoid(mul(x, 1.702))),
  relu,
  silu,
  swish: silu,
  tanh,
}

/** Element-wise. */
export function activate(x: Value, name: ActivationName): Value {
  return functions[name](x)
}

function silu(x: Value): Value {
  return mul(x, sigmoid(x))
}

/** Hendrycks and Gimpel 2016 approximate Φ by (1 + tanh u)/2, which is the sigmoid of 2u. */
function geluByTanh(x: Value): Value {
  const slope = add(mul(mul(x, x), 2 * 0.044715 * Math.sqrt(2 / Math.PI)), 2 * Math.sqrt(2 / Math.PI))
  return mul(x, sigmoid(mul(x, slope)))
}
