import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { InputError } from 'onnxgrad'

/** Deep enough for `data/train/CLASS/images/1.jpg`, and an end to links that go round. */
const maxDepth = 6

/**
 * All files in a folder and below, as paths from it with `/` between folders, in no particular order. What is hidden
 * is left out. Links are followed.
 *
 * @throws InputError if a folder cannot be read
 */
export async function listFiles(folder: string): Promise<string[]> {
  const files: string[] = []
  const walk = async (within: string, depth: number): Promise<void> => {
    const path = join(folder, within)
    const entries = await readdir(path, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
      throw new InputError(`${path} cannot be read (${error.code}): check the path and its permissions.`)
    })
    const folders: string[] = []
    for (const entry of entries) {
      if (entry.name.startsWith('.') || entry.name === '__MACOSX') continue
      const name = within === '' ? entry.name : `${within}/${entry.name}`
      const isFolder =
        entry.isDirectory() ||
        (entry.isSymbolicLink() && (await stat(join(folder, name)).catch(() => undefined))?.isDirectory())
      if (isFolder) folders.push(name)
      else files.push(name)
    }
    if (depth < maxDepth) for (const name of folders) await walk(name, depth + 1)
  }
  await walk('', 1)
  return files
}
