import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { writeDataset, writeTinyModel } from '@ageb/workbench/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { json, scratch, tinyTraining } from './test-kit.js'

const here = scratch('cli')
afterAll(() => here.remove())
beforeAll(async () => {
  await writeDataset(here.file('data'))
  await writeTinyModel(here.file('model'))
})

/** One sentence on standard error, nothing on standard output. */
async function failure(code: 1 | 2, args: readonly string[]): Promise<string> {
  const ended = await here.ageb(args)
  expect(ended).toMatchObject({ code, stdout: '' })
  const lines = ended.stderr.trimEnd().split('\n')
  expect(lines.filter(line => line.startsWith('ageb: '))).toEqual([lines.at(-1)])
  return lines.at(-1)!
}

describe('help', () => {
  it('goes to standard output and is a success when asked for, misuse when nothing was', async () => {
    const [asked, version, bare] = [
      await here.ageb(['--help']),
      await here.ageb(['--version']),
      await here.ageb([]),
    ]
    expect(asked).toMatchObject({ code: 0, stderr: '' })
    expect(asked.stdout).toContain('export-trigger')
    expect(version).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) })
    expect(bare).toMatchObject({ code: 2, stdout: '' })
  })

  it('is to be had on a command by two ways', async () => {
    const ended = await here.ageb(['help', 'train'])
    expect(ended.code).toBe(0)
    expect(ended.stdout).toBe((await here.ageb(['train', '--help'])).stdout)
    expect(await failure(2, ['help', 'nothing'])).toContain("no help on 'nothing'")
    expect(await failure(2, ['help', 'train', '--json'])).toContain("only help on 'config'")
  })
})

describe('misuse', () => {
  it.each([
    [['train', '--nonsense'], /unknown option '--nonsense'/],
    [['trian'], /unknown command 'trian'/],
    [['export-trigger'], /required option '--out <file>' not specified/],
    [['train', '--seed', '-1.5'], /'--seed <n>'.* whole number/],
    [['eval', 'model', '--device', 'gpu'], /'--device <name>'.* cpu, webgpu, cuda, coreml, dml, auto/],
  ])('%j is told by commander and ends with 2', async (args, message) => {
    const ended = await here.ageb(args)
    expect(ended).toMatchObject({ code: 2, stdout: '' })
    expect(ended.stderr).toMatch(message)
    expect(ended.stderr).toMatch(/^ageb: /)
  })

  it('an unknown configuration key is named', async () => {
    expect(await failure(2, ['train', '--set', 'training.epoch=3'])).toBe(
      "ageb: the configuration: there is no key 'epoch' under 'training'; 'ageb help config training' lists the keys",
    )
    expect(await failure(2, ['train', '--set', 'epochs=3'])).toContain(
      "there is no key 'epochs'; 'ageb help config' lists the keys",
    )
  })

  it('an attack or a model that there is not is named with those that there are', async () => {
    expect(await failure(2, ['demo', '--set', 'attack.name=nothing'])).toMatch(
      /demo\.yaml: 'attack': there is no attack 'nothing': choose one of ageb, badnets/,
    )
    expect(await failure(2, ['train', '--set', 'model.model_type=nothing'])).toContain(
      "'model.model_type' must be one of vit, cct, deit",
    )
  })

  it('an assignment that is none, or no YAML, is named', async () => {
    expect(await failure(2, ['train', '--set', 'seed'])).toContain("not 'seed'")
    expect(await failure(2, ['train', '--set', 'seed=[1'])).toContain('--set seed=[1: the value is not YAML')
  })

  it('a configuration that is missing, of no kind or of the wrong kind is told', async () => {
    writeFileSync(here.file('kindless.yaml'), 'seed: 1\n')
    writeFileSync(here.file('backdoor.yaml'), 'kind: backdoor\n')
    expect(await failure(2, ['run'])).toContain('give a configuration file')
    expect(await failure(2, ['run', 'absent.yaml'])).toContain(
      "'absent.yaml' is neither a configuration file",
    )
    expect(await failure(2, ['run', 'kindless.yaml'])).toContain("'kind' must be train or backdoor")
    expect(await failure(2, ['train', '--config', 'backdoor.yaml'])).toContain("'ageb run backdoor.yaml'")
    expect(await failure(2, ['run', '--resume', 'absent'])).toContain('absent holds no run')
  })

  it('model sizes that do not go together are told', async () => {
    const args = ['train', '--data', 'data', '--set', 'model.image_size=10', 'model.patch_size=4']
    expect(await failure(2, args)).toContain('image_size 10 is no multiple of patch_size 4')
  })
})

describe('a device', () => {
  it('that is not there leaves no run behind, and is told', async () => {
    const [device, home] = process.platform === 'darwin' ? ['dml', 'Windows'] : ['coreml', 'macOS']
    const message = await failure(1, ['train', '--data', 'data', '--out', 'nowhere', '--device', device])
    expect(message).toMatch(new RegExp(`^ageb: the device '${device}' is not available .*${home} alone`))
    expect(existsSync(here.file('nowhere'))).toBe(false)
  })

  it('is remembered by the run, not as the wish for the best one', async () => {
    // Where no driver is to be found, the best one is the processor.
    const env = { VK_DRIVER_FILES: '/', VK_ICD_FILENAMES: '/' }
    const args = ['train', '--data', 'data', '--out', 'best', '--device', 'auto', ...tinyTraining(1)]
    expect((await here.ageb(args, { env })).code).toBe(0)
    const { device } = JSON.parse(readFileSync(here.file('best', 'environment.json'), 'utf8'))
    if (process.platform === 'linux') expect(['cpu', 'cuda']).toContain(device)
    expect(device).not.toBe('auto')
    expect(readFileSync(here.file('best', 'config.yaml'), 'utf8')).toContain(`device: ${device}\n`)
  })
})

