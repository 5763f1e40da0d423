import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { loadPlugins, type Monitor, RunFolder, resolveConfiguration, startRun } from '@ageb/workbench'
import { noisePng, startTestHub, type TestHub, writeDataset, writeTinyModel } from '@ageb/workbench/testing'
import { blocksOf, documents, root } from './documents.js'

/**
 * The files that documents speak of, under the names that they have there: pictures, data sets, checkpoints, runs, and
 * repositories on a hub of this machine; all tiny. A command line of a document works in this folder as it stands.
 */

/** CIFAR-10's classes, which the bundled models have. */
const classes = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck']

const images = { classes, side: 32, train: 64, test: 20 }

/** A model for images of the bundled models' size. */
export const tinyModel = 'deit-tiny'

/** The experiment in the README, which is there called my-experiment.yaml. */
export function readmeExperiment(): string {
  const blocks = documents().flatMap(blocksOf)
  return blocks.find(({ document, language }) => document === 'README.md' && language === 'yaml')!.text
}

/**
 * Fills a folder as `fillFolder`, and makes it the working folder, with a hub, caches and a store of its own.
 * @returns what goes back to the folder before, and removes this one
 */
export async function enterFolder(folder: string): Promise<() => void> {
  const before = process.cwd()
  process.env.AGEB_CACHE = path.join(folder, 'cache')
  process.env.AGEB_STORE = path.join(folder, 'store')
  process.env.HF_HUB_CACHE = path.join(folder, 'hub')
  delete process.env.HF_TOKEN
  delete process.env.HF_HUB_OFFLINE
  const hub = await fillFolder(folder)
  process.env.HF_ENDPOINT = hub.url
  process.chdir(folder)
  return () => {
    process.chdir(before)
    hub.close()
    rmSync(folder, { recursive: true })
  }
}

/** Fills an empty folder, in which the program then works: the process's current folder. Set the environment first. */
async function fillFolder(folder: string): Promise<TestHub> {
  const at = (...names: string[]) => path.join(folder, ...names)
  const tiny = { classes, side: 32 }

  for (const name of ['photo.png', 'photo.jpg', 'cat.png'])
    writeFileSync(at(name), await noisePng(40, 1, name.length))
  mkdirSync(at('photos'))
  for (const name of ['1.png', '2.png']) cpSync(at('photo.png'), at('photos', name))

  await writeDataset(at('my-images'), images)
  for (const name of ['cifar10', 'CIFAR10_FOLDER']) symlinkSync(at('my-images'), at(name))
  // Its labels have another name, which the command line gives.
  await writeDataset(at('my-data'), { ...images, labelColumn: 'class' })

  for (const name of [tinyModel, 'swin-tiny', 'runs/my-run/model', 'runs/my-vit/model'])
    await writeTinyModel(at(name), tiny)

  for (const name of ['my-attack.js', 'experiment.yaml'])
    cpSync(path.join(root, 'examples', 'plugin-attack', name), at(name))
  writeFileSync(at('my-experiment.yaml'), readmeExperiment())
  writeFileSync(at('train.yaml'), 'kind: train\n')
  writeFileSync(at('package.json'), '{ "private": true, "type": "module" }\n')
  for (const name of ['node_modules', 'packages', 'tools']) symlinkSync(path.join(root, name), at(name))

  const data = filesOf(at('my-images'))
  const checkpoint = (name: string) => filesOf(path.join(root, 'packages/lab/fixtures', name))
  return startTestHub({
    'datasets/uoft-cs/cifar10': data,
    'datasets/uoft-cs/cifar100': data,
    'models/google/vit-base-patch16-224-in21k': checkpoint('checkpoints/vit-base'),
    'models/facebook/deit-small-patch16-224': checkpoint('checkpoints/deit'),
    'models/facebook/deit-base-patch16-224': checkpoint('checkpoints/deit'),
    'models/microsoft/swin-tiny-patch4-window7-224': checkpoint('swin/shifted'),
  })
}

function filesOf(folder: string): Map<string, Buffer> {
  return new Map(readdirSync(folder).map(name => [name, readFileSync(path.join(folder, name))]))
}

/** The runs that documents speak of: the attack of each. */
const runs: Readonly<Record<string, string>> = {
  'runs/demo-20250131-142501': 'ageb',
  'runs/badnets-20250131-142501': 'badnets',
  'runs/experiment-20250131-142501': 'corner-checkerboard',
}
export const runNames = Object.keys(runs)

let seed = 1

/**
 * Makes one of the runs in the current folder, finished or stopped in the middle of a training; what was in its place is
 * gone. Each has a seed of its own, so that nothing of it is in the store.
 */
export async function makeRun(folder: string, state: 'finished' | 'interrupted'): Promise<void> {
  rmSync(folder, { recursive: true, force: true })
  const attack = runs[folder]
  const named = attack === 'corner-checkerboard' ? ['./my-attack.js'] : undefined
  const plain = {
    ...{ kind: 'backdoor', attack, dataset: 'my-images', surrogate: tinyModel, victim: tinyModel },
    ...{ threads: 1, seed: seed++, training: { epochs: 2, batchSize: 32 } },
  }
  const { configuration, plugins } = await loadPlugins(plain, folder, { named, folder: undefined })
  const resolved = await resolveConfiguration(configuration, folder, plugins)
  const stop = new AbortController()
  const monitor: Monitor = {
    say() {},
    progress: label => ({
      // In the middle of the first training.
      update: () => state === 'interrupted' && label === 'clean twin' && stop.abort('enough'),
      stop() {},
    }),
  }
  const options = { monitor, signal: stop.signal, plugins }
  await startRun(await RunFolder.create(folder, resolved), resolved, options).catch(error => {
    if (error !== 'enough') throw error
  })
}
