import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { noisePng, writeTinyModel } from '../testing/fixtures.js'
import { predictPictures } from './predict-pictures.js'

const folder = mkdtempSync(path.join(tmpdir(), 'ageb-predict-'))
const at = (...names: string[]) => path.join(folder, ...names)
beforeAll(async () => {
  await writeTinyModel(at('model'), { classes: ['cat', 'dog', 'owl'] })
  mkdirSync(at('pictures'))
  for (const [i, name] of ['b.png', 'a.png'].entries())
    writeFileSync(at('pictures', name), await noisePng(20, i, i))
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('predictPictures', () => {
  it('predicts the classes of pictures from code', async () => {
    const found = await predictPictures(at('model'), [at('pictures')], { threads: 1, top: 2 })
    expect(found.map(({ image }) => path.basename(image))).toEqual(['a.png', 'b.png'])
    for (const { index, label, logits, top } of found) {
      expect(label).toBe(['cat', 'dog', 'owl'][index])
      expect(logits[index]).toBe(Math.max(...logits))
      expect(top).toHaveLength(2)
    }
  })

  it('is stopped by its signal', async () => {
    const signal = AbortSignal.abort('enough')
    await expect(predictPictures(at('model'), [at('pictures')], { signal })).rejects.toBe('enough')
  })
})
