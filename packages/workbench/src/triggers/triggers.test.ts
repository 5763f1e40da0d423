import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { ageb, resolveAttack, surrogateOf } from '@ageb/lab'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AttackSettings, attackSettings } from '../configuration/attack-settings.js'
import { decodeRgb } from '../data/decode.js'
import { noisePng, writeTinyModel } from '../testing/fixtures.js'
import { assertLabelsFit } from './assert-labels-fit.js'
import { exportTrigger } from './export-trigger.js'
import { writeTriggerPictures } from './trigger-files.js'
import { triggerImage } from './trigger-image.js'

const folder = mkdtempSync(path.join(tmpdir(), 'ageb-triggers-'))
const at = (...names: string[]) => path.join(folder, ...names)
const side = 12
let badnets: AttackSettings
beforeAll(async () => {
  await writeTinyModel(at('model'), { side })
  writeFileSync(at('image.png'), await noisePng(20, 1, 5))
  badnets = await attackSettings({ set: ['attack=badnets'], surrogate: at('model') })
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('triggerImage', () => {
  it('adds a trigger from code, and its pictures can be written', async () => {
    const { pixels, attack, linf, classBefore } = await triggerImage(at('image.png'), badnets)
    expect(attack.name).toBe('badnets')
    expect(['a', 'b']).toContain(classBefore)
    const changes = pixels.image.map((value, i) => Math.abs(value - pixels.clean[i]!))
    expect(linf).toBe(Math.max(...changes))
    expect(changes.filter(change => change > 0).length).toBeLessThanOrEqual(3 * 3 * 3)
    const files = await writeTriggerPictures(at('pictures'), 'image', pixels)
    expect(files.strip).toBe(at('pictures', 'image-strip.png'))
    const written = await decodeRgb(readFileSync(files.triggered))
    expect(written).toMatchObject({ height: side, width: side, pixels: Uint8Array.from(pixels.image) })
  })

  it.each([
    ['absent.png', 'cannot be read (ENOENT): check the path'],
    [path.join('model', 'config.json'), 'cannot be decoded'],
  ])('of %s says what is wrong', async (name, message) => {
    await expect(triggerImage(at(name), badnets)).rejects.toThrow(message)
  })
})

it('exportTrigger writes a file from code, and says what goes in and comes out', async () => {
  const { bytes, ...told } = await exportTrigger(at('out', 'trigger.onnx'), badnets, { batch: 2 })
  const images = { dtype: 'uint8', shape: [2, 3, side, side] }
  expect(told).toMatchObject({ inputs: { images }, outputs: { triggered: images }, surrogate: null })
  expect(readFileSync(told.file).length).toBe(bytes)
})

describe('a surrogate of another size, normalization and number of classes than the victim', () => {
  const onnx = fileURLToPath(new URL('../../../lab/fixtures/onnx/vit-dynamo.onnx', import.meta.url))
  const classes = (count: number) => Array.from({ length: count }, (_, i) => `class ${i}`)
  const surrogates: [string, (folder: string) => Promise<string>][] = [
    ['of twice the size', folder => tiny(folder, { side: 24 })],
    ['of a smaller size, 1000 classes', folder => tiny(folder, { side: 8, classes: classes(1000) })],
    ['of 224 pixels', folder => tiny(folder, { side: 224, patch: 32 })],
    ['in ONNX', async () => onnx],
  ]
  async function tiny(folder: string, options: Parameters<typeof writeTinyModel>[1]): Promise<string> {
    await writeTinyModel(folder, { ...options, seed: 3 })
    // Its own kernel and normalization.
    const file = path.join(folder, 'preprocessor_config.json')
    const own = { ...JSON.parse(readFileSync(file, 'utf8')), resample: 3, image_mean: [0.4, 0.3, 0.2] }
    writeFileSync(file, JSON.stringify(own))
    return folder
  }

  it.each(surrogates)('%s gives the same trigger in a picture and as one file', async (name, make) => {
    const surrogate = await make(at(name))
    const said: string[] = []
    const monitor = { say: (text: string) => said.push(text), progress: () => ({ update() {}, stop() {} }) }
    for (const gradient of ['pixel', 'patch']) {
      const chosen = await attackSettings({
        set: ['attack=ageb', `attack.gradient=${gradient}`, 'attack.share=0.3', `victim=${at('model')}`],
        surrogate,
      })
      const { pixels, classBefore } = await triggerImage(at('image.png'), chosen, { monitor })
      expect(pixels).toMatchObject({ height: side, width: side })
      expect(pixels.image).not.toEqual(pixels.clean)
      expect(classBefore).toMatch(/./)
      const { file, inputs } = await exportTrigger(at('out', `${gradient}.onnx`), chosen)
      const shape = [1, 3, side, side]
      expect(inputs).toEqual({ images: { dtype: 'uint8', shape } })
      const session = await InferenceSession.create(file, { intraOpNumThreads: 1 })
      const { triggered } = await session.run({ images: new Tensor('uint8', pixels.clean, shape) })
      await session.release()
      expect(triggered!.data).toEqual(pixels.image)
    }
    const own = surrogate === onnx ? '16×16 images.*bilinear' : '×.*bicubic'
    expect(said[0]).toMatch(new RegExp(`${own}`))
    expect(said[0]).toContain(`those of ${side}×${side} are resized for it within the trigger`)
  })

  it('is refused where the trigger takes true labels', async () => {
    const { model } = await writeTinyModel(at('others'), { side: 24, classes: ['x', 'y', 'z'] })
    const surrogate = surrogateOf({ model, weights: {} }, { height: side, width: side })
    const attack = resolveAttack({ ...ageb.parameters.parse({ label: 'true-label' }), name: 'ageb' })
    const program = attack.trigger({ seed: 1, height: side, width: side, classes: 2, surrogate }, {})
    expect(() => assertLabelsFit(program, model, ['a', 'b'])).toThrow('take a surrogate with the classes')
  })

  it('can be shown at a size that is asked for, without the victim', async () => {
    const chosen = await attackSettings({ set: ['attack=badnets', 'victim=absent'], surrogate: at('model') })
    const { pixels } = await triggerImage(at('image.png'), chosen, { side: 18 })
    expect(pixels).toMatchObject({ height: 18, width: 18 })
    await expect(triggerImage(at('image.png'), chosen)).rejects.toThrow(
      "there is no checkpoint folder 'absent'",
    )
  })
})
