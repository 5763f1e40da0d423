import { stat } from 'node:fs/promises'
import {
  type Attack,
  buildModel,
  type ConfiguredAttack,
  classifierGraph,
  fit,
  type Model,
  type ModelConfig,
  needsOf,
  programGraph,
  resolveAttack,
  surrogateOf,
} from '@ageb/lab'
import { matrixOperations } from 'onnxgrad'
import { bundledModels } from '../checkpoints/bundled-models.js'
import { loadCheckpoint } from '../checkpoints/checkpoint-folder.js'
import type { BackdoorRunConfig } from '../configuration/backdoor-config.js'
import { UsageError } from '../configuration/resolve.js'
import type { TrainRunConfig } from '../configuration/train-config.js'
import { splitSize } from '../data/dataset.js'
import type { ColumnChoice } from '../data/parquet-schema.js'
import { parseHubId } from '../hub/hub.js'
import type { Monitor } from '../runs/monitor.js'
import { placeholderWeights } from './placeholder-weights.js'
import { type DataShape, publishedData, publishedModels } from './published.js'

/** The work of a run, in numbers. */
export interface Workload {
  readonly data: DataShape
  /** The model that is trained, with its head. */
  readonly model: Model
  /** How often it is trained: a backdoored one has a clean twin. */
  readonly trainings: number
  readonly triggers: Triggers
  /** Operations of matrix products and convolutions outside the training steps. */
  readonly otherOperations: number
}

/** How many images get a trigger. */
export interface Triggers {
  /** Training images. */
  readonly poison: number
  /** Test images. */
  readonly test: number
  /** Bytes that the store keeps of each: the image, and values that a later run uses again. */
  readonly bytes: number
}

/** The size of a data set that is not on this machine. */
export interface GivenSize {
  /** Number of training images. */
  readonly images?: number | undefined
  readonly testImages?: number | undefined
  readonly classes?: number | undefined
}

/** Images of the graphs that are counted. */
const COUNTED = 2

/** The work that a configuration requires. @param attacks of plugins */
export async function workloadOf(
  config: TrainRunConfig | BackdoorRunConfig,
  data: DataShape,
  monitor: Monitor,
  attacks: readonly Attack[] = [],
): Promise<Workload> {
  if (config.kind === 'train') {
    const { from, imageSize, seed } = config
    const fitting = { data, seed, imageSize, monitor }
    const model = from === undefined ? shaped(config.model, data) : await fitted(from, fitting)
    return { data, model, trainings: 1, triggers: none, otherOperations: data.test * forward(model) }
  }
  const model = await fitted(config.victim, { data, seed: config.seed, monitor })
  const attack = resolveAttack(config.attack, attacks)
  const surrogate = attack.needs.surrogate ? await surrogateLike(model, config, data, monitor) : undefined
  const counts = { poison: Math.round(config.poisoning.rate * data.train), test: data.test }
  const cost = surrogate ? trigger(surrogate, attack, model, monitor) : { operations: 0, mapBytes: 0 }
  return {
    data,
    model,
    trainings: 2,
    triggers: { ...counts, bytes: 3 * model.imageSize ** 2 + cost.mapBytes },
    otherOperations: (counts.poison + counts.test) * cost.operations + 4 * data.test * forward(model),
  }
}

const none: Triggers = { poison: 0, test: 0, bytes: 0 }

/**
 * The size of a data set: as given, as published, or from its files on this machine.
 * @throws UsageError if it would have to be downloaded to find out.
 */
export async function dataShape(
  { dataset, columns }: Pick<TrainRunConfig, 'dataset' | 'columns'>,
  { images, testImages, classes }: GivenSize,
): Promise<DataShape> {
  const known = publishedData[dataset] ?? (await onThisMachine(dataset, columns))
  const train = images ?? known?.train
  const test = testImages ?? known?.test
  const names = classes ?? known?.classes
  if (train !== undefined && test !== undefined && names !== undefined) return { train, test, classes: names }
  throw new UsageError(
    `the data set ${dataset} is not on this machine: give its size with --images, --test-images and --classes`,
  )
}

