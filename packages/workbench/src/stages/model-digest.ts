import { createHash } from 'node:crypto'
import { canonicalJson, type Model, structureOf, type Weights } from '@ageb/lab'

/** Raised when families of models come to compute the same in another order, so that last bits change. */
const ARITHMETIC = 2

/**
 * Digest of all that decides what a model computes: family and configuration, or the graph if it was read from ONNX,
 * normalization, classes and weights.
 */
export function modelDigest(model: Model, weights: Weights): string {
  const { modelType, config, imageSize, classNames, channels, mean, std } = model
  const described = { arithmetic: ARITHMETIC, modelType, config, imageSize, classNames, channels, mean, std }
  const hash = createHash('sha256').update(canonicalJson(JSON.parse(JSON.stringify(described))))
  if (model.file) hash.update(structureOf(model))
  for (const name of Object.keys(model.parameters)) {
    const { buffer, byteOffset, byteLength } = weights[name]!
    hash.update(`\n${name}\n`).update(new Uint8Array(buffer, byteOffset, byteLength))
  }
  return hash.digest('hex')
}
