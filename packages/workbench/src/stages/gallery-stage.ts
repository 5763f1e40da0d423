import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { imageAt, readAll, renderStages, subsetOf } from '@ageb/lab'
import { toPng, triggerPictures } from '../pictures/pictures.js'
import type { Stage } from '../store/stage.js'
import { attackKey, type TriggerInput, triggerContext } from './attack-stages.js'

export interface GalleryInput extends TriggerInput {
  /** Which images. */
  readonly chosen: readonly number[]
}

/** One image on its way through a trigger. */
export interface GalleryImage {
  /** Its place in the source. */
  readonly index: number
  readonly pictures: readonly { readonly name: string; readonly png: Uint8Array }[]
}

/** A few images on their way through the trigger, as PNG files of one pixel an image pixel. */
export const galleryStage: Stage<GalleryInput, readonly GalleryImage[]> = {
  name: 'gallery',
  version: 1,
  key: ({ subject, images, chosen }) => ({ ...attackKey(subject), images: images.id, chosen }),
  async run({ subject, prepared, images, chosen }, { folder }) {
    const { attack, engine, seed } = subject
    const shown = await readAll(subsetOf(images, chosen))
    const program = attack.trigger(triggerContext(subject), prepared)
    const rendered = await renderStages(engine.runtime, program, shown, { seed })
    const names: string[][] = []
    for (const [i, staged] of rendered.entries()) {
      const pictures = triggerPictures(imageAt(shown, i), staged)
      await mkdir(path.join(folder, String(i)))
      names.push(pictures.map(([name]) => name))
      for (const [j, [, data]] of pictures.entries())
        await writeFile(path.join(folder, String(i), `${j}.png`), await toPng(data, shown))
    }
    await writeFile(path.join(folder, 'gallery.json'), JSON.stringify({ chosen, names }))
  },
  async open(folder) {
    const text = await readFile(path.join(folder, 'gallery.json'), 'utf8')
    const { chosen, names } = JSON.parse(text) as { chosen: number[]; names: string[][] }
    return Promise.all(
      chosen.map(async (index, i) => ({
        index,
        pictures: await Promise.all(
          names[i]!.map(async (name, j) => ({
            name,
            png: await readFile(path.join(folder, String(i), `${j}.png`)),
          })),
        ),
      })),
    )
  },
}
