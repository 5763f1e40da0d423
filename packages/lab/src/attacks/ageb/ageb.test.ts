import { InputError } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { afterAll, describe, expect, it } from 'vitest'
import { imageAt, imagesInMemory } from '../../images/image-set.js'
import { imageSize } from '../../images/image-source.js'
import { strongWeights, tinyImages, tinyViT } from '../../testing/tiny.js'
import { computeMap, renderStages, renderToMemory } from '../core/render.js'
import { surrogateOf } from '../core/surrogate.js'
import { triggerModel } from '../core/trigger-model.js'
import { type AgebParameters, ageb } from './ageb.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const model = tinyViT()
const surrogate = surrogateOf({ model, weights: strongWeights(model, 4) })
const images = tinyImages(6)
const size = imageSize(images)
const context = { seed: 1, height: 8, width: 8, classes: 3, surrogate }
const programOf = (parameters: Partial<AgebParameters>) => ageb.configure(parameters).trigger(context, {})
const apply = async (parameters: Partial<AgebParameters>) =>
  (await renderToMemory(runtime, programOf(parameters), images, { seed: 1 })).pixels

describe.each(Object.entries(ageb.cases))('the trigger (%s)', (_, given) => {
  const parameters = ageb.parameters.parse(given)

  it('shows its stages, which make up the result', async () => {
    const shown = await renderStages(runtime, programOf(parameters), images, { seed: 1 })
    const pixels = await apply(parameters)
    expect(shown.length).toBe(6)
    shown.forEach(({ image, stages }, n) => {
      expect(image).toEqual(pixels.slice(n * size, (n + 1) * size))
      expect(stages.map(({ name, kind }) => [name, kind])).toEqual([
        ['attention gradient', 'map'],
        ['mask', 'mask'],
        ['eroded', 'image'],
      ])
      const [, mask, eroded] = stages.map(({ data }) => data)
      expect(mask!.length).toBe(64)
      expect(eroded!.length).toBe(size)
      if (parameters.selection === 'quantile')
        expect(mask!.reduce((a, b) => a + b)).toBe(Math.round(parameters.share * 64))
      if (parameters.adjustment !== 'off') return
      imageAt(images, n).forEach((before, i) => {
        const x = before / 255
        const changed = parameters.keep * x + (1 - parameters.keep) * eroded![i]! + parameters.signal / 255
        const after = mask![i % 64] === 1 ? Math.min(1, Math.max(0, changed)) : x
        // Half a unit of rounding and what float32 leaves open.
        expect(Math.abs(image[i]! - after * 255)).toBeLessThan(0.501)
        if (mask![i % 64] === 0) expect(image[i]).toBe(before)
      })
    })
  })
})

describe('the attention gradient, computed once', () => {
  const kept = { gradient: 'pixel', label: 'true-label' } as const
  const others: Partial<AgebParameters>[] = [
    { share: 0.1 },
    { share: 0.4, keep: 0.2, signal: 9 },
    { selection: 'absolute', threshold: 0.3, adjustment: 'brightness-saturation' },
    { element: 'cross', size: 5, iterations: 2, share: 0.5 },
  ]

  it('serves all other parameters, to the bytes that one graph gives', async () => {
    const map = programOf(kept).maps!['attention-gradients']!
    const values = new Float32Array(6 * 64)
    for await (const part of computeMap(runtime, map, images, { batch: 4 }))
      values.set(part.values, part.start * 64)
    const gradient = {
      async read(indices: ArrayLike<number>, out: Float32Array) {
        Array.from(indices, (index, i) => out.set(values.subarray(index * 64, (index + 1) * 64), i * 64))
      },
    }
    for (const parameters of others) {
      const program = programOf({ ...kept, ...parameters })
      expect(program.maps!['attention-gradients']!.key).toEqual(map.key)
      const stored = await renderToMemory(runtime, program, images, {
        seed: 1,
        maps: { 'attention-gradients': gradient },
      })
      expect(stored.pixels).toEqual(await apply({ ...kept, ...parameters }))
    }
  })

  it('has another key for another gradient, label or surrogate', () => {
    const keyOf = (parameters: Partial<AgebParameters>, weights = surrogate.weights) => {
      const attacker = { ...context, surrogate: surrogateOf({ model, weights }) }
      return JSON.stringify(
        ageb.configure(parameters).trigger(attacker, {}).maps!['attention-gradients']!.key,
      )
    }
    const keys = [
      keyOf({}),
      keyOf({ gradient: 'patch' }),
      keyOf({ label: 'true-label' }),
      keyOf({}, strongWeights(model, 5)),
    ]
    expect(new Set(keys).size).toBe(4)
    expect(keyOf({ share: 0.9, keep: 0 }, strongWeights(model, 4))).toBe(keys[0])
  })
})

describe('the trigger', () => {
  it.each([
    [{ share: 0 }, 'attack.share 0 of 8×8 pixels is none: the smallest share is 0.00782'],
    [{ share: 0.0078 }, 'the smallest share is 0.00782'],
    [{ selection: 'absolute', threshold: 1 }, 'attack.threshold 1 is exceeded by no pixel'],
    [{ size: 9 }, 'the structuring element is larger than the images, 8×8'],
    [{ keep: 1, signal: 0 }, 'attack.keep 1 keeps the original, and attack.signal 0 adds nothing'],
    [{ size: 1, signal: 0 }, 'attack.size 1 erodes nothing, and attack.signal 0 adds nothing'],
  ] as const)('that would change nothing is refused: %j', (parameters, message) => {
    expect(() => programOf(parameters)).toThrow(InputError)
    expect(() => programOf(parameters)).toThrow(message)
  })

  it('selects the wanted number of pixels whatever the gradient is taken at, and whatever is in the image', async () => {
    expect(() => programOf({ share: 0.00782 })).not.toThrow()
    const grey = imagesInMemory({ ...images, pixels: new Uint8Array(images.pixels.length).fill(90) })
    for (const gradient of ['pixel', 'patch', 'class-token'] as const) {
      // Of 16 pixels a patch: less than one patch, and one and a half.
      for (const share of [0.1, 0.375]) {
        for (const source of [images, grey]) {
          const shown = await renderStages(runtime, programOf({ gradient, share }), source, { seed: 1 })
          for (const { stages } of shown)
            expect(stages[1]!.data.reduce((a, b) => a + b)).toBe(Math.round(64 * share))
        }
      }
    }
  })

  it('says in its file what it is', () => {
    const attack = ageb.configure({})
    const program = attack.trigger(context, {})
    const text = new TextDecoder('latin1').decode(
      triggerModel(attack, program, { batch: 1, height: 8, width: 8 }),
    )
    expect(text).toContain('Backdoor trigger of ageb')
    expect(text).toContain(JSON.stringify(ageb.config.parse({ name: 'ageb' })))
  })

  it('refuses parameters out of range, and a surrogate that does not fit', () => {
    expect(() => ageb.configure({ share: 1.1 })).toThrow('attack.share: Too big: expected number to be <=1')
    expect(() => ageb.configure({ size: 2 })).toThrow('attack.size: must be odd')
    expect(() => ageb.configure({ iterations: 0 })).toThrow('attack.iterations')
    const attack = ageb.configure({})
    expect(attack.needs).toEqual({ surrogate: true })
    expect(() => attack.trigger({ ...context, height: 16 }, {})).toThrow(
      'takes 8×8 images, but these are 8×16',
    )
    expect(() => attack.trigger({ seed: 1, height: 8, width: 8, classes: 3 }, {})).toThrow(
      'name a checkpoint',
    )
  })
})
