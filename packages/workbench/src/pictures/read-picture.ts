import { readFile } from 'node:fs/promises'
import { InputError } from 'onnxgrad'

/**
 * Reads and decodes a picture that a person gives.
 *
 * @param kind what it is, for messages: `image`
 * @throws InputError naming the file, if it cannot be read or decoded
 */
export async function readPicture<T>(
  file: string,
  kind: string,
  decode: (encoded: Uint8Array) => Promise<T>,
): Promise<T> {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new InputError(`the ${kind} ${file} cannot be read (${error.code}): check the path`)
  })
  try {
    return await decode(bytes)
  } catch (error) {
    const reason = (error as Error).message.split('\n')[0]
    throw new InputError(`${file} cannot be decoded (${reason}): give a PNG, JPEG or WebP file`)
  }
}
