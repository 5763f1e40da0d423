import { createHash } from 'node:crypto'
import path from 'node:path'
import {
  type BackdoorPredictions,
  type BackdoorRecord,
  backdoorRecord,
  type ConfiguredAttack,
  encodePredictions,
  encodeTable,
  encodeTrainingLog,
  type ImageSource,
  type PoisonPlan,
  type Stealth,
} from '@ageb/lab'
import { runtimeVersion } from 'onnxgrad/node'
import { saveCheckpoint } from '../../checkpoints/checkpoint-folder.js'
import type { BackdoorRunConfig } from '../../configuration/backdoor-config.js'
import { version } from '../../files/version.js'
import type { GalleryImage } from '../../stages/gallery-stage.js'
import type { TrainingOutput } from '../../stages/training-stage.js'
import type { LoadedModel } from '../loaded-model.js'
import type { RunFolder } from '../run-folder.js'

/** All that a backdoor experiment found out. */
export interface BackdoorOutcome {
  readonly attack: ConfiguredAttack
  readonly surrogate: LoadedModel | undefined
  readonly victim: LoadedModel
  readonly train: ImageSource
  readonly test: ImageSource
  readonly plan: PoisonPlan
  readonly twin: TrainingOutput
  readonly backdoored: TrainingOutput
  readonly predictions: BackdoorPredictions
  readonly stealth: Stealth
  readonly gallery: readonly GalleryImage[]
}

/** Writes the record of an experiment, the files that it names and both models into the run's folder. */
export async function recordBackdoor(
  folder: RunFolder,
  config: BackdoorRunConfig,
  outcome: BackdoorOutcome,
): Promise<void> {
  const { attack, surrogate, victim, train, test, plan, stealth, gallery } = outcome
  const { mode, target, rate } = config.poisoning
  const { classNames } = train
  const write = async (name: string, bytes: Uint8Array) => {
    await folder.write(name, [bytes])
    return { name, sha256: createHash('sha256').update(bytes).digest('hex') }
  }
  const shown: BackdoorRecord['gallery'] = []
  for (const { index, pictures } of gallery) {
    const files = []
    for (const [j, { name, png }] of pictures.entries())
      files.push({ name, file: await write(path.posix.join('gallery', `${index}-${j}.png`), png) })
    shown.push({ index, pictures: files })
  }
  const goal = mode === 'all-to-all' ? 'the next class' : classNames[target]!
  const count = plan.items.filter(({ role }) => role === 'poison').length
  const record: BackdoorRecord = {
    format: 1,
    kind: 'backdoor',
    configuration: JSON.parse(JSON.stringify(config)),
    environment: {
      ageb: version(),
      onnxruntime: runtimeVersion ?? 'unknown',
      device: String(config.device),
      threads: config.threads,
    },
    data: {
      name: train.name,
      classNames: [...classNames],
      train: { split: train.split, count: train.count, id: train.id },
      test: { split: test.split, count: test.count, id: test.id },
      notes: [],
    },
    models: { surrogate: surrogate ? modelNote(surrogate) : null, victim: modelNote(victim) },
    attack: {
      name: attack.name,
      citation: attack.citation,
      url: attack.url,
      version: attack.version,
      access: attack.access,
      parameters: attack.parameters,
    },
    poisoning: { mode, target, goal, rate, count, cover: plan.items.length - count },
    stealth,
    predictions: await write('predictions.parquet', encodePredictions(outcome.predictions, classNames)),
    poison: await write('poison.parquet', poisonTable(train, plan)),
    training: {
      clean: await write('training-clean.parquet', encodeTrainingLog(outcome.twin.log)),
      poisoned: await write('training-poisoned.parquet', encodeTrainingLog(outcome.backdoored.log)),
    },
    gallery: shown,
  }
  await saveModels(folder, config, outcome, record)
  await folder.write('record.json', `${JSON.stringify(backdoorRecord.parse(record), null, 2)}\n`)
}

/** One row a training image that was changed. */
function poisonTable({ labels }: ImageSource, { items }: PoisonPlan): Uint8Array {
  return encodeTable({
    index: Int32Array.from(items, ({ index }) => index),
    role: items.map(({ role }) => role),
    labelBefore: Int32Array.from(items, ({ index }) => labels[index]!),
    labelAfter: Int32Array.from(items, ({ label }) => label),
  })
}

function modelNote({ name, checkpoint, digest }: LoadedModel) {
  const { model, provenance } = checkpoint
  return { name, modelType: model.modelType, imageSize: model.imageSize, digest, poisoned: provenance.poisoned }
}

/** Saves both fine-tuned models; the backdoored one says so in its own files. */
async function saveModels(
  folder: RunFolder,
  { seed }: BackdoorRunConfig,
  { victim, twin, backdoored, train }: BackdoorOutcome,
  { attack, poisoning }: BackdoorRecord,
): Promise<void> {
  const note = `fine-tuned by ageb on the ${train.split} split of ${train.name}`
  await saveCheckpoint(folder.file('clean-model'), {
    ...victim.checkpoint,
    weights: twin.weights,
    provenance: { poisoned: false, seed, note },
  })
  await saveCheckpoint(folder.file('backdoored-model'), {
    ...victim.checkpoint,
    weights: backdoored.weights,
    provenance: {
      poisoned: true,
      attack: attack.name,
      parameters: JSON.stringify(attack.parameters),
      target: poisoning.goal,
      poisonRate: poisoning.rate,
      poisonCount: poisoning.count,
      seed,
      note: `${note}, deliberately backdoored: for research on defenses only`,
    },
  })
}
