import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { loadCheckpoint } from '@ageb/workbench'
import { noisePng, writeDataset } from '@ageb/workbench/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { json, scratch } from '../cli/test-kit.js'

// A DINOv2 that PyTorch exported, of three classes and 16 pixels, from the file to a backdoored model and its report.
const here = scratch('onnx-models')
afterAll(() => here.remove())
const fixture = (name: string) =>
  fileURLToPath(new URL(`../../../lab/fixtures/onnx/${name}`, import.meta.url))

const training = ['training.epochs=1', 'training.batchSize=8', 'training.crop=1']
const one = ['--threads', '1', '--json']

beforeAll(async () => {
  cpSync(fixture('dinov2-dynamo.onnx'), here.file('dino.onnx'))
  cpSync(fixture('dinov2-dynamo-single.onnx'), here.file('single.onnx'))
  writeFileSync(here.file('picture.png'), await noisePng(20, 1, 3))
  await writeDataset(here.file('data'), { classes: ['a', 'b'], side: 16 })
})

describe('a classifier in ONNX', () => {
  it('is described, with what attention gradients are taken of', async () => {
    const told = json(await here.ageb(['model', 'info', 'dino.onnx', '--json']))
    expect(told.gradientSource).toEqual({ kind: 'attention', maps: 2, heads: 2, tokens: 17, placed: true })
    const { stdout } = await here.ageb(['model', 'info', 'dino.onnx'])
    expect(stdout).toMatch(/attention +2 +maps; ageb uses the last one: heads 2, tokens 17/)
  })

  it('predicts, and triggers are computed with it', async () => {
    const predicted = await here.ageb(['predict', 'dino.onnx', 'picture.png', '--json'])
    expect(predicted).toMatchObject({ code: 0 })
    const trigger = ['trigger', 'picture.png', '--model', 'dino.onnx', '--out', 'pictures', '--json']
    expect(await here.ageb(trigger)).toMatchObject({ code: 0 })
    expect(existsSync(here.file('pictures', 'picture-triggered.png'))).toBe(true)
  })

  it('is fine-tuned for other classes, and read again from the run', async () => {
    const train = (out: string) =>
      here.ageb([
        'train',
        '--from',
        'dino.onnx',
        '--data',
        'data',
        '--out',
        out,
        ...one,
        '--set',
        ...training,
      ])
    const ended = await train('tuned')
    expect(ended.stderr).toContain('dino.onnx has 3 other classes: it gets a new head for the 2 classes')
    expect(ended.stderr).toMatch(/dino\.onnx: \d+ tensors of the ONNX file are trained/)
    expect(ended.code).toBe(0)
    const { model } = await loadCheckpoint(here.file('tuned', 'model'))
    expect(model).toMatchObject({ modelType: 'onnx', imageSize: 16, classNames: ['a', 'b'] })
    expect(model.fixedBatch).toBeUndefined()
    const evaluated = await here.ageb(['eval', 'tuned/model', '--data', 'data', ...one])
    expect(json(evaluated)).toMatchObject({
      cda: { value: (json(ended).testAccuracy as { value: number }).value },
    })
    const again = await here.ageb([
      'train',
      '--from',
      'tuned/model',
      '--data',
      'data',
      '--out',
      'on',
      ...one,
      '--set',
      ...training,
    ])
    expect(again.code).toBe(0)
    expect(again.stderr).not.toContain('new head')

    const exported = await here.ageb([
      'model',
      'export',
      'tuned/model',
      '--format',
      'onnx',
      '--out',
      'web',
      '--json',
    ])
    expect(exported.code).toBe(0)
    const [a, b] = [here.file('tuned', 'model', 'model.onnx'), here.file('web', 'onnx', 'model.onnx')]
    expect(readFileSync(a)).toEqual(readFileSync(b))
    const hf = await here.ageb(['model', 'export', 'tuned/model', '--out', 'hf'])
    expect(hf).toMatchObject({ code: 1 })
    expect(hf.stderr).toContain('write it as ONNX (--format onnx)')
  })

  it('is the victim of a backdoor, says so in its file, and a killed run ends in the same bytes', async () => {
    writeFileSync(
      here.file('experiment.yaml'),
      'kind: backdoor\ndataset: data\nvictim: dino.onnx\nattack: badnets\npoisoning:\n  rate: 0.25\n',
    )
    const run = (out: string, env = {}, cue = {}) =>
      here.ageb(['run', 'experiment.yaml', '--out', out, ...one, '--set', ...training], { env, ...cue })
    expect(await run('whole')).toMatchObject({ code: 0 })
    const onnx = readFileSync(here.file('whole', 'backdoored-model', 'model.onnx'))
    expect(onnx.includes('"poisoned":true')).toBe(true)
    const info = await here.ageb(['model', 'info', 'whole/backdoored-model/model.onnx'])
    expect(info.stdout).toContain('backdoored on purpose')

    const env = { AGEB_STORE: here.file('another-store') }
    const stopped = await run('stopped', env, { signal: 'SIGINT', at: 'victim' })
    expect(stopped.code).not.toBe(0)
    expect(await here.ageb(['run', '--resume', 'stopped', '--json'], { env })).toMatchObject({ code: 0 })
    for (const file of ['record.json', 'backdoored-model/model.onnx', 'clean-model/model.onnx'])
      expect(readFileSync(here.file('stopped', ...file.split('/'))), file).toEqual(
        readFileSync(here.file('whole', ...file.split('/'))),
      )
    expect(await here.ageb(['report', 'stopped'])).toMatchObject({ code: 0 })
  })

  it('that takes one image a run is refused before any work, with the way out', async () => {
    const args = [
      'train',
      '--from',
      'single.onnx',
      '--data',
      'data',
      '--out',
      'no',
      ...one,
      '--set',
      ...training,
    ]
    const ended = await here.ageb(args)
    expect(ended.code).toBe(1)
    expect(ended.stderr).toMatch(/exactly 1 image a run: set training\.microBatches to 8, .*dynamic_shapes/)
    const deep = await here.ageb([
      ...['train', '--from', 'dino.onnx', '--data', 'data', '--out', 'no2', ...one],
      ...['--set', ...training, 'training.stochasticDepth=0.1'],
    ])
    expect(deep.code).toBe(1)
    expect(deep.stderr).toContain('training.stochasticDepth: this onnx model has no branches to drop')
  })
})
