import { Graph, InputError, type Value } from 'onnxgrad'
import type { AttentionMap, Model } from './model.js'

/** What attention gradients are taken of in a model: its last attention map, or where it has none its activations. */
export type GradientSource =
  | {
      readonly kind: 'attention'
      /** Number of attention maps; the last one counts. */
      readonly maps: number
      readonly heads: number
      readonly tokens: number
      /** Whether it is known where in the image its tokens lie. */
      readonly placed: boolean
    }
  | {
      readonly kind: 'activations'
      readonly channels: number
      readonly rows: number
      readonly columns: number
    }
  | { readonly kind: 'none' }

/** Finds what attention gradients are taken of in a model. */
export function gradientSource(model: Model): GradientSource {
  const graph = new Graph()
  const parameters = Object.entries(model.parameters).map(([name, { shape }]): [string, Value] => [
    name,
    graph.input(`weights.${name}`, 'float32', shape),
  ])
  const images = [model.fixedBatch ?? 1, 3, model.imageSize, model.imageSize]
  const { attention, activations } = model.forward(
    Object.fromEntries(parameters),
    graph.input('images', 'float32', images),
  )
  const last = attention.at(-1)
  if (last) {
    const [rows, heads, , tokens] = last.probabilities.shape as [number, number, number, number]
    const perKey = graph.input('keys', 'float32', [rows, tokens])
    return { kind: 'attention', maps: attention.length, heads, tokens, placed: isPlaced(last, perKey) }
  }
  if (!activations) return { kind: 'none' }
  const [, channels, rows, columns] = activations.shape as [number, number, number, number]
  return { kind: 'activations', channels, rows, columns }
}

function isPlaced(map: AttentionMap, perKey: Value): boolean {
  try {
    map.toGrid(perKey)
    return true
  } catch (error) {
    if (error instanceof InputError) return false
    throw error
  }
}
