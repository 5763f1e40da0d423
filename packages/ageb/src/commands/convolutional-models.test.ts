import { readFileSync, writeFileSync } from 'node:fs'
import { decodeRgb } from '@ageb/workbench'
import { noisePng, writeDataset } from '@ageb/workbench/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { json, scratch } from '../cli/test-kit.js'

const here = scratch('convolutional')
const side = 12
afterAll(() => here.remove())
beforeAll(async () => {
  await writeDataset(here.file('data'), { side })
  writeFileSync(here.file('image.png'), await noisePng(20, 1, 5))
})

/** The arguments that train a tiny model of a family. */
const training = (family: string, more: readonly string[] = []) => {
  const settings = [
    `model.model_type=${family}`,
    `model.image_size=${side}`,
    'model.embedding_size=4',
    'model.hidden_sizes=[8,8]',
    'model.depths=[1,1]',
    ...more,
    ...['training.epochs=8', 'training.batchSize=8', 'training.learningRate=0.02'],
  ]
  return ['train', '--data', 'data', '--threads', '1', '--json', '--out', family, '--set', ...settings]
}

describe.each([
  ['resnet', ['model.stem=cifar']],
  ['preact_resnet', []],
])('a model of the family %s', (family, more) => {
  const model = `${family}/model`

  it('is trained from scratch', async () => {
    const ended = await here.ageb(training(family, more))
    expect(ended.code, ended.stderr).toBe(0)
    const { testAccuracy } = json(ended) as { testAccuracy: { value: number } }
    expect(testAccuracy.value).toBeGreaterThan(0.9)
  })

  it.each(['pixel', 'patch'])('is a surrogate by its %s gradient', async gradient => {
    const settings = [`attack.gradient=${gradient}`, 'attack.share=0.5', 'attack.keep=0']
    const args = ['trigger', 'image.png', '--model', model, '--out', `${family}-${gradient}`, '--json']
    const ended = await here.ageb([...args, '--set', ...settings])
    expect(ended.code, ended.stderr).toBe(0)
    expect(json(ended).linf).toBeGreaterThan(0)
    const file = here.file(`${family}-${gradient}`, 'image-triggered.png')
    expect(await decodeRgb(readFileSync(file))).toMatchObject({ height: side, width: side })
  })

  it('has no class token, which is said in one sentence', async () => {
    const args = ['trigger', 'image.png', '--model', model, '--set', 'attack.gradient=class-token']
    const ended = await here.ageb(args)
    expect(ended).toMatchObject({
      code: 1,
      stdout: '',
      stderr: `ageb: the surrogate (${family}) has no class token: take the gradient at pixel or patch\n`,
    })
  })

  it('goes through a whole attack, as surrogate and victim', async () => {
    const configuration = {
      kind: 'backdoor',
      seed: 1,
      threads: 1,
      dataset: 'data',
      surrogate: model,
      victim: model,
      attack: { share: 0.5, keep: 0, signal: 100 },
      poisoning: { rate: 0.25 },
      training: { epochs: 2, batchSize: 8, crop: 1 },
    }
    writeFileSync(here.file(`${family}.yaml`), JSON.stringify(configuration))
    const ended = await here.ageb(['run', `${family}.yaml`, '--out', `${family}-attack`, '--json'])
    expect(ended.code, ended.stderr).toBe(0)
    expect(json(ended)).toMatchObject({ nTrain: 48, poisonCount: 12 })
    const config = JSON.parse(
      readFileSync(here.file(`${family}-attack/backdoored-model/config.json`), 'utf8'),
    )
    expect(config).toMatchObject({ model_type: family, ageb: { poisoned: true } })
  })
})
