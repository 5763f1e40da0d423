import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

// Who may import whom is written in biome.json. Here the linter is seen to refuse what it must, in a tree of planted
// files under the real rules, and to find nothing in the real tree.

const root = fileURLToPath(new URL('../', import.meta.url))
const biome = path.join(root, 'node_modules/@biomejs/biome/bin/biome')
const rules = ['style/noRestrictedImports', 'suspicious/noImportCycles', 'style/useNodejsImportProtocol']

/** What the three rules find wrong in a folder: file → the rules broken there; and how many files they looked at. */
async function faultsIn(folder) {
  const args = [biome, 'lint', '--reporter=json', '--max-diagnostics=none', '--error-on-warnings']
  const only = rules.map(rule => `--only=${rule}`)
  const { stdout, stderr } = await new Promise(resolve => {
    const options = { cwd: folder, maxBuffer: 2 ** 28 }
    execFile(process.execPath, [...args, ...only, '.'], options, (_, stdout, stderr) =>
      resolve({ stdout, stderr }),
    )
  })
  if (!stdout.includes('"diagnostics"')) throw new Error(`biome did not report: ${stderr}`)
  const { diagnostics, summary } = JSON.parse(stdout)
  const faults = new Map()
  for (const { category, location } of diagnostics) {
    const file = (location?.path?.file ?? location?.path ?? '').replaceAll('\\', '/')
    faults.set(file, [...(faults.get(file) ?? []), category.replace('lint/', '')])
  }
  return { faults, files: summary.unchanged }
}

/** Where a file lies, and what it may not import from there. */
const refused = [
  ['onnxgrad/src/graph', '../ops/registry.js'],
  ['onnxgrad/src/graph', '../onnx/to-onnx.js'],
  ['onnxgrad/src/graph', 'protobufjs/light.js'],
  ['onnxgrad/src/ops', '../passes/rewrite.js'],
  ['onnxgrad/src/ops', '../autodiff/gradients.js'],
  ['onnxgrad/src/onnx', '../train/losses.js'],
  ['onnxgrad/src/autodiff', '../passes/rewrite.js'],
  ['onnxgrad/src/passes', '../autodiff/gradients.js'],
  ['onnxgrad/src/passes', '../runtime/session.js'],
  ['onnxgrad/src/train', '../runtime/session.js'],
  ['onnxgrad/src/train', 'node:fs'],
  ['onnxgrad/src/runtime', '../train/losses.js'],
  ['onnxgrad/src/runtime', './node/index.js'],
  ['onnxgrad/src/runtime', 'node:worker_threads'],
  ['onnxgrad/src/runtime/node', '../../ops/registry.js'],
  ['onnxgrad/src/runtime/web', '../node/index.js'],
  ['onnxgrad/src/runtime/web', 'node:fs/promises'],
  ['onnxgrad/src', './testing/evaluate.js'],
  ['onnxgrad/src/testing', '@ageb/lab'],
  ['lab/src/attacks/blend', 'node:fs/promises'],
  ['lab/src', 'onnxgrad/node'],
  ['lab/src', 'onnxgrad/testing'],
  ['lab/src/models', '../testing/tiny.js'],
  ['lab/src/testing', '@ageb/workbench'],
  ['workbench/src/runs', 'ageb'],
  ['workbench/src/runs', '@ageb/report'],
  ['workbench/src', 'commander'],
  ['workbench/src', 'cli-progress'],
  ['workbench/src', 'picocolors'],
  ['report/src', '@ageb/workbench'],
  ['report/src', 'onnxgrad'],
  ['report/src', 'node:path'],
  ['ageb/src/commands', '@ageb/workbench/testing'],
]

const allowed = [
  ['onnxgrad/src/graph', '../errors.js'],
  ['onnxgrad/src/graph', './shape.js'],
  ['onnxgrad/src/ops', '../graph/graph.js'],
  ['onnxgrad/src/onnx', '../ops/registry.js'],
  ['onnxgrad/src/train', '../onnx/to-onnx.js'],
  ['onnxgrad/src/runtime', 'onnxruntime-common'],
  ['onnxgrad/src/runtime/node', 'node:fs/promises'],
  ['onnxgrad/src/runtime/web', 'onnxruntime-web/wasm'],
  ['lab/src/attacks/ageb', '../ageb/trigger.js'],
  ['lab/src', 'onnxgrad'],
  ['workbench/src', 'onnxgrad/node'],
  ['report/src', '@ageb/lab'],
  ['ageb/src', '@ageb/report'],
]

