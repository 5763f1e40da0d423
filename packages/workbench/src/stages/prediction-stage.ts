import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { decodeTable, encodeTable, type ImageSource, type Model, predict, type Weights } from '@ageb/lab'
import type { Stage } from '../store/stage.js'
import type { Engine } from './machine.js'

export interface PredictionInput {
  readonly engine: Engine
  readonly model: Model
  readonly weights: Weights
  /** Of `model` and `weights`. */
  readonly digest: string
  readonly images: ImageSource
}

const FILE = 'predicted.parquet'
const BATCH = 100

/** The class that a model predicts for each image of a source, in order. */
export const predictionStage: Stage<PredictionInput, Int32Array> = {
  name: 'predictions',
  version: 1,
  key: ({ digest, images, engine }) => ({ model: digest, images: images.id, machine: engine.machine }),
  async run({ engine, model, weights, images }, { folder, monitor, signal }) {
    const bar = monitor.progress('predictions', images.count)
    let done = 0
    const watched = {
      ...images,
      async read(indices: ArrayLike<number>, out: Uint8Array) {
        signal.throwIfAborted()
        await images.read(indices, out)
        done += indices.length
        bar.update(done)
      },
    }
    const predicted = await predict(engine.runtime, model, weights, watched, BATCH).finally(() => bar.stop())
    await writeFile(path.join(folder, FILE), encodeTable({ predicted }))
  },
  async open(folder) {
    const file = path.join(folder, FILE)
    return (await decodeTable(await readFile(file), { predicted: 'int' }, file)).predicted
  },
}
