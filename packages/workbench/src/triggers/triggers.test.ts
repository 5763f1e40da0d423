import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AttackSettings, attackSettings } from '../configuration/attack-settings.js'
import { decodeRgb } from '../data/decode.js'
import { noisePng, writeTinyModel } from '../testing/fixtures.js'
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
  expect(told).toMatchObject({ inputs: { images }, outputs: { triggered: images }, surrogate: at('model') })
  expect(readFileSync(told.file).length).toBe(bytes)
})
