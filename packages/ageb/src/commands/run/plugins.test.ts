import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { configurationText, writeDataset, writeTinyModel } from '@ageb/workbench/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Ended, json, scratch } from '../../cli/test-kit.js'

// A user's own attack in real processes: what it may do, what is refused, and what the store makes of a change in it.
const here = scratch('plugins')
afterAll(() => here.remove())

const example = fileURLToPath(new URL('../../../../../examples/plugin-attack/my-attack.js', import.meta.url))
const attack = (name: string) =>
  readFileSync(example, 'utf8').replace('corner-checkerboard', name).replace('255', 'BRIGHT')
const write = (file: string, text: string) => writeFileSync(here.file(file), text)
const settings = ['training.epochs=1', 'training.batchSize=8', 'training.crop=1', 'poisoning.rate=0.25']
const run = (args: readonly string[], more: readonly string[] = []) =>
  here.ageb(['run', ...args, '--json', '--threads', '1', '--set', ...settings, ...more])
const file = (...names: string[]) => readFileSync(here.file(...names), 'utf8')
const reused = (ended: Ended) => json(ended).reused

beforeAll(async () => {
  await writeDataset(here.file('data'), { side: 12 })
  await writeTinyModel(here.file('model'), { side: 12 })
  symlinkSync(
    fileURLToPath(new URL('../../../../../node_modules', import.meta.url)),
    here.file('node_modules'),
    'junction',
  )
  // The folder is a package: what a package.json above says of imports does not hold here.
  write('package.json', '{ "private": true }\n')
  mkdirSync(here.file('study'))
  write('study/mine.mjs', `import { BRIGHT } from './bright.mjs'\n${attack('mine')}`)
  write('study/bright.mjs', 'export const BRIGHT = 255\n')
  write(
    'study/experiment.yaml',
    'kind: backdoor\nplugins: [./mine.mjs]\ndataset: data\nvictim: model\nattack: mine\n',
  )
})

describe('an attack of a plugin', () => {
  it('is run, and the record says whose it is', async () => {
    const ended = await run(['study/experiment.yaml', '--out', 'first'])
    expect(ended).toMatchObject({ code: 0 })
    expect(json(ended).attack).toBe('mine')
    const { attack, configuration } = JSON.parse(file('first', 'record.json'))
    expect(attack).toMatchObject({ name: 'mine', parameters: { size: 4 }, plugin: { name: 'mine.mjs' } })
    expect(configuration.plugins).toEqual([attack.plugin])
  })

  it('named on the command line leaves the same record', async () => {
    write('plain.yaml', 'kind: backdoor\ndataset: data\nvictim: model\n')
    const args = ['plain.yaml', '--plugin', 'study/mine.mjs', '--out', 'flag']
    const ended = await run(args, ['attack=mine'])
    expect(reused(ended)).toHaveLength(9)
    expect(file('flag', 'record.json')).toBe(file('first', 'record.json'))
  })

  it('has presets, and parameters whose names and ranges are checked', async () => {
    const large = ['attack.preset=large', 'training.epochs=0.5']
    const ended = await run(['study/experiment.yaml', '--out', 'large'], large)
    expect(ended).toMatchObject({ code: 0 })
    expect(file('large', 'config.yaml')).toContain('attack:\n  name: mine\n  size: 8\n')
    const refused = async (...more: string[]) => (await run(['study/experiment.yaml'], more)).stderr
    expect(await refused('attack.sise=3')).toContain("there is no key 'sise' under 'attack'")
    expect(await refused('attack.size=17')).toContain("'attack.size': Too big")
    expect(await refused('attack.preset=huge')).toContain('mine has no preset')
    expect(await refused('attack=yours')).toContain("there is no attack 'yours': choose one of ageb, badnets")
  })

  it('is listed, shown, and has its keys in the help', async () => {
    const flags = ['--plugin', 'study/mine.mjs', '--json']
    const { attacks } = json(await here.ageb(['attack', 'list', ...flags])) as { attacks: object[] }
    expect(attacks.at(-1)).toMatchObject({ name: 'mine', plugin: { name: 'mine.mjs' } })
    const shown = json(await here.ageb(['attack', 'show', 'mine', ...flags]))
    expect(shown).toEqual(attacks.at(-1))
    const help = await here.ageb(['help', 'config', 'attack.mine', '--plugin', 'study/mine.mjs'])
    expect(help.stdout).toMatch(/attack\.size .*default 4\n +side of the checkerboard, pixels/)
    const schema = await here.ageb(['schema', 'backdoor', ...flags])
    expect(schema.stdout).toContain('side of the checkerboard, pixels')
    expect(schema.stdout).toContain('{"enum":["small","large"],')
  })

  it('is exported, put on images, and planned', async () => {
    const flags = ['--config', 'study/experiment.yaml', '--model', 'model', '--json']
    const exported = await here.ageb(['export-trigger', '--out', 'trigger.onnx', ...flags])
    expect(json(exported)).toMatchObject({ attack: { name: 'mine', size: 4 } })
    const evaluated = await here.ageb(['eval', 'model', '--config', 'study/experiment.yaml', '--json'])
    expect(json(evaluated)).toMatchObject({ attack: { name: 'mine' }, asr: { n: 12 } })
  })
})

