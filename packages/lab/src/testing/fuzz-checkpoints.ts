import { type Choices, damaged, edges, fuzz } from 'onnxgrad/testing'
import type { CheckpointFiles } from '../checkpoints/checkpoint.js'
import { fromHuggingFace } from '../checkpoints/hugging-face.js'
import { toHuggingFace } from '../checkpoints/to-hugging-face.js'
import { strongWeights, tinyViT } from './tiny.js'

/* Reads mutants of a checkpoint and prints a FuzzReport: node --expose-gc fuzz-checkpoints.js MUTANTS */

const model = tinyViT()
const sound = toHuggingFace({ model, weights: strongWeights(model, 1), provenance: { poisoned: false } })

/** Values that a field of a JSON file may have against all expectation. */
const strange: readonly unknown[] = [
  ...edges,
  null,
  true,
  '',
  'x'.repeat(10_000),
  '__proto__',
  '\u001b[31m',
  [],
  [1, 2],
  {},
  1.5,
  -0.1,
  1e308,
]

/** Puts a strange value somewhere in a JSON value, or leaves a part of it out. */
function changeJson(value: unknown, choices: Choices): unknown {
  const { int, of } = choices
  if (typeof value !== 'object' || value === null || int(6) === 0) return of(strange)
  const keys = Object.keys(value)
  if (keys.length === 0) return of(strange)
  const key = of(keys)
  const entries = Object.entries(value).flatMap(([name, inner]) => {
    if (name !== key) return [[name, inner]]
    const choice = int(12)
    if (choice === 0) return []
    return [[choice === 1 ? of(['__proto__', 'x', '']) : name, changeJson(inner, choices)]]
  })
  return Array.isArray(value) ? entries.map(([, inner]) => inner) : Object.fromEntries(entries)
}

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
  const name = choices.of(['config.json', 'preprocessor_config.json', 'model.safetensors'] as const)
  if (name === 'model.safetensors') {
    const change = choices.of([damaged, changeHeader, changeHeader])
    return { ...sound, [name]: change(sound[name], choices) }
  }
  const text = sound[name]
  if (choices.int(4) > 0) return { ...sound, [name]: JSON.stringify(changeJson(JSON.parse(text), choices)) }
  return { ...sound, [name]: new TextDecoder().decode(damaged(new TextEncoder().encode(text), choices)) }
}

const report = fuzz({
  mutants: Number(process.argv[2]),
  mutant,
  attempt(files) {
    const { weights } = fromHuggingFace(files, 'there')
    for (const [name, values] of Object.entries(weights))
      if (!values.every(Number.isFinite)) throw new Error(`'${name}' is not finite`)
  },
})
console.log(JSON.stringify(report))
