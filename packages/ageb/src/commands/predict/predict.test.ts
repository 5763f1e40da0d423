import { writeFileSync } from 'node:fs'
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

  it('refuses a preprocessor that does not make the input of the model', async () => {
    await writeTinyModel(here.file('odd'))
    writeFileSync(here.file('odd/preprocessor_config.json'), '{"size": {"height": 9, "width": 9}}')
    const ended = await here.ageb(['predict', 'odd', 'a.png'])
    expect(ended.code).toBe(1)
    expect(ended.stderr).toContain('makes pictures of 9×9, but the model takes 8×8')
  })
})
