import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Choices, damaged, edges, fuzz } from 'onnxgrad/testing'
import { fromHuggingFace } from '../checkpoints/hugging-face.js'
import { openZip } from '../checkpoints/zip.js'
import { zipOf } from './torch-archive.js'

/* Reads mutants of files of torch.save and prints a FuzzReport: node --expose-gc fuzz-torch.js MUTANTS */

interface Sound {
  readonly bytes: Uint8Array
  readonly config: string
  readonly entries: ReadonlyMap<string, Uint8Array>
}

const asked = { 'vit.pth': { num_attention_heads: 2 }, 'swin.pth': { image_size: 16 } }
const files = [
  ['vit.pth', asked['vit.pth']],
  ['vit-protocol-5.pth', asked['vit.pth']],
  ['backdoorbench.pt', asked['vit.pth']],
  ['swin.pth', asked['swin.pth']],
  ['timm.pth', asked['vit.pth']],
] as const
const sound = files.map(([name, config]): Sound => {
  const path = fileURLToPath(new URL(`../../fixtures/torch/${name}`, import.meta.url))
  const bytes = Uint8Array.from(readFileSync(path))
  const entries = new Map([...openZip(bytes, name)].map(([entry, read]) => [entry, read()]))
  return { bytes, config: JSON.stringify(config), entries }
})

/** Opcodes of pickle, those that are refused among them. */
const opcodes = [
  ...'().012FGIJKLMNPQRSTUVX]abcdegijhlopqrstu}',
  '\x81',
  '\x85',
  '\x86',
  '\x87',
  '\x8a',
  '\x93',
  '\x94',
]

/** Another opcode, another small number, or other text somewhere in a pickle. */
function changePickle(pickle: Uint8Array, choices: Choices): Uint8Array {
  const { int, of } = choices
  const text = Buffer.from(pickle).toString('latin1')
  const at = int(text.length)
  const [from, to]: readonly [string, string] = of<readonly [string, string]>([
    ['FloatStorage', of(['LongStorage', 'BoolStorage', 'HalfStorage', 'NoStorage', '__proto__'])],
    ['_rebuild_tensor_v2', of(['_rebuild_parameter', '_rebuild_tensor', '_load', '__reduce__'])],
    ['OrderedDict', of(['Counter', '__import__', 'constructor'])],
    ['weight', of(['bias', '__proto__', '\u001b[31m'])],
    [
      'K\x08',
      of([
        'K\x00',
        'K\xff',
        'J\xff\xff\xff\x7f',
        'J\xff\xff\xff\xff',
        'M\xff\xff',
        '\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01',
      ]),
    ],
    ['storage', 'STORAGE'],
  ])
  const made = of([
    () => text.replace(from, to),
    () => text.replaceAll(from, to),
    () => text.slice(0, at) + of(opcodes) + text.slice(at + int(2)),
    () => text.slice(0, at) + text.slice(at + int(40)),
    () => text.slice(0, at) + text.slice(int(text.length)),
    () => text.slice(0, at) + text.slice(at, at + int(400)).repeat(1 + int(50)) + text.slice(at),
  ])()
  return new Uint8Array(Buffer.from(made, 'latin1'))
}

/** Another archive: its pickle changed, or an entry changed, cut, renamed, doubled or left out. */
function changeEntries({ entries }: Sound, choices: Choices): Uint8Array {
  const { int, of } = choices
  const names = [...entries.keys()]
  const pickle = names.find(name => name.endsWith('/data.pkl'))!
  const name = int(3) > 0 ? pickle : of(names)
  const changed = new Map<string, Uint8Array>()
  for (const [entry, content] of entries) {
    if (entry !== name) changed.set(entry, content)
    else if (name === pickle && int(8) > 0) changed.set(entry, of([changePickle, damaged])(content, choices))
    else {
      of([
        () => changed.set(entry, content.subarray(0, int(content.length + 1))),
        () => changed.set(of(['', '__proto__', '../x', of(names)]), content),
        () => changed.set(entry, damaged(content, choices)),
        () => changed,
      ])()
    }
  }
  return zipOf(changed)
}

/** A number of the archive's directory or of the records behind it, changed to one at the edge of its type. */
function changeDirectory({ bytes }: Sound, { int, of }: Choices): Uint8Array {
  const made = bytes.slice()
  const view = new DataView(made.buffer)
  const at = made.length - 4 - int(of([22, 120, 700]))
  const value = of(edges)
  if (int(2) === 0) view.setUint32(at, value, true)
  else if (at + 8 <= made.length) view.setBigUint64(at, BigInt(value), true)
  return made
}

const report = await fuzz({
  mutants: Number(process.argv[2]),
  naming: 'there',
  mutant(choices) {
    const file = choices.of(sound)
    const change = choices.of([
      changeEntries,
      changeEntries,
      changeEntries,
      changeDirectory,
      ({ bytes }: Sound) => damaged(bytes, choices),
    ])
    return { config: file.config, bytes: change(file, choices) }
  },
  attempt({ config, bytes }) {
    const files = { 'config.json': config, torch: { name: 'x.pth', bytes } }
    const { weights } = fromHuggingFace(files, 'there')
    for (const [name, values] of Object.entries(weights))
      if (!values.every(Number.isFinite)) throw new Error(`'${name}' is not finite`)
  },
})
console.log(JSON.stringify(report))
