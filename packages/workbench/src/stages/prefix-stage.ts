import path from 'node:path'
import {
  blockInputShape,
  computePrefix,
  type ImageSource,
  type Model,
  type TensorSource,
  type Weights,
} from '@ageb/lab'
import { sizeOf } from 'onnxgrad'
import type { Stage } from '../store/stage.js'
import type { Engine } from './machine.js'
import { openRecords, writeRecords } from './record-file.js'

export interface PrefixInput {
  readonly engine: Engine
  readonly model: Model
  readonly weights: Weights
  /** Of `model` and `weights`. */
  readonly digest: string
  readonly images: ImageSource
  /** The input of this block is computed; blocks are counted from 0. */
  readonly block: number
}

const FILE = 'hidden.bin'

/** What the frozen blocks of a model compute of every image, once for all steps of a training. */
export const prefixStage: Stage<PrefixInput, TensorSource> = {
  name: 'frozen-blocks',
  version: 1,
  key: ({ digest, images, block, engine }) => ({
    model: digest,
    images: images.id,
    block,
    machine: engine.machine,
  }),
  async run({ engine, model, weights, images, block }, { folder, monitor, signal }) {
    const bar = monitor.progress('frozen blocks', images.count)
    const size = sizeOf(blockInputShape(model, block))
    async function* pieces() {
      let done = 0
      for await (const values of computePrefix(engine.runtime, model, weights, images, block)) {
        signal.throwIfAborted()
        yield new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
        done += values.length / size
        bar.update(done)
      }
    }
    await writeRecords(path.join(folder, FILE), pieces()).finally(() => bar.stop())
  },
  async open(folder, { model, images, block }) {
    const shape = blockInputShape(model, block)
    const read = await openRecords(path.join(folder, FILE), images.count, 4 * sizeOf(shape))
    return {
      count: images.count,
      shape,
      read: (indices, out) => read(indices, new Uint8Array(out.buffer, out.byteOffset, out.byteLength)),
    }
  },
}
