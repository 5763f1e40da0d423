import { InputError } from 'onnxgrad'
import type { ClassFile, FoundSplit } from './found-split.js'
import { isSplitName } from './split-names.js'

const readable = /\.(jpe?g|jpe|jfif|png|webp|gif|tiff?|avif)$/i
/** Images that the decoder does not know: left out silently, a class would lack some of its images. */
const unreadable = /\.(bmp|dib|pp?m|p[bgn]m|jp2|j2k|jxl|hei[cf]|tga|ico|exr|hdr|psd|pcx)$/i

/**
 * Splits of image files in a folder for each class: `SPLIT/CLASS/….jpg`, where SPLIT is in the data set's folder or one
 * below.
 *
 * @param wanted a name of a split, which may be other than the usual ones
 */
export function imageSplits(paths: readonly string[], wanted: string, where: string): FoundSplit[] {
  const groups = new Map<string, { split: string; folder: string; files: ClassFile[]; others: string[] }>()
  const isSplit = (name: string | undefined) => name !== undefined && (name === wanted || isSplitName(name))
  for (const path of paths) {
    if (!readable.test(path) && !unreadable.test(path)) continue
    const parts = path.split('/')
    const depth = isSplit(parts[0]) && parts.length > 1 ? 0 : isSplit(parts[1]) && parts.length > 2 ? 1 : -1
    if (depth < 0) continue
    const [folder, split] = [parts.slice(0, depth).join('/'), parts[depth]!]
    const group = groups.get(`${folder}/${split}`) ?? { split, folder, files: [], others: [] }
    groups.set(`${folder}/${split}`, group)
    if (parts.length - depth < 3 || !readable.test(path)) group.others.push(path)
    else group.files.push({ path, className: parts[depth + 1]! })
  }
  return [...groups.values()]
    .filter(({ files, others }) => files.length > 0 || others.some(path => unreadable.test(path)))
    .map(({ split, folder, files, others }) => ({
      split,
      folder,
      layout: 'images',
      files() {
        for (const path of others)
          throw new InputError(
            unreadable.test(path)
              ? `${where}: ${path} is in a format that is not decoded: convert such images to PNG or JPEG.`
              : `${where}: ${path} is in no folder of a class: move it to ${split}/CLASS, or elsewhere.`,
          )
        return { layout: 'images', split, files: files.toSorted((a, b) => (a.path < b.path ? -1 : 1)) }
      },
    }))
}

/** Folders that hold images and are in no split: classes, most likely. */
export function classFolders(paths: readonly string[]): string[] {
  const folders = paths.filter(path => readable.test(path)).map(path => path.slice(0, path.lastIndexOf('/')))
  return [...new Set(folders.filter(folder => folder !== ''))].toSorted()
}
