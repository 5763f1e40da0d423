import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { batcher, type ImageSet, readAll, trainingConfig } from '@ageb/lab'
import { openSplit } from '../../data/dataset.js'
import { peakRssMiB } from '../../stages/memory.js'
import type { BenchSettings, PartResults } from '../settings.js'
import { median, timed } from './measure.js'

/** The bundled test images, decoded, read from the cache, and made into augmented batches. */
export async function benchDataLoading(settings: BenchSettings): Promise<PartResults['dataLoading']> {
  const folder = await mkdtemp(path.join(tmpdir(), 'ageb-bench-'))
  const seconds = settings.seconds / 3
  let [images, caches]: [ImageSet | undefined, number] = [undefined, 0]
  const load = async () => {
    images = await readAll(
      await openSplit({ dataset: 'cifar10-subset', split: 'test', size: settings.image }),
    )
  }
  try {
    const decoding = await timed(seconds, () => {
      // One that has nothing in it yet.
      process.env.AGEB_CACHE = path.join(folder, String(caches++))
      return load()
    })
    const reading = await timed(seconds, load)
    const { count } = images!
    const config = trainingConfig.parse({ batchSize: Math.min(settings.batch, count) })
    const batches = batcher({ data: images!, config, seed: 1, branches: 0 })
    let step = 0
    const augmenting = await timed(seconds, async () => batches(step++))
    return {
      decodedPerSecond: count / median(decoding),
      cachedPerSecond: count / median(reading),
      augmentedPerSecond: config.batchSize / median(augmenting),
      peakRssMiB: peakRssMiB(),
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
