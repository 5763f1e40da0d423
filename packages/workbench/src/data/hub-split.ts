import { fetchFromHub, type HubId, hubUrl } from '../hub/hub.js'
import { filesOfSplit } from './split-files.js'

/**
 * The files of one split of a data set on the hub: only the split's Parquet files, in the order of the shards.
 * @throws InputError if the data set or the split does not exist or cannot be had
 */
export function fetchSplit(
  dataset: HubId,
  split: string,
  warn: (message: string) => void,
): Promise<string[]> {
  const where = `${dataset.name} on ${hubUrl()}`
  return fetchFromHub(
    {
      ...dataset,
      type: 'dataset',
      what: `its split '${split}'`,
      choose: paths => filesOfSplit(paths, split, where),
    },
    warn,
  )
}