/** Names of the folders in a folder. */
async function foldersOf(folder) {
  const entries = await readdir(path.join(root, folder), { withFileTypes: true })
  return entries.filter(entry => entry.isDirectory()).map(({ name }) => name)
}

const packages = (await foldersOf('packages')).filter(name => existsSync(`${root}packages/${name}/src`))
const layers = await foldersOf('packages/onnxgrad/src')

describe('under the rules of biome.json', () => {
  let folder
  let faults
  const plantAt = async (file, text) => {
    await mkdir(path.join(folder, path.dirname(file)), { recursive: true })
    await writeFile(path.join(folder, file), text)
  }
  const placeOf = (list, i, [where]) =>
    `packages/${where}/planted-${list === refused ? 'bad' : 'good'}-${i}.ts`

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'layers-'))
    await copyFile(path.join(root, 'biome.json'), path.join(folder, 'biome.json'))
    await writeFile(path.join(folder, '.gitignore'), 'dist/\n')
    for (const list of [refused, allowed]) {
      for (const [i, entry] of list.entries()) {
        await plantAt(placeOf(list, i, entry), `export * from '${entry[1]}'\n`)
      }
    }
    await plantAt('packages/lab/src/forms.ts', "import type { A } from 'ageb/a.js'\nexport type B = A\n")
    await plantAt('packages/lab/src/late.ts', "export const late = () => import('node:fs')\n")
    await plantAt('packages/lab/src/plain.ts', "export * from 'fs'\n")
    await plantAt('packages/lab/src/some.test.ts', "import 'onnxgrad/node'\nimport 'node:fs'\n")
    await plantAt('packages/lab/src/one.ts', "import type { Two } from './two.js'\nexport type One = Two[]\n")
    await plantAt('packages/lab/src/two.ts', "import type { One } from './one.js'\nexport type Two = One[]\n")
    for (const layer of layers) await plantAt(`packages/onnxgrad/src/${layer}/covered.ts`, "import 'ageb'\n")
    for (const name of packages) {
      const other = name === 'ageb' ? 'onnxgrad/testing' : 'ageb'
      await plantAt(`packages/${name}/src/covered.ts`, `import '${other}'\n`)
    }
    faults = (await faultsIn(folder)).faults
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it.each(refused.map((entry, i) => [...entry, i]))('a file in %s may not import %s', (where, _, i) => {
    expect(faults.get(placeOf(refused, i, [where]))).toEqual(['style/noRestrictedImports'])
  })

  it.each(allowed.map((entry, i) => [...entry, i]))('a file in %s may import %s', (where, _, i) => {
    expect(faults.get(placeOf(allowed, i, [where]))).toBeUndefined()
  })

  it('types, late imports and old names of built-in modules are no way round', () => {
    expect(faults.get('packages/lab/src/forms.ts')).toEqual(['style/noRestrictedImports'])
    expect(faults.get('packages/lab/src/late.ts')).toEqual(['style/noRestrictedImports'])
    expect(faults.get('packages/lab/src/plain.ts')).toEqual(['style/useNodejsImportProtocol'])
  })

  it('tests may use Node', () => expect(faults.get('packages/lab/src/some.test.ts')).toBeUndefined())

  it('two files may not import each other, even types alone', () => {
    expect(faults.get('packages/lab/src/one.ts')).toEqual(['suspicious/noImportCycles'])
    expect(faults.get('packages/lab/src/two.ts')).toEqual(['suspicious/noImportCycles'])
  })

  it.each(layers)('onnxgrad/src/%s has a rule', layer => {
    expect(faults.get(`packages/onnxgrad/src/${layer}/covered.ts`)).toEqual(['style/noRestrictedImports'])
  })

  it.each(packages)('packages/%s has a rule', name => {
    expect(faults.get(`packages/${name}/src/covered.ts`)).toEqual(['style/noRestrictedImports'])
  })
})

it('the repository keeps the rules', async () => {
  const { faults, files } = await faultsIn(root)
  expect(Object.fromEntries(faults)).toEqual({})
  expect(files).toBeGreaterThan(300)
})
