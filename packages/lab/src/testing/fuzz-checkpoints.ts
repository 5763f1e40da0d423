import { type Choices, changeJson, damaged, fuzz } from 'onnxgrad/testing'
import type { CheckpointFiles } from '../checkpoints/checkpoint.js'
import { fromHuggingFace } from '../checkpoints/hugging-face.js'
import { toHuggingFace } from '../checkpoints/to-hugging-face.js'
import { buildModel, modelConfig } from '../models/registry.js'
import { strongWeights, tinyTask, tinyViT } from './tiny.js'

/* Reads mutants of a checkpoint and prints a FuzzReport: node --expose-gc fuzz-checkpoints.js MUTANTS */

const tiny = [
  { model_type: 'resnet', image_size: 16, embedding_size: 4, hidden_sizes: [4, 8], depths: [1, 1] },
  { model_type: 'swin', image_size: 16, embed_dim: 4, depths: [1, 1], num_heads: [1, 2], window_size: 2 },
] as const
const models = [tinyViT(), ...tiny.map(config => buildModel(modelConfig.parse(config), tinyTask))]
const checkpoints = models.map(model =>
  toHuggingFace({ model, weights: strongWeights(model, 1), provenance: { poisoned: false } }),
)

/** Changes the header of a safetensors file and keeps its length right. */
function changeHeader(file: Uint8Array, choices: Choices): Uint8Array {
  const end = 8 + Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true))
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, end)))
  const text = new TextEncoder().encode(JSON.stringify(changeJson(header, choices)))
  const length = new Uint8Array(8)
  new DataView(length.buffer).setBigUint64(0, BigInt(text.length), true)
  return Uint8Array.from([...length, ...text, ...file.subarray(end)])
}

function mutant(choices: Choices): Partial<CheckpointFiles> {
  const sound = choices.of(checkpoints)
  const name = choices.of(['config.json', 'preprocessor_config.json', 'model.safetensors'] as const)
  if (name === 'model.safetensors') {
    const change = choices.of([damaged, changeHeader, changeHeader])
    return { ...sound, [name]: change(sound[name], choices) }
  }
  const text = sound[name]
  if (choices.int(4) > 0) return { ...sound, [name]: JSON.stringify(changeJson(JSON.parse(text), choices)) }
  return { ...sound, [name]: new TextDecoder().decode(damaged(new TextEncoder().encode(text), choices)) }
}

/** Names of classes that a configuration has must not be replaced by others without a word. */
function assertNamesKept(names: readonly string[], { id2label, label2id }: Record<string, unknown>): void {
  if (!id2label && !label2id) return
  const known = new Set([...Object.values(id2label ?? {}), ...Object.keys(label2id ?? {})])
  const made = names.find(name => !known.has(name))
  if (made !== undefined) throw new Error(`the class '${made}' is none of the file's`)
}

const report = await fuzz({
  mutants: Number(process.argv[2]),
  naming: 'there',
  mutant,
  attempt(files) {
    const { weights, model } = fromHuggingFace(files, 'there')
    assertNamesKept(model.classNames, JSON.parse(files['config.json'] ?? '{}'))
    for (const [name, values] of Object.entries(weights))
      if (!values.every(Number.isFinite)) throw new Error(`'${name}' is not finite`)
  },
})
console.log(JSON.stringify(report))
