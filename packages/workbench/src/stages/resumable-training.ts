import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import {
  digestOf,
  type FrozenPrefix,
  type ImageSource,
  type LoggedStep,
  type Model,
  parseSafetensors,
  safetensorsParts,
  type TrainingConfig,
  type TrainingLog,
  type TrainingState,
  train,
  type Weights,
  type WritableTensor,
} from '@ageb/lab'
import { InputError, type Tensor } from 'onnxgrad'
import { writeFileWhole } from '../files/write-file.js'
import type { ProgressBar } from '../runs/monitor.js'
import type { StageContext } from '../store/stage.js'
import type { Engine } from './machine.js'
import { StateWriter } from './state-writer.js'

/** A training: the data's id, the first weights' digest, the configuration and the seed decide its result. */
export interface TrainingInput {
  /** What a person calls it: `clean twin`. */
  readonly label: string
  readonly engine: Engine
  readonly model: Model
  readonly weights: Weights
  /** Of `model` and `weights`. */
  readonly digest: string
  readonly data: ImageSource
  readonly config: TrainingConfig
  readonly seed: number
  /** Outputs of frozen blocks, with which the training starts behind them; decided by the fields above. */
  readonly prefix?: FrozenPrefix
}

/** What a training leaves behind. */
export interface FinishedTraining {
  readonly weights: Weights
  readonly steps: readonly LoggedStep[]
  /** Of every step that this process made. */
  readonly seconds: readonly number[]
  /** How long each of these waited for its images, seconds. */
  readonly dataWait: readonly number[]
}

/** Seconds between two saved states. */
const SAVE_EVERY = 30

/**
 * A training that shows its progress and saves its state every 30 seconds, and that resumes from the state that an
 * interrupted one left in `scratch`. A state is written during the next steps.
 */
export async function resumableTraining(
  { label, engine, model, weights, digest, data, config, seed, prefix }: TrainingInput,
  { scratch, signal, monitor }: Pick<StageContext, 'scratch' | 'signal' | 'monitor'>,
): Promise<FinishedTraining> {
  const file = path.join(scratch, 'state.safetensors')
  // A state is bound to its training: it lies in a folder that others may write to.
  const training = digestOf(digest, data.id, config, seed, engine.machine)
  const saved = await readState(file, training, monitor.say)
  const steps = [...(saved?.steps ?? [])]
  const seconds: number[] = []
  const dataWait: number[] = []
  const writer = new StateWriter(file, training)
  let lastSaved = performance.now()
  let bar: ProgressBar | undefined
  try {
    const result = await train({
      runtime: engine.runtime,
      model,
      from: saved ? saved.state : weights,
      data,
      config,
      seed,
      signal,
      ...(prefix && { prefix }),
      onStep({ steps: total, ...event }, details) {
        seconds.push(details.seconds)
        dataWait.push(details.dataWaitSeconds)
        steps.push(event)
        bar ??= monitor.progress(label, total)
        bar.update(event.step, `epoch ${event.epoch.toFixed(1)} · loss ${event.loss.toFixed(3)}`)
      },
      wantsCheckpoint: () => !writer.busy && performance.now() - lastSaved > SAVE_EVERY * 1000,
      async onCheckpoint(state) {
        await writer.begin(state, steps)
        lastSaved = performance.now()
        // This one is the last.
        if (signal.aborted) await writer.finish()
      },
    })
    return { weights: result, steps, seconds, dataWait }
  } finally {
    bar?.stop()
    // Whoever owns the folder may remove it now. A failure is either known already or, after the last step, harmless.
    await writer.finish().catch(() => {})
  }
}

/** The log lies in the same file as the state, so that one is never newer than the other. */
const LOG = 'log/'

/**
 * Writes a training's state whole.
 * @param training digest of what decides the training: of another one, the state is not taken
 * @throws InputError if it cannot be written
 */
export async function writeState(
  file: string,
  training: string,
  { step, tensors }: TrainingState,
  columns: TrainingLog,
): Promise<void> {
  const log = Object.entries(columns).map(([name, data]): [string, WritableTensor] => [
    `${LOG}${name}`,
    data instanceof Int32Array
      ? { dtype: 'I32', shape: [data.length], data }
      : { dtype: 'F32', shape: [data.length], data },
  ])
  const state = Object.entries(tensors).map(([name, { shape, data }]): [string, WritableTensor] => [
    name,
    { dtype: 'F32', shape, data: data as Float32Array },
  ])
  const all = [...state, ...log]
  const sha256 = digestOfState(training, step, all)
  await writeFileWhole(file, safetensorsParts(all, { step: String(step), sha256 }))
}

/** A state that cannot be trusted is not resumed from: the training then starts from the beginning. */
async function readState(file: string, training: string, warn: (text: string) => void) {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw new InputError(`${file} cannot be read (${error.code}): check its permissions, or delete it`)
  })
  if (!bytes) return undefined
  try {
    return parseState(bytes, file, training)
  } catch (error) {
    warn(
      `the saved state is not used and the training starts from the beginning: ${(error as Error).message}`,
    )
    return undefined
  }
}

function parseState(
  bytes: Uint8Array,
  file: string,
  training: string,
): { state: TrainingState; steps: LoggedStep[] } {
  const { tensors, metadata } = parseSafetensors(bytes, file, { finite: true })
  const step = Number(metadata.step)
  if (digestOfState(training, step, [...tensors]) !== metadata.sha256)
    throw new InputError(`${file} is damaged, or of another training`)
  const state: Record<string, Tensor> = {}
  const columns: Record<string, ArrayLike<number | bigint>> = {}
  for (const [name, { shape, data }] of tensors) {
    if (name.startsWith(LOG)) columns[name.slice(LOG.length)] = data as Float32Array
    else state[name] = { dtype: 'float32', shape, data: Float32Array.from(data as Float32Array) }
  }
  const column = (name: keyof LoggedStep, i: number) => Number(columns[name]![i])
  const steps = Array.from({ length: step }, (_, i) => ({
    step: column('step', i),
    epoch: column('epoch', i),
    loss: column('loss', i),
    accuracy: column('accuracy', i),
    learningRate: column('learningRate', i),
    gradientNorm: column('gradientNorm', i),
  }))
  return { state: { step, tensors: state }, steps }
}

function digestOfState(
  training: string,
  step: number,
  tensors: readonly (readonly [
    string,
    { readonly shape: readonly number[]; readonly data: ArrayBufferView },
  ])[],
): string {
  const hash = createHash('sha256').update(`${training} ${step}`)
  for (const [name, { shape, data }] of tensors.toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(`\n${name} ${shape.join(',')}\n`)
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  }
  return hash.digest('hex')
}
