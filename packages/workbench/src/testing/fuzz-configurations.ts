import { writeFileSync } from 'node:fs'
import { type Choices, damaged, edges, fuzz } from 'onnxgrad/testing'
import { stringify } from 'yaml'
import { readConfiguration } from '../configuration/resolve.js'
import { checkConfiguration } from '../runs/check-configuration.js'
import { parseConfiguration, withChecksum } from '../runs/configuration-file.js'
import type { RunKind } from '../runs/run-kind.js'
import { runKindOf, runKinds } from '../runs/run-kinds.js'
import { fuzzFolder } from './fuzz-folder.js'

/* Reads mutants of configurations and prints a FuzzReport: node --expose-gc fuzz-configurations.js MUTANTS */

const here = fuzzFolder()
const sound = [
  { kind: 'backdoor', dataset: 'cifar10-subset', attack: { name: 'ageb', signal: 180 } },
  { kind: 'train', dataset: 'cifar10-subset', model: { model_type: 'vit', hidden_size: 32 } },
].map(config => {
  const kind: RunKind = runKinds[runKindOf(config.kind, 'here')]
  return stringify(checkConfiguration(kind, config, 'here'))
})

/** What YAML has beside plain values, and what takes long or much to read. */
const odd = [
  '&a [*a]',
  '*nowhere',
  '!!js/function "x"',
  '!!binary "////"',
  '? {a: b} : c',
  `${'['.repeat(5000)}`,
  `${'{a: '.repeat(2000)}`,
  '&x [1]\n'.repeat(3),
  '<<: {kind: train}',
  '__proto__: {polluted: true}',
  'constructor: 1',
  '"\\u0000\\n\\u001b[31m": 1',
  '"line\\nbreak": 1',
  `${'k'.repeat(20_000)}: 1`,
  '.nan',
  '-.inf',
  '0x7fffffffffffffff',
  '2001-01-01',
  '~',
  '---\na: 1\n---\nb: 2',
  `a: &a [x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c, *c, *c, *c]`,
]

function mutant(choices: Choices): { text: string; isOfRun: boolean } {
  const { int, of } = choices
  const file = of(sound)
  const lines = file.split('\n')
  const at = int(lines.length)
  const text = of([
    () => new TextDecoder().decode(damaged(new TextEncoder().encode(file), choices)),
    () =>
      lines
        .with(
          at,
          lines[at]!.replace(/: .*/, () => `: ${of([...odd, ...edges.map(String), '[]', '{}', 'x'])}`),
        )
        .join('\n'),
    () => lines.toSpliced(at, int(3), of(odd)).join('\n'),
    () => lines.toSpliced(at, 1 + int(5)).join('\n'),
    () => lines.with(at, `  ${lines[at]}`).join('\n'),
  ])()
  return { text, isOfRun: int(3) === 0 }
}

const report = await fuzz({
  mutants: Number(process.argv[2]),
  naming: 'mutant.yaml',
  mutant,
  async attempt({ text, isOfRun }) {
    const file = here('mutant.yaml')
    writeFileSync(file, text)
    // A stranger's run has a checksum that fits whatever is in it.
    const plain = isOfRun ? parseConfiguration(withChecksum(text), file) : await readConfiguration(file)
    const kind: RunKind = runKinds[runKindOf(plain.kind, file)]
    checkConfiguration(kind, plain, file)
    if ('polluted' in {}) throw new Error('a prototype was changed')
  },
})
console.log(JSON.stringify(report))
