import { readFile } from 'node:fs/promises'
import { digestOf, type ImageSize } from '@ageb/lab'
import { foundClasses } from './class-names.js'
import { decodeRgb, type RgbImage, undecodable } from './decode.js'
import { digestsOfFiles } from './file-digests.js'
import type { ClassFile } from './layouts/found-split.js'
import type { StoredImages, StoredSplit } from './stored-images.js'

/** A split of image files, whose classes are the folders that they are in. */
export function imageFileSplit(
  where: Pick<StoredSplit, 'name' | 'split'>,
  files: readonly ClassFile[],
): StoredSplit {
  const paths = files.map(({ path }) => path)
  const images: StoredImages = {
    count: files.length,
    id: async watched => digestOf('files', await digestsOfFiles(paths, `${where.split} images`, watched)),
    where: index => paths[index]!,
    async prepare() {},
    async decode(index: number, size: ImageSize | undefined): Promise<RgbImage> {
      try {
        return await decodeRgb(await readFile(paths[index]!), size)
      } catch (error) {
        throw undecodable(paths[index]!, error)
      }
    },
  }
  return { ...where, images, ...foundClasses(files.map(({ className }) => className)) }
}
