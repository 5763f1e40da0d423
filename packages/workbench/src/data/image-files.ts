import { readFile } from 'node:fs/promises'
import { digestOf, type ImageSize } from '@ageb/lab'
import { foundClasses } from './class-names.js'
import { decodeRgb, type RgbImage, undecodable } from './decode.js'
import { digestsOfFiles } from './file-digests.js'
import type { ClassFile } from './layouts/found-split.js'
import type { StoredImages, StoredSplit, Watched } from './stored-images.js'

/** A split of image files, whose classes are the folders that they are in. Throws InputError if one cannot be read. */
export async function imageFileSplit(
  where: Pick<StoredSplit, 'name' | 'split'>,
  files: readonly ClassFile[],
  watched: Watched,
): Promise<StoredSplit> {
  const paths = files.map(({ path }) => path)
  const digests = await digestsOfFiles(paths, `${where.split} images`, watched)
  const images: StoredImages = {
    id: digestOf('files', digests),
    count: files.length,
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