describe('a plugin that was changed', () => {
  const changed = (bright: number) => write('study/bright.mjs', `export const BRIGHT = ${bright}\n`)

  it('is never served what it gave before, though it names the change in a file that it imports', async () => {
    changed(128)
    const ended = await run(['study/experiment.yaml', '--out', 'changed'])
    expect(reused(ended)).toEqual(['clean-twin'])
    expect(file('changed', 'record.json')).not.toBe(file('first', 'record.json'))
  })

  it('does not resume a run that was begun with it, until it is as it was', async () => {
    const stopped = await here.ageb(
      ['run', 'study/experiment.yaml', '--threads', '1', '--out', 'stopped', '--set', ...settings, 'seed=2'],
      { signal: 'SIGINT', at: 'clean twin: 10 %' },
    )
    expect(stopped.stderr).toMatch(
      /^interrupted: resume with 'ageb run --resume stopped --plugin study\/mine\.mjs'$/m,
    )
    const resume = (...more: string[]) => here.ageb(['run', '--resume', 'stopped', ...more])
    const without = await resume()
    expect(without).toMatchObject({ code: 2, stdout: '' })
    expect(without.stderr).toContain('none is loaded from a run; name it yourself with --plugin <path>')
    changed(64)
    expect((await resume('--plugin', 'study/mine.mjs')).stderr).toContain(
      'not what it was when the run began',
    )
    changed(128)
    expect(await resume('--plugin', 'study/mine.mjs')).toMatchObject({ code: 0 })
    expect(await here.ageb(['report', 'stopped'])).toMatchObject({ code: 0 })
  })

  it('does not stand for the one that another run was made with', async () => {
    const evaluate = (...more: string[]) => here.ageb(['eval', 'model', '--run', 'first', ...more])
    expect((await evaluate()).stderr).toContain('a plugin is code')
    expect((await evaluate('--plugin', 'study/mine.mjs')).stderr).toContain('not what it was')
    changed(255)
    expect(await evaluate('--plugin', 'study/mine.mjs')).toMatchObject({ code: 0 })
  })
})

describe('code is only loaded if the user names it', () => {
  const noisy = (name: string) =>
    `import { writeFileSync } from 'node:fs'\nwriteFileSync('${name}-ran', '')\n`

  it('and so not from a run folder, whatever its configuration says', async () => {
    mkdirSync(here.file('strange'))
    write('strange/evil.mjs', noisy('strange'))
    for (const name of ['./evil.mjs', './strange/evil.mjs', here.file('strange', 'evil.mjs')]) {
      write('strange/config.yaml', configurationText({ kind: 'backdoor', plugins: [name], attack: 'evil' }))
      for (const args of [
        ['run', '--resume', 'strange'],
        ['eval', 'model', '--run', 'strange'],
        ['report', 'strange'],
      ])
        expect(await here.ageb(args), args.join(' ')).toMatchObject({ code: 2 })
    }
    expect(() => file('strange-ran')).toThrow('ENOENT')
  })

  it('nor from a checkpoint or a data set', async () => {
    write('model/config.json', file('model', 'config.json').replace('{', '{"plugins": ["./evil.mjs"],'))
    write('model/evil.mjs', noisy('model'))
    write('data/evil.mjs', noisy('data'))
    expect(await here.ageb(['eval', 'model', '--data', 'data'])).toMatchObject({ code: 0 })
    for (const name of ['model', 'data']) expect(() => file(`${name}-ran`)).toThrow('ENOENT')
  })
})

describe('what is no plugin', () => {
  it.each([
    ['./absent.mjs', '', 2, 'there is no file'],
    ['nowhere', '', 2, 'neither a file nor a package'],
    ['throws.mjs', 'null.x\n', 1, /failed while it was loaded \(TypeError: .*throws\.mjs:1\)/],
    [
      'syntax.mjs',
      'export default {{',
      1,
      /failed while it was loaded \(SyntaxError: .*'node .*syntax\.mjs'/,
    ],
    ['needs.mjs', "import 'package-that-is-not-there'\n", 1, 'install package-that-is-not-there'],
    ['none.mjs', 'export const size = 3\n', 1, 'exports no attack'],
    ['raw.mjs', "export default { name: 'raw', citation: 'mine' }\n", 1, "its 'url' is missing"],
    ['taken.mjs', attack('badnets').replace('BRIGHT', '9'), 1, "'badnets' is taken by an attack of ageb"],
    ['Name.mjs', attack('Mine').replace('BRIGHT', '9'), 1, 'small letters'],
    ['bare.mjs', attack('bare').replace('BRIGHT', '9').replace('.default(4)', ''), 1, 'defaults'],
  ])('%s is told', async (name, text, code, message) => {
    if (text !== '') write(name, text)
    const ended = await here.ageb(['attack', 'list', '--plugin', name])
    expect(ended).toMatchObject({ code, stdout: '' })
    expect(ended.stderr).toMatch(message)
    expect(ended.stderr.trimEnd().split('\n')).toHaveLength(1)
  })

  it('two plugins whose attacks have one name are told', async () => {
    write('other.mjs', attack('mine').replace('BRIGHT', '9'))
    const ended = await here.ageb(['attack', 'list', '--plugin', 'study/mine.mjs', '--plugin', 'other.mjs'])
    expect(ended.stderr).toContain("the plugin other.mjs: the name 'mine' is taken by mine.mjs")
  })
})
