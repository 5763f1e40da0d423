import type { BundledDataset } from './bundled-dataset.js'
import { cifar10Subset } from './cifar10-subset.js'

/** The data sets that come with the program. A new one is a file here and a line below. */
export const bundledDatasets: readonly BundledDataset[] = [cifar10Subset]
