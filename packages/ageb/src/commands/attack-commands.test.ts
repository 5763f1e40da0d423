import { readFileSync, writeFileSync } from 'node:fs'
import { decodeRgb } from '@ageb/workbench'
import { noisePng, writeDataset, writeTinyModel } from '@ageb/workbench/testing'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { json, scratch } from '../cli/test-kit.js'

const here = scratch('attack')
const side = 12
afterAll(() => here.remove())
beforeAll(async () => {
  await writeDataset(here.file('data'), { side })
  await writeTinyModel(here.file('model'), { side })
  const provenance = { poisoned: true, attack: 'ageb', target: 'a', poisonRate: 0.1, seed: 7 }
  await writeTinyModel(here.file('poisoned'), { side, seed: 2, provenance })
  writeFileSync(here.file('image.png'), await noisePng(20, 1, 5))
  writeFileSync(
    here.file('attack.yaml'),
    [
      'kind: backdoor',
      'seed: 1',
      'threads: 1',
      'dataset: data',
      'surrogate: model',
      'victim: model',
      'poisoning: { rate: 0.25 }',
      'training: { epochs: 30, batchSize: 8, crop: 1 }',
      '',
    ].join('\n'),
  )
})

const settings = ['--config', 'attack.yaml', '--set', 'attack.share=0.5', 'attack.keep=0']

describe('ageb trigger', () => {
  let data: Record<string, unknown>
  beforeAll(async () => {
    const ended = await here.ageb(['trigger', 'image.png', '--out', 'pictures', '--json', ...settings])
    expect(ended).toMatchObject({ code: 0, stderr: '' })
    data = json(ended)
  })

  it('writes both pictures and tells the figures', async () => {
    expect(data).toMatchObject({ attack: { share: 0.5, keep: 0 }, surrogate: 'model' })
    expect(data.psnr).toBeGreaterThan(5)
    expect(data.psnr).toBeLessThan(60)
    expect(data.ssim).toBeLessThan(1)
    expect(data.linf).toBeGreaterThan(0)
    expect(['a', 'b']).toContain(data.classBefore)
    const strip = await decodeRgb(readFileSync(here.file('pictures', 'image-strip.png')))
    expect(strip.width).toBeGreaterThan(6 * 100)
  })

  it('gives the very bytes that the exported file gives in a bare ONNX Runtime', async () => {
    const exported = await here.ageb(['export-trigger', '--out', 'out/trigger.onnx', '--json', ...settings])
    expect(exported.code).toBe(0)
    const shape = [1, 3, side, side]
    expect(json(exported)).toMatchObject({
      file: 'out/trigger.onnx',
      inputs: { images: { dtype: 'uint8', shape } },
      outputs: { triggered: { dtype: 'uint8', shape } },
    })
    const session = await InferenceSession.create(here.file('out', 'trigger.onnx'), { intraOpNumThreads: 1 })
    const clean = await decodeRgb(readFileSync(here.file('image.png')), { height: side, width: side })
    const { triggered } = await session.run({ images: new Tensor('uint8', clean.pixels, shape) })
    await session.release()
    const written = await decodeRgb(readFileSync(here.file('pictures', 'image-triggered.png')))
    expect(written).toMatchObject({ height: side, width: side })
    expect([...(triggered!.data as Uint8Array)]).toEqual([...written.pixels])
    expect([...written.pixels]).not.toEqual([...clean.pixels])
  })

  it('wants the true class where the attack does, and warns of a poisoned surrogate', async () => {
    const args = ['trigger', 'image.png', ...settings, 'attack.label=true-label']
    const [without, unknown, known] = [
      await here.ageb(args),
      await here.ageb([...args, '--label', 'z']),
      await here.ageb([...args, '--label', 'b', '--model', 'poisoned']),
    ]
    expect(without).toMatchObject({ code: 2, stderr: expect.stringContaining('give --label') })
    expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining('choose one of a, b') })
    expect(known.code).toBe(0)
    expect(known.stderr).toBe(
      "warning: poisoned was backdoored on purpose (attack ageb, target 'a', 10 % poison, seed 7): " +
        'use it for research on defenses only\n',
    )
    expect(known.stdout).toMatch(/^surrogate predicts +[ab] → [ab]$/m)
  })
})

