import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import * as lab from '@ageb/lab'
import * as workbench from '@ageb/workbench'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { enterFolder, makeRun, runNames, tinyModel } from '../testing/documented-files.js'
import { blocksOf, documents, root } from '../testing/documents.js'

// Every TypeScript example in the documents and docstrings is compiled with the settings of this repository and run in a
// folder that has the files that it names. Examples of onnxgrad's README are run by that package's own test.

/** What is compiled but not run. */
const notRun: Readonly<Record<string, string>> = {
  'packages/workbench/src/benchmark/bench.ts': 'it measures for many seconds',
  'packages/workbench/src/planning/plan.ts': 'it measures for many seconds',
  'packages/lab/src/testing/attack-conformance.ts': 'it declares tests',
}

/** What the text before an example says is there. */
const given: Readonly<Record<string, string>> = {
  'packages/lab/src/testing/attack-conformance.ts': [
    "import { attackConformance } from '@ageb/lab/testing'",
    "declare const myAttack: import('@ageb/lab').Attack",
    'declare const it: (name: string, check: () => Promise<void>) => void',
  ].join('\n'),
  'packages/workbench/src/store/stage.ts': [
    "import { readFile, writeFile } from 'node:fs/promises'",
    "import path from 'node:path'",
    "import type { Stage } from '@ageb/workbench'",
  ].join('\n'),
}

/** What is written otherwise so that an example takes about a second, or is found where it is compiled. */
const substitutions: readonly (readonly [RegExp, string])[] = [
  // An experiment on tiny data with tiny models.
  [
    /(kind: 'backdoor',)/g,
    `$1 dataset: 'my-images', victim: '${tinyModel}', training: { epochs: 1, batchSize: 32 },`,
  ],
  // What a file in the folder of the attacks imports from its neighbours, a module elsewhere imports from the package.
  [/'\.\.\/core\/[\w-]+\.js'/g, "'@ageb/lab'"],
]

interface Example {
  readonly where: string
  /** The file that it is in, from the repository's folder. */
  readonly file: string
  readonly code: string
}

const inDocuments: Example[] = documents()
  .flatMap(blocksOf)
  .filter(({ language }) => language === 'ts')
  .map(({ where, document, text }) => ({ where, file: document, code: text }))

const inDocstrings: Example[] = ['lab', 'workbench', 'report', 'ageb'].flatMap(name => {
  const folder = `packages/${name}/src`
  const files = readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
  return files
    .filter(file => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .flatMap(file => docstrings(`${folder}/${file.replaceAll('\\', '/')}`))
})

/** The examples of a module's docstrings, with imports of what the packages export. */
function docstrings(file: string): Example[] {
  const text = readFileSync(path.join(root, file), 'utf8')
  return [...text.matchAll(/^ *\* @example([\s\S]*?)^ *\*(?:\/| @)/gm)].map(({ 1: lines = '', index }) => {
    const code = lines.replaceAll(/^ *\* ?/gm, '').trim()
    const used = (exports: object) =>
      Object.keys(exports).filter(name => new RegExp(`\\b${name}\\b`).test(code))
    const [fromWorkbench, fromLab] = [used(workbench), used(lab)]
    const imports = [
      `import { ${fromLab.filter(name => !fromWorkbench.includes(name)).join(', ')} } from '@ageb/lab'`,
      `import { ${fromWorkbench.join(', ')} } from '@ageb/workbench'`,
    ]
    const where = `${file}:${text.slice(0, index).split('\n').length}`
    // In a block, whose names may be those of exports.
    return { where, file, code: [...imports, given[file] ?? '', '{', code, '}'].join('\n') }
  })
}

const examples = [...inDocuments, ...inDocstrings].map((example, i) => ({
  ...example,
  module: `example-${i}`,
  code: substitutions.reduce((code, [from, to]) => code.replaceAll(from, to), example.code),
}))

const folder = mkdtempSync(path.join(tmpdir(), 'ageb-examples-'))
/** Within the repository, whose packages they import. */
const build = path.join(root, 'packages', 'ageb', 'dist', 'documentation', 'examples')
let errors: string
let leave: () => void

beforeAll(async () => {
  leave = await enterFolder(folder)
  for (const run of runNames.slice(0, 1)) await makeRun(run, 'finished')
  errors = await compile()
})
afterAll(() => {
  leave()
  rmSync(build, { recursive: true, force: true })
})

/** Compiles all examples; returns what the compiler says. */
async function compile(): Promise<string> {
  rmSync(build, { recursive: true, force: true })
  mkdirSync(build, { recursive: true })
  const settings = {
    extends: path.join(root, 'tsconfig.base.json'),
    compilerOptions: {
      ...{ composite: false, declaration: false, sourceMap: false, types: ['node'] },
      // An example shows what there is, used or not.
      ...{ noUnusedLocals: false },
    },
    include: ['*.ts'],
  }
  writeFileSync(path.join(build, 'tsconfig.json'), JSON.stringify(settings))
  // Also an example that imports nothing is a module.
  for (const { module, code } of examples)
    writeFileSync(path.join(build, `${module}.ts`), `${code}\nexport {}\n`)
  const compiler = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  return promisify(execFile)(process.execPath, [compiler, '-p', build], { cwd: build }).then(
    () => '',
    ({ stdout }: { stdout: string }) => stdout,
  )
}

describe('the examples', () => {
  it('are found', () => {
    expect(inDocuments.map(({ file }) => file)).toEqual(
      expect.arrayContaining(['CONTRIBUTING.md', 'docs/runs.md', 'docs/store.md']),
    )
    expect(inDocstrings.length).toBeGreaterThan(15)
    for (const file of Object.keys({ ...notRun, ...given }))
      expect(examples.map(example => example.file)).toContain(file)
  })

  it('are joined by a table of functions, all of which are exported', () => {
    const { text } = documents().find(({ name }) => name === 'docs/runs.md')!
    const table = text.slice(text.indexOf('| command | function |')).split('\n\n')[0]!
    const names = table.split('\n').flatMap(row => row.split('|')[2]?.match(/(?<=`)\w+(?=`)/g) ?? [])
    expect(names.length).toBeGreaterThan(10)
    expect(Object.keys(workbench)).toEqual(expect.arrayContaining(names))
  })

  it.each(examples)('compile: $where', ({ module, code }) => {
    const mine = errors.split('\n').filter(line => line.startsWith(`${module}.ts`))
    expect(mine, code).toEqual([])
  })

  it.each(examples.filter(({ file }) => !(file in notRun)))('run: $where', async ({ module }) => {
    const spies = (['log', 'debug'] as const).map(name => vi.spyOn(console, name).mockReturnValue())
    try {
      await import(pathToFileURL(path.join(build, `${module}.js`)).href)
    } finally {
      for (const spy of spies) spy.mockRestore()
    }
  })
})
