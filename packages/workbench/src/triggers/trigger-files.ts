import path from 'node:path'
import { makeFolder, writeFileWhole } from '../files/write-file.js'
import { strip, toPng, triggerPictures } from '../pictures/pictures.js'
import type { TriggerPixels } from './trigger-image.js'

/** Images of the strip are enlarged to about this many pixels. */
const STRIP_SIDE = 160

/**
 * Writes `<name>-triggered.png`, which has the exact pixel values, and `<name>-strip.png`, which shows every stage.
 *
 * @param folder made if need be
 * @returns the paths of both files
 */
export async function writeTriggerPictures(
  folder: string,
  name: string,
  pixels: TriggerPixels,
): Promise<{ readonly triggered: string; readonly strip: string }> {
  await makeFolder(folder)
  const files = {
    triggered: path.join(folder, `${name}-triggered.png`),
    strip: path.join(folder, `${name}-strip.png`),
  }
  const { height, width } = pixels
  const pictures = triggerPictures(pixels.clean, pixels)
  await writeFileWhole(files.triggered, await toPng(pixels.image, { height, width }))
  const row = await strip(
    pictures.map(([, picture]) => picture),
    {
      ...{ height, width },
      scale: Math.max(1, Math.round(STRIP_SIDE / width)),
      labels: pictures.map(([label]) => label),
    },
  )
  await writeFileWhole(files.strip, row)
  return files
}
