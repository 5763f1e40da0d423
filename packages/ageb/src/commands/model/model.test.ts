import { existsSync, readFileSync } from 'node:fs'
import { classify, pixelsInMemory } from '@ageb/lab'
import { loadCheckpoint } from '@ageb/workbench'
import { writeTinyModel } from '@ageb/workbench/testing'
import { startRuntime } from 'onnxgrad/node'
import * as ort from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { json, scratch } from '../../cli/test-kit.js'

const here = scratch('model')
afterAll(() => here.remove())
beforeAll(async () => {
  const provenance = { poisoned: true, attack: 'ageb', target: 'cat', seed: 4 }
  await writeTinyModel(here.file('model'), { classes: ['cat', 'dog', 'owl'], provenance })
})

describe('ageb model export', () => {
  it('writes ONNX that gives the same logits in a bare runtime, with its history', async () => {
    const args = [
      'model',
      'export',
      'model',
      '--format',
      'onnx',
      '--out',
      'web/tiny',
      '--batch',
      '2',
      '--json',
    ]
    const ended = await here.ageb(args)
    expect(ended.code).toBe(0)
    expect(ended.stderr).toContain('backdoored on purpose')
    expect(json(ended).files).toEqual([
      'config.json',
      'preprocessor_config.json',
      'onnx/model.onnx',
      'SHA256SUMS',
    ])
    const { model, weights } = await loadCheckpoint(here.file('model'))
    const pixels = Uint8Array.from({ length: 384 }, (_, i) => (i * 37) % 256)
    const images = pixelsInMemory(pixels, { height: 8, width: 8 })
    const runtime = startRuntime({ threads: 1 })
    const [a, b] = await classify(runtime, model, weights, images, 2).finally(() => runtime.close())
    const { mean, std } = model
    const channel = (i: number) => Math.floor(i / 64) % 3
    const normalized = Float32Array.from(pixels, (v, i) => (v / 255 - mean[channel(i)]!) / std[channel(i)]!)
    const session = await ort.InferenceSession.create(here.file('web/tiny/onnx/model.onnx'))
    const { logits } = await session.run({
      pixel_values: new ort.Tensor('float32', normalized, [2, 3, 8, 8]),
    })
    ;[...a!, ...b!].forEach((value, i) => {
      expect(Number(logits!.data[i])).toBeCloseTo(value, 5)
    })
    expect(readFileSync(here.file('web/tiny/onnx/model.onnx')).includes('"poisoned":true')).toBe(true)
  })

  it('writes the folder of transformers, which is read again', async () => {
    const ended = await here.ageb([
      'model',
      'export',
      'model',
      '--dtype',
      'float16',
      '--out',
      'half',
      '--json',
    ])
    expect(ended.code).toBe(0)
    const [whole, half] = await Promise.all(['model', 'half'].map(name => loadCheckpoint(here.file(name))))
    expect(half!.provenance).toEqual(whole!.provenance)
    for (const [name, values] of Object.entries(whole!.weights))
      values.forEach((value, i) => {
        expect(Math.abs(half!.weights[name]![i]! - value)).toBeLessThanOrEqual(Math.abs(value) / 1024 + 1e-7)
      })
  })

  it('says of what transformers has no class for', async () => {
    const ended = await here.ageb(['model', 'export', 'vit-cifar10', '--out', 'stem', '--json'])
    expect(ended.code).toBe(0)
    expect(ended.stderr).toContain('transformers has no class for ViTs with a convolutional stem')
    const plain = await here.ageb(['model', 'export', 'model', '--out', 'plain', '--json'])
    expect(plain.stderr).not.toContain('transformers')
  })

  it('of a missing model, or to nowhere, ends in a sentence', async () => {
    const missing = await here.ageb(['model', 'export', 'nothing', '--out', 'x'])
    expect(missing).toMatchObject({ code: 1, stdout: '' })
    expect(missing.stderr).toContain("there is no checkpoint folder 'nothing'")
    expect(existsSync(here.file('x'))).toBe(false)
    expect((await here.ageb(['model', 'export', 'model'])).code).toBe(2)
  })
})

it('ageb model info tells what a checkpoint is', async () => {
  const told = json(await here.ageb(['model', 'info', 'model', '--json']))
  expect(told).toMatchObject({
    modelType: 'vit',
    imageSize: 8,
    classNames: ['cat', 'dog', 'owl'],
    blocks: ['block0'],
  })
  const ended = await here.ageb(['model', 'info', 'model'])
  expect(ended.stdout).toMatch(/classes +3 +cat, dog, owl\n/)
})
