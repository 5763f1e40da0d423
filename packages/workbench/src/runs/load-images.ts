import type { ImageSet } from '@ageb/lab'
import { loadSplit } from '../data/dataset.js'
import type { Monitor } from './monitor.js'

/** Loads a split at a model's size, showing how far it is where images have to be decoded first. */
export async function loadImages(
  monitor: Monitor,
  where: { readonly dataset: string; readonly split: string; readonly size: number },
): Promise<ImageSet> {
  let bar: ReturnType<Monitor['progress']> | undefined
  try {
    return await loadSplit({
      ...where,
      warn: monitor.say,
      progress(done, total) {
        // From the cache all are there at once: nothing to show.
        if (!bar && done === total) return
        bar ??= monitor.progress(`decoding ${where.split} images`, total)
        bar.update(done)
      },
    })
  } finally {
    bar?.stop()
  }
}
