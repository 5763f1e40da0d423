import { fileURLToPath } from 'node:url'

/** Checkpoints that come with the package: name → folder. */
export const bundledModels: Readonly<Record<string, string>> = {
  'cct-cifar10': fileURLToPath(new URL('../../models/cct-cifar10', import.meta.url)),
  'vit-cifar10': fileURLToPath(new URL('../../models/vit-cifar10', import.meta.url)),
}
