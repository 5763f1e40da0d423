import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import {
  decodeTrainingLog,
  encodeTrainingLog,
  parseSafetensors,
  safetensorsParts,
  type TrainingLog,
  trainingLogOf,
  type Weights,
} from '@ageb/lab'
import type { Stage } from '../store/stage.js'
import { resumableTraining, type TrainingInput } from './resumable-training.js'
import { type TrainingPace, trainingPace } from './training-pace.js'

export interface TrainingOutput {
  readonly weights: Weights
  readonly log: TrainingLog
  /** How fast it was, where it was made. */
  readonly pace: TrainingPace
}

const files = { weights: 'weights.safetensors', log: 'log.parquet', pace: 'pace.json' } as const

export const trainingStage: Stage<TrainingInput, TrainingOutput> = {
  name: 'training',
  version: 2,
  key: ({ digest, data, config, seed, engine }) => ({
    model: digest,
    data: data.id,
    config,
    seed,
    machine: engine.machine,
  }),
  async run(input, { folder, scratch, signal, monitor }) {
    const { engine, model, data, config, prefix } = input
    const { weights, steps, seconds, dataWait } = await resumableTraining(input, { scratch, signal, monitor })
    const tensors = Object.entries(weights).map(
      ([name, values]) =>
        [name, { dtype: 'F32', shape: model.parameters[name]!.shape, data: values }] as const,
    )
    await writeFile(path.join(folder, files.weights), safetensorsParts(tensors, {}))
    await writeFile(path.join(folder, files.log), encodeTrainingLog(trainingLogOf(steps)))
    const pace = await trainingPace(engine.runtime, model, config, data, prefix, { seconds, dataWait })
    await writeFile(path.join(folder, files.pace), JSON.stringify(pace))
  },
  async open(folder) {
    const [weights, log, pace] = [files.weights, files.log, files.pace].map(name =>
      path.join(folder, name),
    ) as [string, string, string]
    const { tensors } = parseSafetensors(await readFile(weights), weights, { finite: true })
    return {
      weights: Object.fromEntries(
        [...tensors].map(([name, { data }]) => [name, Float32Array.from(data as Float32Array)]),
      ),
      log: await decodeTrainingLog(await readFile(log), log),
      pace: JSON.parse(await readFile(pace, 'utf8')) as TrainingPace,
    }
  },
}
