import { InputError } from 'onnxgrad'
import { fetchFromHub, type HubId, hubUrl } from '../hub/hub.js'
import type { Monitor } from '../runs/monitor.js'
import type { SplitFiles } from './layouts/found-split.js'
import { filesOfSplit } from './layouts/split-files.js'

/**
 * The files of one split of a data set on the hub: only the split's Parquet files, in the order of the shards.
 *
 * @param within a folder of the repository to look in, empty for all
 * @throws InputError if the data set or the split does not exist or cannot be had
 */
export async function fetchSplit(
  dataset: HubId,
  within: string,
  split: string,
  monitor: Monitor,
): Promise<SplitFiles> {
  const where = `${dataset.name}${within === '' ? '' : `:${within}`} on ${hubUrl()}`
  let chosen = split
  const files = await fetchFromHub(
    {
      ...dataset,
      type: 'dataset',
      what: `its split '${split}'`,
      choose(paths) {
        const inside = paths.filter(path => within === '' || path.startsWith(`${within.replace(/\/$/, '')}/`))
        const found = filesOfSplit(inside, split, where)
        if (found.layout !== 'parquet')
          throw new InputError(
            `${where} has the split '${found.split}' not as Parquet: give ${dataset.name}@refs/convert/parquet, ` +
              'or a local copy.',
          )
        chosen = found.split
        return [...found.files]
      },
    },
    text => monitor.say(text),
  )
  return { layout: 'parquet', split: chosen, files }
}
