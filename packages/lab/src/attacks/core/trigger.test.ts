import { startRuntime } from 'onnxgrad/node'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { afterAll, describe, expect, it } from 'vitest'
import { imageAt } from '../../images/image-set.js'
import { imageSize } from '../../images/image-source.js'
import { strongWeights, tinyImages, tinyViT } from '../../testing/tiny.js'
import { type AttackConfig, attackConfig } from '../registry.js'
import { loadTrigger, triggerModel, triggerWithStages } from './trigger.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const model = tinyViT()
const surrogate = { model, weights: strongWeights(model, 4) }
const images = tinyImages(6)
const configured = (parameters: object) =>
  attackConfig.parse({ name: 'ageb', ...parameters }) as Extract<AttackConfig, { name: 'ageb' }>

const apply = async (attack: AttackConfig, batch: number, set = images) => {
  const trigger = await loadTrigger(runtime, { attack, surrogate, batch })
  const done: number[] = []
  const pixels = await trigger.apply(set, n => done.push(n))
  await trigger.release()
  return { pixels, done }
}

const variants = {
  default: {},
  'true labels, absolute': { label: 'true-label', selection: 'absolute', threshold: 0.3 },
  'patches, disk, no adjustment': {
    gradient: 'patch',
    element: 'disk',
    size: 5,
    adjustment: 'off',
    share: 0.5,
  },
  'class token, twice': {
    gradient: 'class-token',
    iterations: 2,
    keep: 0,
    adjustment: 'brightness',
    share: 0.6,
  },
}

describe.each(Object.entries(variants))('a trigger (%s)', (_, parameters) => {
  const attack = configured(parameters)

  it('is an ONNX model that a bare runtime runs to the same bytes', async () => {
    const session = await InferenceSession.create(triggerModel({ attack, surrogate, batch: 6 }))
    const feeds: Record<string, Tensor> = { images: new Tensor('uint8', images.pixels, [6, 3, 8, 8]) }
    if (attack.label === 'true-label')
      feeds.labels = new Tensor('int64', BigInt64Array.from(images.labels, BigInt), [6])
    expect([...session.inputNames].sort()).toEqual(Object.keys(feeds).sort())
    const { triggered } = await session.run(feeds)
    await session.release()
    expect(triggered!.dims).toEqual([6, 3, 8, 8])
    expect((await apply(attack, 6)).pixels).toEqual(triggered!.data)
    expect(triggered!.data).not.toEqual(images.pixels)
  })

  it('does to an image the same whatever else is in the batch', async () => {
    const one = await apply(attack, 1)
    const four = await apply(attack, 4)
    expect(four.pixels).toEqual(one.pixels)
    expect(one.done).toEqual([1, 2, 3, 4, 5, 6])
    expect(four.done).toEqual([4, 6])
  })

  it('shows its stages, which make up the result', async () => {
    const shown = await triggerWithStages(runtime, { attack, surrogate }, images)
    const { pixels } = await apply(attack, 6)
    const size = imageSize(images)
    expect(shown.length).toBe(6)
    shown.forEach(({ triggered, stages }, n) => {
      expect(triggered).toEqual(pixels.slice(n * size, (n + 1) * size))
      expect(Object.keys(stages)).toEqual(['attention gradient', 'mask', 'eroded'])
      expect(stages.mask!.length).toBe(64)
      expect(stages.eroded!.length).toBe(size)
      if (attack.selection === 'quantile' && attack.gradient === 'pixel')
        expect(stages.mask!.reduce((a, b) => a + b)).toBe(Math.round(attack.share * 64))
      if (attack.adjustment !== 'off') return
      imageAt(images, n).forEach((before, i) => {
        const x = before / 255
        const changed = attack.keep * x + (1 - attack.keep) * stages.eroded![i]! + attack.signal / 255
        const after = stages.mask![i % 64] === 1 ? Math.min(1, Math.max(0, changed)) : x
        // Half a unit of rounding and what float32 leaves open.
        expect(Math.abs(triggered[i]! - after * 255)).toBeLessThan(0.501)
        if (stages.mask![i % 64] === 0) expect(triggered[i]).toBe(before)
      })
    })
  })
})

describe('a trigger', () => {
  it('with nothing selected, or all kept and no signal, gives the image back', async () => {
    for (const parameters of [{ share: 0 }, { share: 1, keep: 1, signal: 0 }]) {
      const { pixels } = await apply(configured({ ...parameters, adjustment: 'off' }), 3)
      expect(pixels).toEqual(images.pixels)
    }
  })

  it('changes no more of the labels and pixels given than its own copy', async () => {
    const before = images.pixels.slice()
    await apply(configured({}), 4)
    expect(images.pixels).toEqual(before)
  })

  it('says in its file what it is', () => {
    const text = new TextDecoder('latin1').decode(
      triggerModel({ attack: configured({}), surrogate, batch: 1 }),
    )
    expect(text).toContain('Backdoor trigger of ageb')
    expect(text).toContain(JSON.stringify(configured({})))
  })

  it('refuses parameters out of range', () => {
    for (const parameters of [
      { share: 1.1 },
      { size: 2 },
      { iterations: 0 },
      { element: 'star' },
      { typo: 1 },
    ])
      expect(() => configured(parameters)).toThrow()
  })
})
