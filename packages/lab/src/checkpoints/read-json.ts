import { InputError } from 'onnxgrad'
import type { z } from 'zod'
import { quote } from './safetensors-format.js'

/**
 * A JSON file that a schema describes.
 * @param file its name, for messages.
 * @throws InputError naming the file, and the key that is wrong.
 */
export function readJson<T>(text: string, schema: z.ZodType<T>, file: string): T {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new InputError(`${file} is not JSON: download or write it again`)
  }
  return checkJson(value, schema, file)
}

/** A value of a JSON file that a schema describes. Throws InputError naming the file and the key. */
export function checkJson<T>(value: unknown, schema: z.ZodType<T>, file: string): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const { path, message } = parsed.error.issues[0]!
  // Keys come from the file, so they are shown escaped and at limited length.
  const key = path.length > 0 ? `'${quote(path.join('.')).replace(/^"|"$/g, '')}': ` : ''
  throw new InputError(`${file}: ${key}${message}`)
}
