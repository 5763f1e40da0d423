import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Runtime } from 'onnxgrad'
import { evaluate, numbers } from 'onnxgrad/testing'
import type { Checkpoint, ReadableFiles } from '../checkpoints/checkpoint.js'
import { openSafetensors, parseSafetensors } from '../checkpoints/safetensors.js'
import { type WritableTensor, writeSafetensors } from '../checkpoints/write-safetensors.js'
import { classifierGraph } from '../inference/classifier.js'

/** A file of `fixtures/checkpoints`. */
export function fixturePath(name: string): string {
  return fileURLToPath(new URL(`../../fixtures/checkpoints/${name}`, import.meta.url))
}

/** The files of a checkpoint there. */
export function fixture(name: string): ReadableFiles {
  const text = (file: string) =>
    existsSync(fixturePath(`${name}/${file}`)) && {
      [file]: readFileSync(fixturePath(`${name}/${file}`), 'utf8'),
    }
  const weights = readdirSync(fixturePath(name)).filter(
    file => file.startsWith('model') && !file.endsWith('.json'),
  )
  const bytes = Object.fromEntries(
    weights.map(file => [file, Uint8Array.from(readFileSync(fixturePath(`${name}/${file}`)))]),
  )
  return {
    ...text('config.json'),
    ...text('preprocessor_config.json'),
    ...text('model.safetensors.index.json'),
    ...(bytes['model.safetensors'] ? bytes : { shards: bytes }),
  }
}

/** The largest deviation of a checkpoint's logits from what its library computed. */
export async function deviation(
  runtime: Runtime,
  { model, weights }: Checkpoint,
  goldens: string,
): Promise<number> {
  const { tensors } = parseSafetensors(readFileSync(fixturePath(`${goldens}.safetensors`)), goldens)
  const [pixels, logits] = ['pixels', 'logits'].map(name => tensors.get(name)!.data as ArrayLike<number>)
  const graph = classifierGraph(model, weights, 2)
  const got = numbers((await evaluate(runtime, graph, { images: pixels! })).logits)
  if (got.length !== logits!.length) throw new Error(`${got.length} logits, not ${logits!.length}`)
  return Math.max(...got.map((value, i) => Math.abs(value - logits![i]!)))
}

/** A checkpoint there with keys of its config.json changed. */
export function withConfig(name: string, changes: Record<string, unknown>): ReadableFiles {
  const files = fixture(name)
  return { ...files, 'config.json': JSON.stringify({ ...JSON.parse(files['config.json']!), ...changes }) }
}
/** The weights of a checkpoint there with shapes changed; all values are zeros. */
export function withShapes(
  name: string,
  change: (shapes: Map<string, number[]>) => void,
): Pick<ReadableFiles, 'model.safetensors'> {
  const stored = openSafetensors(fixture(name)['model.safetensors']!, name).tensors
  const shapes = new Map([...stored].map(([tensor, { shape }]) => [tensor, [...shape]]))
  change(shapes)
  const zeros = [...shapes].map(([tensor, shape]): [string, WritableTensor] => [
    tensor,
    { dtype: 'F32', shape, data: new Float32Array(shape.reduce((n, dim) => n * dim, 1)) },
  ])
  return { 'model.safetensors': writeSafetensors(zeros) }
}
