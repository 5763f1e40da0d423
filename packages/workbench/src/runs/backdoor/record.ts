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
  type PluginNote,
  type PoisonPlan,
  type Provenance,
  type Stealth,
} from '@ageb/lab'
import { saveCheckpoint } from '../../checkpoints/checkpoint-folder.js'
import type { BackdoorRunConfig } from '../../configuration/backdoor-config.js'
import type { GalleryImage } from '../../stages/gallery-stage.js'
import type { TrainingOutput } from '../../stages/training-stage.js'
import { type LoadedModel, noteOf } from '../loaded-model.js'
import { writeRecord, writeRecordFile } from '../record-files.js'
import { recordHeadOf } from '../record-head.js'
import type { RunFolder } from '../run-folder.js'
import type { OnMachine } from '../run-kind.js'
import type { AttackEffects } from './attack-images.js'

/** All that a backdoor experiment found out. */
export interface BackdoorOutcome {
  readonly attack: ConfiguredAttack
  /** What brought the attack, where it is none of the program's own. */
  readonly plugin: PluginNote | undefined
  /** With the kernel by which images are resized for it within the trigger, if they are. */
  readonly surrogate: (LoadedModel & { readonly resampling: string | undefined }) | undefined
  readonly victim: LoadedModel
  readonly train: ImageSource
  readonly test: ImageSource
  readonly plan: PoisonPlan
  readonly twin: TrainingOutput
  readonly backdoored: TrainingOutput
  readonly predictions: BackdoorPredictions
  readonly stealth: Stealth
  readonly effects: AttackEffects
  readonly gallery: readonly GalleryImage[]
}

/** Writes the record of an experiment, the files that it names and both models into the run's folder. */
export async function recordBackdoor(
  folder: RunFolder,
  config: OnMachine<BackdoorRunConfig>,
  outcome: BackdoorOutcome,
): Promise<void> {
  const { attack, plugin, surrogate, victim, train, test, plan, stealth, effects, gallery } = outcome
  const { mode, target, rate } = config.poisoning
  const { classNames } = train
  const write = (name: string, bytes: Uint8Array) => writeRecordFile(folder, name, bytes)
  const shown: BackdoorRecord['gallery'] = []
  for (const { index, pictures } of gallery) {
    const files = []
    for (const [j, { name, png }] of pictures.entries())
      files.push({ name, file: await write(path.posix.join('gallery', `${index}-${j}.png`), png) })
    shown.push({ index, pictures: files })
  }
  const goal = mode === 'all-to-all' ? 'the next class' : classNames[target]!
  const count = plan.items.filter(({ role }) => role === 'poison').length
  const poisoning = { mode, target, goal, rate, count, cover: plan.items.length - count }
  const label = labelOf(outcome, poisoning, config.seed)
  const record: BackdoorRecord = {
    ...(await recordHeadOf(config, { train, test })),
    kind: 'backdoor',
    models: { surrogate: surrogate ? surrogateNote(surrogate) : null, victim: noteOf(victim) },
    attack: {
      name: attack.name,
      citation: attack.citation,
      url: attack.url,
      version: attack.version,
      access: attack.access,
      ...(plugin && { plugin }),
      parameters: JSON.parse(JSON.stringify(attack.parameters)),
    },
    poisoning,
    stealth,
    effects,
    predictions: await write('predictions.parquet', encodePredictions(outcome.predictions, classNames)),
    poison: await write('poison.parquet', poisonTable(train, plan, label)),
    training: {
      clean: await write('training-clean.parquet', encodeTrainingLog(outcome.twin.log)),
      poisoned: await write('training-poisoned.parquet', encodeTrainingLog(outcome.backdoored.log)),
    },
    gallery: shown,
  }
  await saveModels(folder, outcome, label)
  await writeRecord(folder, backdoorRecord, record)
}

function surrogateNote(surrogate: NonNullable<BackdoorOutcome['surrogate']>) {
  const { resampling } = surrogate
  return { ...noteOf(surrogate), ...(resampling !== undefined && { resampling }) }
}

/** What the poison says of itself, wherever it lies. */
function labelOf(
  { attack, effects }: BackdoorOutcome,
  { goal, rate, count, cover }: BackdoorRecord['poisoning'],
  seed: number,
): Provenance {
  return {
    poisoned: true,
    attack: attack.name,
    parameters: JSON.stringify(attack.parameters),
    target: goal,
    poisonRate: rate,
    poisonCount: count,
    coverCount: cover,
    unchangedCount: effects.poison.unchanged,
    seed,
  }
}

/** One row a training image that was changed. */
function poisonTable({ labels }: ImageSource, { items }: PoisonPlan, label: Provenance): Uint8Array {
  const table = {
    index: Int32Array.from(items, ({ index }) => index),
    role: items.map(({ role }) => role),
    labelBefore: Int32Array.from(items, ({ index }) => labels[index]!),
    labelAfter: Int32Array.from(items, ({ label }) => label),
  }
  return encodeTable(table, { ageb: JSON.stringify(label) })
}

/** Saves both fine-tuned models; the backdoored one says so in its own files. */
async function saveModels(
  folder: RunFolder,
  { victim, twin, backdoored, train }: BackdoorOutcome,
  label: Provenance,
): Promise<void> {
  const note = `fine-tuned by ageb on the ${train.split} split of ${train.name}`
  await saveCheckpoint(folder.file('clean-model'), {
    ...victim.checkpoint,
    weights: twin.weights,
    provenance: { poisoned: false, seed: label.seed, note },
  })
  await saveCheckpoint(folder.file('backdoored-model'), {
    ...victim.checkpoint,
    weights: backdoored.weights,
    provenance: { ...label, note: `${note}, deliberately backdoored: for research on defenses only` },
  })
}
