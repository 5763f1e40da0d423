import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { InputError } from 'onnxgrad'

const endings = new Set(['.png', '.jpg', '.jpeg', '.webp', '.gif', '.tif', '.tiff', '.avif'])

/**
 * Files as given, and the pictures in folders, by name; folders within folders are ignored.
 * @throws InputError if there is no such file or folder, or no picture in it.
 */
export async function pictureFiles(given: readonly string[]): Promise<string[]> {
  const lists = await Promise.all(
    given.map(async name => {
      const stats = await stat(name).catch((error: NodeJS.ErrnoException) => {
        throw new InputError(`the picture ${name} cannot be read (${error.code}): check the path`)
      })
      if (!stats.isDirectory()) return [name]
      const names = (await readdir(name)).filter(file => endings.has(path.extname(file).toLowerCase()))
      if (names.length === 0)
        throw new InputError(`the folder ${name} has no pictures (${[...endings].join(' ')}) in it`)
      return names.sort().map(file => path.join(name, file))
    }),
  )
  return lists.flat()
}
