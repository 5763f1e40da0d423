import type { BundledDataset } from './bundled-dataset.js'

export const cifar10Subset: BundledDataset = {
  name: 'cifar10-subset',
  summary: '5,000 training and 1,000 test images of CIFAR-10, class balanced, from a lossy JPEG re-encoding',
  citation:
    'Krizhevsky, A. (2009). Learning Multiple Layers of Features from Tiny Images. University of Toronto.',
  folder: new URL('../../../datasets/cifar10-subset/', import.meta.url),
}
