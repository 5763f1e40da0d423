import { type Model, rng, type Weights } from '@ageb/lab'

const TABLE = normals(4096)

/**
 * Weights to measure with: of the size of those that a training begins with, but not drawn one by one, which takes
 * seconds for a large model.
 */
export function placeholderWeights(model: Model): Weights {
  return Object.fromEntries(
    Object.entries(model.parameters).map(([name, { shape, init }]) => {
      const data = new Float32Array(shape.reduce((size, dim) => size * dim, 1))
      if (init === 'ones') data.fill(1)
      else
        for (let at = 0; at < data.length; at += TABLE.length)
          data.set(TABLE.subarray(0, data.length - at), at)
      return [name, data]
    }),
  )
}

function normals(count: number): Float32Array {
  const random = rng(1, 'weights')
  return Float32Array.from({ length: count }, () => 0.02 * random.normal())
}
