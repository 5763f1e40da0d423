import { digestOf, type Json } from '@ageb/lab'

/**
 * A JSON object that ends in `sha256`, a checksum of all its other keys: any damage to what it says is noticed, in
 * whatever program wrote it and however it is laid out.
 */
export function sealedJson(value: object): string {
  // As it will be read again: undefined is absent.
  const plain = JSON.parse(JSON.stringify(value)) as Record<string, Json>
  return `${JSON.stringify({ ...plain, sha256: digestOf(plain) }, null, 2)}\n`
}

/**
 * What `sealedJson` was given.
 * @throws Error saying what is wrong, to follow a colon or in brackets: `it is not JSON`
 */
export function openSealedJson(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Error('it is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('it is no JSON object')
  const { sha256, ...plain } = value as Record<string, Json>
  if (sha256 === undefined) throw new Error('it has no checksum')
  if (sha256 !== digestOf(plain)) throw new Error('its checksum does not fit')
  return plain
}
