import { readFileSync, writeFileSync } from 'node:fs'
import type { Prediction } from '@ageb/workbench'
import { writeTinyModel } from '@ageb/workbench/testing'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { json, scratch } from '../../cli/test-kit.js'

const here = scratch('predict')
afterAll(() => here.remove())

const picture = (name: string, width: number, height: number, seed: number) => {
  const pixels = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * i * seed) % 251)
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toFile(here.file(name))
}

beforeAll(async () => {
  await writeTinyModel(here.file('model'), { classes: ['cat', 'dog', 'owl'] })
  await writeTinyModel(here.file('poisoned'), { provenance: { poisoned: true, attack: 'ageb' } })
  await picture('a.png', 31, 17, 3)
  await picture('b.png', 5, 40, 7)
})

describe('ageb predict', () => {
  it('tells label, probability and logits of one picture', async () => {
    const ended = await here.ageb(['predict', 'model', 'a.png', '--json', '--threads', '1'])
    expect(ended.stderr).toBe('')
    expect(ended.code).toBe(0)
    const result = json(ended) as unknown as Prediction & { predictions: Prediction[] }
    expect(result).toMatchObject({ model: 'model', image: 'a.png' })
    expect(result.predictions).toHaveLength(1)
    const { logits, label, index, probability, top } = result
    expect(logits).toHaveLength(3)
    expect(['cat', 'dog', 'owl'][index]).toBe(label)
    expect(Math.max(...logits)).toBe(logits[index])
    const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0)
    expect(probability).toBeCloseTo(Math.exp(logits[index]!) / sum, 12)
    expect(top.map(call => call.probability).reduce((a, b) => a + b)).toBeCloseTo(1, 12)
    expect(top[0]).toEqual({ index, label, probability })
  })

  it('tells the same of a picture alone and among others, in a folder too', async () => {
    const alone = json(await here.ageb(['predict', 'model', 'b.png', '--json', '--threads', '1']))
    const both = json(await here.ageb(['predict', 'model', '.', '--json', '--threads', '1', '--top', '1']))
    const [a, b] = both.predictions as unknown as Prediction[]
    expect([a!.image, b!.image]).toEqual(['a.png', 'b.png'])
    expect(b!.top).toHaveLength(1)
    b!.logits.forEach((logit, i) => {
      expect(logit).toBeCloseTo((alone.logits as unknown as number[])[i]!, 5)
    })
  })

  it('prints a table, and a warning of a poisoned model', async () => {
    const ended = await here.ageb(['predict', 'poisoned', 'a.png'])
    expect(ended.stdout).toMatch(/^a\.png +[ab] +\d+\.\d %\n +[ab] +\d+\.\d %\n$/)
    expect(ended.stderr).toMatch(/^warning: poisoned was backdoored on purpose/)
  })

  it.each([
    [['model', 'nowhere.png'], 1, 'the picture nowhere.png cannot be read (ENOENT): check the path'],
    [['model', 'model/config.json'], 1, 'config.json cannot be decoded'],
    [['model', 'model'], 1, 'the folder model has no pictures'],
    [['nowhere', 'a.png'], 1, "there is no checkpoint folder 'nowhere'"],
    [['model'], 2, "missing required argument 'pictures'"],
  ])('of %j ends in a sentence', async (args, code, message) => {
    const ended = await here.ageb(['predict', ...args])
    expect(ended).toMatchObject({ code, stdout: '' })
    expect(ended.stderr).toContain(message)
    expect(ended.stderr.trimEnd().split('\n')).toHaveLength(1)
  })

  /** A copy of a tiny model with other keys in one of its files. */
  const variant = async (name: string, file: string, keys: Record<string, unknown>, classes?: string[]) => {
    await writeTinyModel(here.file(name), classes ? { classes } : {})
    const path = here.file(name, file)
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...keys }))
    return name
  }
  const predicted = async (model: string, image: string) => {
    const ended = await here.ageb(['predict', model, image, '--json', '--threads', '1'])
    expect(ended.stderr).toBe('')
    return json(ended) as unknown as Prediction
  }
  const sigmoid = (logit: number) => 1 / (1 + Math.exp(-logit))

  it('of several labels, or of one, gives each a probability of its own', async () => {
    const several = { problem_type: 'multi_label_classification' }
    for (const model of [
      await variant('several', 'config.json', several, ['sun', 'sea', 'tree']),
      await variant('one', 'config.json', {}, ['spam']),
    ]) {
      const { logits, top } = await predicted(model, 'a.png')
      expect(top).toHaveLength(logits.length)
      for (const { index, probability } of top) expect(probability).toBeCloseTo(sigmoid(logits[index]!), 12)
    }
    const ended = await here.ageb(['model', 'export', 'several', '--out', 'exported'])
    expect(ended.code).toBe(0)
    const { problem_type } = JSON.parse(readFileSync(here.file('exported/config.json'), 'utf8'))
    expect(problem_type).toBe('multi_label_classification')
  })

  it('puts transparent pictures over white where the preprocessor converts to RGB', async () => {
    const raw = { width: 8, height: 8, channels: 4 } as const
    const clear = Uint8Array.from({ length: 256 }, (_, i) => (i % 4 === 3 ? 0 : 30))
    await sharp(clear, { raw }).png().toFile(here.file('clear.png'))
    const colour = (value: number, name: string) =>
      sharp({ create: { width: 8, height: 8, channels: 3, background: { r: value, g: value, b: value } } })
        .png()
        .toFile(here.file(name))
    await colour(255, 'white.png')
    await colour(30, 'dark.png')
    const converting = await variant('converting', 'preprocessor_config.json', { do_convert_rgb: true })
    const logits = async (model: string, image: string) => (await predicted(model, image)).logits
    const white = await logits('model', 'white.png')
    await writeTinyModel(here.file('dropping'))
    expect(await logits(converting, 'clear.png')).toEqual(await logits('dropping', 'white.png'))
    expect(await logits('dropping', 'clear.png')).toEqual(await logits('dropping', 'dark.png'))
    expect(white).not.toEqual(await logits('model', 'dark.png'))
  })

  it('resizes behind rescaling, without rounding, where the preprocessor does', async () => {
    const rescaling = { image_processor_type: 'DINOv3ViTImageProcessor', image_mean: 0.5, image_std: 0.5 }
    const model = await variant('rescaling', 'preprocessor_config.json', rescaling)
    await writeTinyModel(here.file('rounding'))
    const [exact, rounded] = [await predicted(model, 'a.png'), await predicted('rounding', 'a.png')]
    const errors = exact.logits.map((logit, i) => Math.abs(logit - rounded.logits[i]!))
    expect(Math.max(...errors)).toBeGreaterThan(0)
    expect(Math.max(...errors)).toBeLessThan(0.01)
  })

  it('refuses a model that predicts numbers', async () => {
    const model = await variant('numbers', 'config.json', { problem_type: 'regression' })
    const ended = await here.ageb(['predict', model, 'a.png'])
    expect(ended).toMatchObject({ code: 1, stdout: '' })
    expect(ended.stderr).toContain(
      "numbers predicts numbers and not classes: its 'problem_type' is regression",
    )
  })

  it('refuses a key of the preprocessor that is not known', async () => {
    const model = await variant('padding', 'preprocessor_config.json', { do_pad: true })
    const ended = await here.ageb(['predict', model, 'a.png'])
    expect(ended).toMatchObject({ code: 1, stdout: '' })
    expect(ended.stderr).toContain("padding/preprocessor_config.json: 'do_pad': this key is not known")
  })

  it('refuses a preprocessor that does not make the input of the model', async () => {
    await writeTinyModel(here.file('odd'))
    writeFileSync(here.file('odd/preprocessor_config.json'), '{"size": {"height": 9, "width": 9}}')
    const ended = await here.ageb(['predict', 'odd', 'a.png'])
    expect(ended.code).toBe(1)
    expect(ended.stderr).toContain('makes pictures of 9×9, but the model takes 8×8')
  })
})