async function onThisMachine(dataset: string, columns: ColumnChoice): Promise<DataShape | undefined> {
  const train = await splitSize(dataset, 'train', columns)
  if (!train) return undefined
  const test = await splitSize(dataset, 'test', columns)
  return { train: train.count, test: test?.count ?? 0, classes: train.classes }
}

function shaped(config: ModelConfig, { classes }: DataShape): Model {
  try {
    return buildModel(config, { classNames: numbered(classes) })
  } catch (error) {
    throw new UsageError(`model: ${(error as Error).message}`)
  }
}

interface Fitting {
  readonly data: DataShape
  readonly seed: number
  readonly imageSize?: number | undefined
  readonly monitor: Monitor
}

/** A checkpoint's model with a head for the data. */
async function fitted(name: string, { data, seed, imageSize, monitor }: Fitting): Promise<Model> {
  const shape = publishedModels[name]
  if (shape) return shaped(imageSize === undefined ? shape : { ...shape, image_size: imageSize }, data)
  const checkpoint = await loadCheckpoint(name, { withoutClassifier: true, warn: monitor.say })
  // Which classes they are is not known: as many as the checkpoint tells apart are taken for these.
  const { classNames: own } = checkpoint.model
  const classNames = own.length === data.classes ? own : numbered(data.classes)
  return fit(checkpoint, { classNames, imageSize, seed }).model
}

/** Whether a checkpoint exists or may be on the hub: another path may belong to a run that has not been made yet. */
async function isThere(name: string): Promise<boolean> {
  if (name in bundledModels || name in publishedModels || (await stat(name).catch(() => null))) return true
  return name.split('/').length === 2 && parseHubId(name) !== undefined
}

const numbered = (classes: number) => Array.from({ length: classes }, (_, i) => String(i))

function forward(model: Model): number {
  const images = model.fixedBatch ?? COUNTED
  return matrixOperations(classifierGraph(model, placeholderWeights(model), images)) / images
}

/** The model that triggers are computed with, as it is: a surrogate is not fitted to the data. */
async function surrogateLike(
  victim: Model,
  { surrogate }: BackdoorRunConfig,
  data: DataShape,
  monitor: Monitor,
): Promise<Model> {
  const shape = publishedModels[surrogate]
  if (shape) return shaped(shape, data)
  if (await isThere(surrogate)) return (await loadCheckpoint(surrogate, { warn: monitor.say })).model
  monitor.say(`the surrogate ${surrogate} does not exist yet: the plan assumes a model like the victim`)
  return victim
}

/** Forward passes that a gradient at the pixels costs, at most. */
const PASSES_OF_A_GRADIENT = 3

/** What one trigger that is computed with a model costs; those that need none are not worth counting. */
function trigger(
  surrogate: Model,
  attack: ConfiguredAttack,
  { imageSize: side, classNames }: Model,
  monitor: Monitor,
): { operations: number; mapBytes: number } {
  if (attack.prepares) {
    monitor.say(
      `${attack.name} prepares its trigger first: the plan assumes ${PASSES_OF_A_GRADIENT} forward passes of the surrogate ` +
        'a trigger, and leaves out the preparation',
    )
    return { operations: PASSES_OF_A_GRADIENT * forward(surrogate), mapBytes: 0 }
  }
  const size = { height: side, width: side }
  const held = surrogateOf({ model: surrogate, weights: placeholderWeights(surrogate) }, size)
  const context = { seed: 1, ...size, classes: classNames.length, surrogate: held }
  const program = attack.trigger(context, {})
  const batch = needsOf(program).fixedBatch ?? COUNTED
  const values = Object.values(program.maps ?? {}).map(({ shape }) => shape.reduce((n, dim) => n * dim, 1))
  return {
    operations: matrixOperations(programGraph(program, { batch, ...size }).graph) / batch,
    mapBytes: 4 * values.reduce((sum, count) => sum + count, 0),
  }
}
