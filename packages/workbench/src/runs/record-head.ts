import type { ImageSource } from '@ageb/lab'
import { runtimeVersion } from 'onnxgrad/node'
import { bundledDatasets } from '../data/bundled/registry.js'
import { version } from '../files/version.js'
import { hubCommit } from '../hub/hub.js'

/** What every record begins with: the configuration, what decides the last bits besides it, and the data. */
export async function recordHeadOf(
  config: { readonly dataset: string; readonly device: string; readonly threads: number },
  { train, test }: { readonly train: ImageSource; readonly test: ImageSource },
) {
  const { dataset, device, threads } = config
  const split = ({ split, count, id }: ImageSource) => ({ split, count, id })
  const bundled = bundledDatasets.find(({ name }) => name === dataset)
  const commit = bundled ? undefined : await hubCommit('dataset', dataset)
  return {
    format: 1 as const,
    // As it will be read again: without keys that are undefined.
    configuration: JSON.parse(JSON.stringify(config)),
    environment: { ageb: version(), onnxruntime: runtimeVersion ?? 'unknown', device, threads },
    data: {
      name: train.name,
      ...(commit !== undefined && { commit }),
      classNames: [...train.classNames],
      train: split(train),
      test: split(test),
      notes: bundled ? [bundled.summary] : [],
    },
  }
}
