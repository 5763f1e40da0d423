import { reshape, sizeOf, type Value } from 'onnxgrad'

/** What may lie between a linear layer and the logits, none of which mixes classes or images. */
const harmless = new Set([
  'Add',
  'Sub',
  'Mul',
  'Div',
  'Reshape',
  'Squeeze',
  'Unsqueeze',
  'Flatten',
  'Identity',
])
const products = new Set(['MatMul', 'Gemm', 'com.microsoft:FusedMatMul'])

/**
 * What the last linear layer of a classifier reads: the matrix that is multiplied by weights to make the logits.
 *
 * @param logits float32 (N, classes), computed from `images`.
 * @returns float32 (N, width), or undefined if the logits are not made so: by a product of weights and one vector an
 * image, with nothing behind it but what depends on no image (a bias, a scale) and changes of shape.
 */
export function headInput(logits: Value, images: Value): Value | undefined {
  const moving = new Set([images])
  for (const { inputs, outputs } of logits.graph.nodes)
    if (inputs.some(input => input && moving.has(input))) for (const output of outputs) moving.add(output)
  const count = logits.shape[0]!
  for (let at = logits; ; ) {
    const { producer } = at
    const [from, another] = producer?.inputs.filter(input => input && moving.has(input)) ?? []
    if (!producer || !from || another) return undefined
    if (products.has(producer.definition.name)) {
      const width = from.shape.at(-1)!
      const isVectors = from === producer.inputs[0] && !producer.attributes.transA
      return isVectors && sizeOf(from.shape) === count * width ? reshape(from, [count, width]) : undefined
    }
    if (
      !harmless.has(producer.definition.name) ||
      (producer.definition.name === 'Div' && from !== producer.inputs[0])
    )
      return undefined
    at = from
  }
}