describe('a backdoor run', () => {
  const victim = (run: string) => readFileSync(here.file(run, 'backdoored-model', 'model.safetensors'))
  let result: Record<string, unknown>
  beforeAll(async () => {
    const ended = await here.ageb(['run', 'attack.yaml', '--out', 'whole', '--json'])
    expect(ended).toMatchObject({ code: 0 })
    result = json(ended)
  })

  it('ends with its figures as one line of JSON and a report', () => {
    expect(result).toMatchObject({ run: 'whole', attack: 'ageb', poisonRate: 0.25, nTest: 24 })
    for (const key of ['cleanCda', 'cda', 'asr', 'baseRate', 'ra', 'psnr', 'ssim', 'seconds']) {
      expect(result[key], key).toBeTypeOf('number')
    }
    expect(readFileSync(here.file('whole', 'report.html'), 'utf8')).toMatch(/^<!doctype html>/)
  })

  it('resumed after Ctrl-C in its second training ends in the same weights', async () => {
    const env = { AGEB_STORE: here.file('another-store') }
    const stopped = await here.ageb(['run', 'attack.yaml', '--out', 'stopped'], {
      signal: 'SIGINT',
      at: 'victim: 10 %',
      env,
    })
    expect(stopped.code).toBe(130)
    const resumed = await here.ageb(['run', '--resume', 'stopped'], { env })
    expect(resumed.code).toBe(0)
    expect(resumed.stdout).toMatch(/^attack success rate \(ASR\) +\d/m)
    expect(victim('stopped').equals(victim('whole'))).toBe(true)
  })

  it('is measured alike by ageb eval, which warns that the model is poisoned', async () => {
    const ended = await here.ageb(['eval', 'whole/backdoored-model', '--run', 'whole', '--json'])
    expect(ended.code).toBe(0)
    expect(ended.stderr).toContain('warning: whole/backdoored-model was backdoored on purpose (attack ageb')
    const data = json(ended)
    const value = (key: string) => (data[key] as { value: number }).value
    for (const key of ['cda', 'asr', 'ra', 'baseRate']) expect(value(key), key).toBe(result[key])
    expect(data.perClass).toMatchObject([{ class: 'a', accuracy: { n: 12 } }, { class: 'b' }])
  })

  it('has its report rewritten by ageb report', async () => {
    const ended = await here.ageb(['report', 'whole', '--json'])
    expect(ended.code).toBe(0)
    expect(json(ended)).toEqual({ run: 'whole', report: 'whole/report.html' })
    expect(await here.ageb(['report', 'absent'])).toMatchObject({ code: 2 })
  })
})

describe('an attack that needs no surrogate', () => {
  it('is evaluated without one', async () => {
    const settings = ['--config', 'attack.yaml', '--set', 'surrogate=absent', 'attack=badnets']
    const ended = await here.ageb(['eval', 'model', '--json', ...settings])
    expect(ended).toMatchObject({ code: 0 })
    const data = json(ended)
    expect(data).toMatchObject({ attack: { name: 'badnets', size: 5 }, asr: { n: 12 } })
    expect(data).not.toHaveProperty('surrogate')
  })

  it('has its trigger shown and exported at the size of the configured model', async () => {
    const args = ['--config', 'attack.yaml', '--json', '--set', 'attack=badnets']
    const shown = await here.ageb(['trigger', 'image.png', '--out', 'patched', ...args])
    expect(json(shown)).toMatchObject({ attack: { name: 'badnets' }, linf: expect.any(Number) })
    const exported = await here.ageb(['export-trigger', '--out', 'out/patch.onnx', ...args])
    expect(json(exported)).toMatchObject({ inputs: { images: { shape: [1, 3, side, side] } } })
    expect(json(exported).bytes).toBeLessThan(10_000)
  })

  it('is run to the end, cover included, and has a report', async () => {
    const settings = ['surrogate=absent', 'attack=wanet', 'poisoning.rate=0.2', 'training.epochs=1']
    const ended = await here.ageb(['run', 'attack.yaml', '--out', 'warped', '--json', '--set', ...settings])
    expect(ended).toMatchObject({ code: 0 })
    expect(json(ended)).toMatchObject({ attack: 'wanet', poisonCount: 10 })
    const report = await here.ageb(['report', 'warped'])
    expect(report).toMatchObject({ code: 0 })
  })

  it('is refused where its paper asks for more images than there are', async () => {
    const args = ['run', 'attack.yaml', '--out', 'refused', '--set', 'attack=sig', 'poisoning.rate=0.6']
    const ended = await here.ageb(args)
    expect(ended.code).toBe(1)
    expect(ended.stderr).toContain(
      'poisoning.rate 0.6 asks for 29 of 48 images, but clean-label with target 0 can use only 24: the largest rate is 0.5',
    )
    const unknown = await here.ageb(['trigger', 'image.png', '--set', 'attack=badnet'])
    expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining("there is no attack 'badnet'") })
  })
})

it('ageb eval without an attack tells accuracies only', async () => {
  const ended = await here.ageb(['eval', 'model', '--data', 'data', '--split', 'train', '--threads', '1'])
  expect(ended.code).toBe(0)
  expect(ended.stdout).toMatch(/^clean data accuracy \(CDA\) +\d+\.\d % +95 % interval .*, n = 48$/m)
  expect(ended.stdout).not.toContain('ASR')
})