describe('damaged input', () => {
  const train = (data: string, ...more: string[]) => [
    ...['train', '--data', data, '--out', 'run', ...more],
    ...tinyTraining(1),
  ]

  it('a missing data set leaves the folder of the run free for the next try', async () => {
    expect(await failure(1, train('absent'))).toContain("There is no data set 'absent'")
    expect(await failure(1, train('absent'))).toContain("There is no data set 'absent'")
  })

  it('a Parquet file cut in half is named', async () => {
    await writeDataset(here.file('cut'))
    const file = here.file('cut', 'train-00000-of-00001.parquet')
    truncateSync(file, Math.floor(readFileSync(file).length / 2))
    expect(await failure(1, train('cut'))).toMatch(/train-00000-of-00001\.parquet is cut short/)
  })

  it('a checkpoint with a wrong header length is named', async () => {
    await writeTinyModel(here.file('long'))
    const file = here.file('long', 'model.safetensors')
    const bytes = readFileSync(file)
    bytes.writeBigUInt64LE(2n ** 60n, 0)
    writeFileSync(file, bytes)
    expect(await failure(1, ['eval', 'long', '--data', 'data'])).toContain(
      'long/model.safetensors is cut short',
    )
  })

  it('a NaN in a checkpoint is found', async () => {
    await writeTinyModel(here.file('nan'))
    const file = here.file('nan', 'model.safetensors')
    const bytes = readFileSync(file)
    bytes.writeFloatLE(Number.NaN, bytes.length - 4)
    writeFileSync(file, bytes)
    expect(await failure(1, ['eval', 'nan', '--data', 'data'])).toMatch(
      /nan\/model\.safetensors: tensor .* NaN/,
    )
  })

  it('a model for another number of classes is told', async () => {
    await writeTinyModel(here.file('three'), { classes: ['a', 'b', 'c'] })
    const message = 'data has 2 classes but the model tells 3 apart'
    expect(await failure(1, ['eval', 'three', '--data', 'data'])).toContain(message)
  })

  it('an image that is missing or none is told', async () => {
    mkdirSync(here.file('images'))
    writeFileSync(here.file('images', 'text.png'), 'no image')
    writeFileSync(here.file('attack.yaml'), 'kind: backdoor\nsurrogate: model\n')
    const trigger = (image: string) => failure(1, ['trigger', image, '--config', 'attack.yaml'])
    expect(await trigger('absent.png')).toContain('absent.png cannot be read (ENOENT)')
    expect(await trigger('images/text.png')).toContain('images/text.png cannot be decoded')
  })
})

it('stack traces are shown with AGEB_DEBUG=1 only', async () => {
  expect((await here.ageb(['eval', 'absent'])).stderr).not.toMatch(/^\s+at /m)
  expect((await here.ageb(['eval', 'absent'], { env: { AGEB_DEBUG: '1' } })).stderr).toMatch(/^\s+at /m)
})

describe('help config', () => {
  it('tells in JSON whose key is whose', async () => {
    const { topics } = json(await here.ageb(['help', 'config', '--json'])) as {
      topics: { topic: string; keys: { key: string }[] }[]
    }
    const keys = (name: string) => topics.find(({ topic }) => topic === name)?.keys.map(({ key }) => key)
    expect(keys('model.vit')).toContain('model.patch_size')
    expect(keys('model.resnet')).not.toContain('model.patch_size')
    expect(keys('attack.ageb')).toContain('attack.share')
    expect(keys('backdoor')).toContain('surrogate')
    expect(keys('train')).not.toContain('surrogate')
  })

  it('explains one topic, and refuses one that there is not', async () => {
    const { stdout } = await here.ageb(['help', 'config', 'attack.ageb'])
    expect(stdout).toContain('attack.share')
    expect(stdout).not.toContain('model.')
    expect(await failure(2, ['help', 'config', 'attack.nothing'])).toMatch(
      /choose one of train, backdoor, .*attack\.ageb/,
    )
    expect(await failure(2, ['help', 'train', 'epochs'])).toContain("leave 'epochs' out")
  })
})

describe('schema', () => {
  it('goes to standard output or to a file, and refuses an unknown kind', async () => {
    const printed = await here.ageb(['schema', 'backdoor'])
    expect((await here.ageb(['schema', 'backdoor', '--out', 'schema.json'])).code).toBe(0)
    expect(printed.stdout).toBe(readFileSync(here.file('schema.json'), 'utf8'))
    expect(JSON.parse(printed.stdout)).toEqual(json(await here.ageb(['schema', 'backdoor', '--json'])))
    expect(await failure(2, ['schema', 'nothing'])).toContain('choose one of train, backdoor')
  })
})
