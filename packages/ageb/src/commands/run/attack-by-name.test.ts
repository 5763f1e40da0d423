import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { attacks } from '@ageb/lab'
import { beginningOf, resolveConfiguration } from '@ageb/workbench'
import { writeDataset, writeTinyModel } from '@ageb/workbench/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { json, scratch } from '../../cli/test-kit.js'

// An attack's name in place of a configuration: the experiment of the demo with it, here on noise and a tiny ViT.
const here = scratch('by-name')
afterAll(() => here.remove())
beforeAll(async () => {
  await writeDataset(here.file('data'), { side: 12 })
  await writeTinyModel(here.file('model'), { side: 12 })
})

const tiny = [
  'surrogate=model',
  'victim=model',
  'training.epochs=0.5',
  'training.batchSize=8',
  'training.crop=1',
]
const begin = (words: readonly string[], more: readonly string[] = []) =>
  here.ageb([...words, '--data', 'data', '--json', '--threads', '1', '--set', ...tiny, ...more])
const config = (folder: string) => readFileSync(here.file(folder, 'config.yaml'), 'utf8')

describe('ageb run with the name of an attack', () => {
  it('carries it out, in a folder of its name', async () => {
    const ended = await begin(['run', 'badnets'])
    expect(ended).toMatchObject({ code: 0 })
    expect(json(ended)).toMatchObject({ attack: 'badnets', poisonRate: 0.1 })
    expect(readdirSync(here.file('runs'))).toEqual([expect.stringMatching(/^badnets-\d{8}-\d{6}$/)])
  })

  it('ageb is the demo', async () => {
    expect(await begin(['demo', '--out', 'demo'])).toMatchObject({ code: 0 })
    expect(await begin(['run', 'ageb', '--out', 'ageb'])).toMatchObject({ code: 0 })
    expect(config('ageb')).toBe(config('demo'))
  })

  it('takes presets and parameters of the attack', async () => {
    const preset = await begin(
      ['run', 'ageb', '--out', 'preset'],
      ['attack.preset=paper', 'attack.share=0.4'],
    )
    expect(preset).toMatchObject({ code: 0 })
    expect(config('preset')).toMatch(
      /^attack:\n {2}name: ageb\n[\s\S]* {2}share: 0\.4\n[\s\S]* {2}signal: 4\n/m,
    )
    const other = await begin(['demo', '--out', 'other'], ['attack=badnets', 'attack.size=6'])
    expect(other).toMatchObject({ code: 0 })
    expect(config('other')).toMatch(/^attack:\n {2}name: badnets\n[\s\S]* {2}size: 6\n/m)
  })

  it('is a name in a configuration file, too', async () => {
    writeFileSync(here.file('short.yaml'), 'kind: backdoor\nattack: badnets\n')
    expect(await begin(['run', 'short.yaml', '--out', 'short'])).toMatchObject({ code: 0 })
    expect(config('short')).toContain('attack:\n  name: badnets\n  pattern: square\n')
  })

  it('prefers a file of that name, and tells both possibilities where there is neither', async () => {
    writeFileSync(here.file('badnets'), 'kind: nothing\n')
    expect((await here.ageb(['run', 'badnets'])).stderr).toContain("'kind' must be train or backdoor")
    const neither = await here.ageb(['run', 'badnet'])
    expect(neither).toMatchObject({ code: 2, stdout: '' })
    expect(neither.stderr).toMatch(
      /^ageb: 'badnet' is neither a configuration file nor an attack: check the path, or choose one of ageb, badnets/,
    )
  })

  it.each(attacks.map(({ name }) => name))('%s has a configuration', async name => {
    const { configuration, where } = await beginningOf(name)
    const resolved = await resolveConfiguration(configuration, where)
    expect(resolved).toMatchObject({ attack: { name }, training: { epochs: 8 } })
    const { poisoning } = attacks.find(attack => attack.name === name)!
    expect(resolved).toMatchObject({ poisoning: { rate: 0.1, target: 0, ...poisoning } })
  })
})

describe('ageb attack', () => {
  it('lists every attack in the order of the registry', async () => {
    const listed = (await here.ageb(['attack', 'list'])).stdout
    const names = listed
      .split('\n\n')[0]!
      .split('\n')
      .map(line => line.split(' ')[0])
    expect(names).toEqual(attacks.map(({ name }) => name))
    const data = json(await here.ageb(['attack', 'list', '--json'])) as { attacks: { name: string }[] }
    expect(data.attacks.map(({ name }) => name)).toEqual(names)
    for (const attack of data.attacks) {
      const keys = [
        'name',
        'citation',
        'url',
        'access',
        'needs',
        'poisoning',
        'parameters',
        'presets',
        'plugin',
      ]
      expect(Object.keys(attack)).toEqual(keys)
    }
  })

  it('shows one with its parameters and presets', async () => {
    const { stdout } = await here.ageb(['attack', 'show', 'ageb'])
    expect(stdout).toMatch(/^needs +surrogate$/m)
    expect(stdout).toMatch(/^attack\.share +number 0…1, default 0\.01 +for quantile/m)
    expect(stdout).toContain('attack.share=0.3 attack.keep=0.5 attack.signal=4')
    expect(json(await here.ageb(['attack', 'show', 'ageb', '--json']))).toMatchObject({
      needs: ['surrogate'],
      presets: [
        { name: 'measured', parameters: {} },
        { name: 'paper', parameters: { signal: 4 } },
      ],
    })
    const unknown = await here.ageb(['attack', 'show', 'nothing'])
    expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining('choose one of ageb, badnets') })
  })
})
