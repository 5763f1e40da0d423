import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'

/** What a digest can be taken of: JSON values, and typed arrays by their bytes. */
export type Digestible = Json | ArrayBufferView
/** A JSON value; a key whose value is undefined counts as absent. */
export type Json =
  | string
  | number
  | boolean
  | null
  | undefined
  | readonly Json[]
  | { readonly [key: string]: Json }

/**
 * SHA-256 of a list of values, hexadecimal. Each counts with its kind and length, so that no two lists run into each
 * other; the order of an object's keys does not matter, and a key whose value is undefined counts as absent.
 *
 * @example digestOf('subset', 'the id of a source', Int32Array.of(1, 5))
 */
export function digestOf(...parts: readonly Digestible[]): string {
  const hash = sha256.create()
  for (const part of parts) {
    const bytes = ArrayBuffer.isView(part)
      ? new Uint8Array(part.buffer, part.byteOffset, part.byteLength)
      : utf8ToBytes(canonicalJson(part))
    hash.update(utf8ToBytes(`${ArrayBuffer.isView(part) ? part.constructor.name : 'json'} ${bytes.length}\n`))
    hash.update(bytes)
  }
  return bytesToHex(hash.digest())
}

/** JSON in which the keys of every object are sorted, so that equal values have equal texts. */
export function canonicalJson(value: Json): string {
  return (
    JSON.stringify(value, (_, inner: unknown) =>
      typeof inner === 'object' && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
        : inner,
    ) ?? 'undefined'
  )
}
