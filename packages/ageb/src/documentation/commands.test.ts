import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { loadPlugins, readConfiguration, resolveConfiguration } from '@ageb/workbench'
import type { Command } from 'commander'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { makeProgram } from '../cli/program.js'
import { enterFolder, makeRun, readmeExperiment, runNames, tinyModel } from '../testing/documented-files.js'
import {
  blocksOf,
  type CommandLine,
  commandLines,
  commentedLines,
  documents,
  helpExamples,
  root,
} from '../testing/documents.js'

// Every command line in the documents, in the help and in the bundled configurations is carried out as it is written,
// in a folder that has what it names. A new one is found by itself. Where it would take long, something is put behind
// it: see `additions`. Where it cannot be carried out, `exceptions` says why.

/** What is not carried out, and why. That its script, its file and its flags exist is checked all the same. */
const exceptions: readonly { readonly line: RegExp; readonly because: string }[] = [
  { line: /^npm (start|test|run \w+)$/, because: 'it installs, builds or tests this repository' },
  { line: /^npx vitest run /, because: 'it runs the tests' },
  { line: /^ageb bench/, because: 'it measures for a minute; its own test does so in small' },
  { line: /^python tools\//, because: 'it needs Python with transformers' },
  { line: /^node tools\/bench-against-pytorch/, because: 'it needs Python with PyTorch' },
  { line: /^node \S+make-subset\.js /, because: 'it needs all of CIFAR-10' },
  { line: /^node \S+(fuzz\.mjs|damaged-runs\.js) /, because: 'it takes an hour; tests do the same in small' },
]

/**
 * What is put behind a command line so that it takes about a second: tiny data, tiny models, few steps. What is written
 * is parsed before that, and holds wherever nothing here takes its place.
 */
const additions: readonly { readonly line: RegExp; readonly words: readonly string[] }[] = [
  {
    line: /^ageb (run|demo|train|eval|plan|predict|trigger|export-trigger)(?!.*--(resume|threads))/,
    words: ['--threads', '1'],
  },
  { line: /^ageb (run|demo|train|eval)(?!.*--(resume|run|data))/, words: ['--data', 'my-images'] },
  { line: /^ageb (run|demo)(?!.*--resume)/, words: setting(`surrogate=${tinyModel}`, `victim=${tinyModel}`) },
  { line: /^ageb plan .*\.yaml/, words: setting(`surrogate=${tinyModel}`, `victim=${tinyModel}`) },
  { line: /heldOut=500/, words: setting('heldOut=10') },
  { line: /^ageb train/, words: setting('training.epochs=1', 'training.batchSize=32') },
  {
    line: /^ageb (train|plan)(?!.*(--from|\.yaml))/,
    words: setting('model.num_hidden_layers=1', 'model.intermediate_size=16'),
  },
  // The width of a ViT-B would make the time.
  { line: /model\.hidden_size=768/, words: setting('model.hidden_size=48', 'model.num_attention_heads=4') },
]

function setting(...keys: string[]): string[] {
  return ['--set', ...keys]
}

const all = documents()
const blocks = all.flatMap(blocksOf)
const configs = ['demo', 'paper/vit-b16', 'paper/deit-s', 'paper/deit-b', 'paper/swin-t'].map(
  name => `packages/workbench/configs/${name}.yaml`,
)
const lines = unique([
  ...blocks.filter(({ language }) => language === 'sh').flatMap(commandLines),
  ...helpExamples(makeProgram()),
  ...configs.flatMap(name => commentedLines(name, readFileSync(path.join(root, name), 'utf8'))),
])
const isException = (text: string) => exceptions.some(({ line }) => line.test(text))

/** Each once, however often it is written. */
function unique(given: readonly CommandLine[]): { where: string; text: string; words: readonly string[] }[] {
  const byText = new Map(given.map(({ where, words }) => [words.join(' '), { where, words }]))
  return [...byText].map(([text, line]) => ({ text, ...line }))
}

const folder = mkdtempSync(path.join(tmpdir(), 'ageb-documentation-'))
let leave: () => void

beforeAll(async () => {
  leave = await enterFolder(folder)
  for (const run of runNames) await makeRun(run, 'finished')
})
afterAll(() => leave())

/** Carries a command line out in this process, and returns what it prints. Throws what goes wrong. */
async function ageb(words: readonly string[]): Promise<string> {
  let printed = ''
  const print = (text: string | Uint8Array) => {
    printed += text
    return true
  }
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(print),
    vi.spyOn(process.stderr, 'write').mockImplementation(() => true),
    vi.spyOn(console, 'debug').mockImplementation(() => {}),
  ]
  try {
    await makeProgram().parseAsync(words, { from: 'user' })
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
  return printed
}

describe('every command line that is written down', () => {
  it.each(lines.filter(({ text }) => !isException(text)))('$where: $text', async ({ text, words }) => {
    const [program, ...given] = words
    expect(program, 'a program that this test cannot run: see `exceptions`').toBe('ageb')
    const resumed = given[given.indexOf('--resume') + 1]!
    if (given.includes('--resume')) {
      await makeRun(resumed, 'interrupted')
      expect(existsSync(path.join(resumed, 'record.json'))).toBe(false)
    }
    // Pruning is for a store of its own.
    if (given[0] === 'store') process.env.AGEB_STORE = path.join(folder, 'store-to-prune')
    const more = additions.flatMap(({ line, words }) => (line.test(text) ? words : []))
    const printed = await ageb([...given, ...more])
    process.env.AGEB_STORE = path.join(folder, 'store')
    if (given.includes('--resume')) expect(existsSync(path.join(resumed, 'record.json'))).toBe(true)
    if (given.includes('--json')) JSON.parse(printed.trimEnd().split('\n').at(-1)!)
    expect(printed.trim()).not.toBe('')
  })

  it.each(lines.filter(({ text }) => isException(text)))('$where: $text exists', async ({ words }) => {
    const [program, ...given] = words as [string, ...string[]]
    const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
    if (program === 'npm') expect(scripts).toHaveProperty(given.at(-1)!)
    for (const word of given)
      if (/^(packages|tools|docs)\//.test(word)) expect(existsSync(path.join(root, word)), word).toBe(true)
    if (program === 'ageb') await parse(given)
  })
})

/** Reads a command line without doing anything. Throws what is wrong with it. */
async function parse(words: readonly string[]): Promise<void> {
  const program = makeProgram().configureOutput({ writeErr() {} })
  commandOf(program, words).action(() => {})
  await program.parseAsync(words, { from: 'user' })
}

/** The command that words begin with. */
function commandOf(program: Command, words: readonly string[]): Command {
  const one = program.commands.find(command => [command.name(), ...command.aliases()].includes(words[0]!))
  return one ? commandOf(one, words.slice(1)) : program
}

describe('the documents', () => {
  it('have command lines where this test finds them', () => {
    expect(lines.length).toBeGreaterThan(80)
    for (const { where, language, text } of blocks)
      expect(text, where).not.toMatch(language === 'sh' ? /^ageb /m : /^\s*(\$ )?(npx )?ageb [a-z]/m)
    for (const { name, text } of all) expect(text, name).not.toMatch(/^ {4,}(npx|npm|ageb|node) /m)
    const used = (line: RegExp) => lines.some(({ text }) => line.test(text))
    for (const { line } of [...exceptions, ...additions]) expect(used(line), String(line)).toBe(true)
  })

  it('speak in passing of commands and flags that there are', () => {
    const program = makeProgram()
    for (const { name, text } of all)
      for (const [, command] of text.matchAll(/`(?:npx )?ageb ([^`]+)`/g)) {
        const words = command!.split(/\s+/)
        if (!/^[a-z]/.test(words[0]!)) continue
        const found = commandOf(program, words)
        expect(found, `${name}: ageb ${command}`).not.toBe(program)
        const flags = [...found.options.map(({ long }) => long), '--help']
        for (const word of words)
          if (/^--[a-z]/.test(word)) expect(flags, `${name}: ${command}`).toContain(word)
      }
  })

  it('link to files and headings that there are', () => {
    const slug = (heading: string) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} -]/gu, '')
        .replaceAll(' ', '-')
    for (const { name, text } of all)
      for (const [, link] of text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
        const [target, anchor] = link!.split('#') as [string, string | undefined]
        const file = target === '' ? name : path.join(path.dirname(name), target)
        expect(existsSync(path.join(root, file)), `${name}: ${link}`).toBe(true)
        if (anchor === undefined) continue
        const headings = readFileSync(path.join(root, file), 'utf8').matchAll(/^#+ (.*)$/gm)
        expect(
          [...headings].map(([, heading]) => slug(heading!)),
          name,
        ).toContain(anchor)
      }
  })

  it.each(blocks.filter(({ language }) => language === 'yaml'))(
    'have experiments that can be run: $where',
    async ({ where, text }) => {
      const configuration = await readConfiguration(write('experiment-of-a-document.yaml', text))
      const loaded = await loadPlugins(configuration, where, { named: undefined, folder: '.' })
      const resolved = await resolveConfiguration(loaded.configuration, where, loaded.plugins)
      expect(Object.keys(resolved)).toEqual(expect.arrayContaining(Object.keys(configuration)))
    },
  )

  it('explain every key of the experiment in the README', () => {
    for (const line of readmeExperiment().trimEnd().split('\n'))
      expect(line).toMatch(/^#|^\w+:$|^ *\w+: \S+ +# /)
  })
})

function write(name: string, text: string): string {
  writeFileSync(name, text)
  return name
}
