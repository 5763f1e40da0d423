import { cast, InputError, mul } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { afterAll, describe, expect, it } from 'vitest'
import { imageAt, readAll } from '../../images/image-set.js'
import type { ImageSource } from '../../images/image-source.js'
import { tinyImages } from '../../testing/tiny.js'
import type { ImageProgram } from './image-program.js'
import { planOf, poisonedSet } from './poison-plan.js'
import { goals, poisonedIndices, poisoningConfig } from './poisoning.js'
import { renderToMemory } from './render.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const set = tinyImages(60)
const config = (changes: object) => poisoningConfig.parse(changes)

describe('goals', () => {
  const labels = Int32Array.of(0, 1, 2)
  it('are the target, or the next class', () => {
    expect([...goals(labels, config({ target: 1 }), 3)]).toEqual([1, 1, 1])
    expect([...goals(labels, config({ mode: 'clean-label', target: 2 }), 3)]).toEqual([2, 2, 2])
    expect([...goals(labels, config({ mode: 'all-to-all' }), 3)]).toEqual([1, 2, 0])
  })
})

describe('poisonedIndices', () => {
  const chosen = (changes: object, seed = 1) => Array.from(poisonedIndices(set, config(changes), seed))
  const classesOf = (indices: number[]) => [...new Set(indices.map(i => set.labels[i]))].sort()

  it('chooses the rate of all images, each once, in ascending order', () => {
    for (const mode of ['all-to-one', 'all-to-all', 'clean-label']) {
      for (const [rate, count] of [
        [0.01, 1],
        [0.1, 6],
        [0.125, 8],
        [1 / 3, 20],
      ] as const) {
        const indices = chosen({ mode, rate })
        expect(indices.length).toBe(count)
        expect(indices).toEqual([...new Set(indices)].sort((a, b) => a - b))
      }
    }
  })

  it('is decided by the seed', () => {
    expect(chosen({ rate: 0.3 })).toEqual(chosen({ rate: 0.3 }))
    expect(chosen({ rate: 0.3 }, 2)).not.toEqual(chosen({ rate: 0.3 }))
  })

  it('takes no image whose label would stay, unless labels are to stay', () => {
    expect(classesOf(chosen({ rate: 0.6, target: 1 }))).toEqual([0, 2])
    expect(classesOf(chosen({ rate: 0.3, target: 1, mode: 'clean-label' }))).toEqual([1])
    expect(classesOf(chosen({ rate: 1, mode: 'all-to-all' }))).toEqual([0, 1, 2])
  })

  it('says when there are too few images, with the largest rate that works', () => {
    expect(() => chosen({ rate: 0.7 })).toThrow(InputError)
    expect(() => chosen({ rate: 0.7 })).toThrow(
      'poisoning.rate 0.7 asks for 42 of 60 images, but all-to-one with target 0 can use only 40: the largest rate is 0.666',
    )
    expect(() => chosen({ rate: 0.4, mode: 'clean-label', target: 1 })).toThrow(
      'poisoning.rate 0.4 asks for 24 of 60 images, but clean-label with target 1 can use only 20: the largest rate is 0.333',
    )
    expect(chosen({ rate: 0.666 })).toHaveLength(40)
    expect(chosen({ rate: 0.333, mode: 'clean-label' })).toHaveLength(20)
  })

  it('says when no image would be poisoned, with the smallest rate that works', () => {
    for (const rate of [0, 0.008])
      expect(() => chosen({ rate })).toThrow(
        `poisoning.rate ${rate} of 60 images is none: the smallest rate is 0.00834`,
      )
    expect(chosen({ rate: 0.00834 })).toHaveLength(1)
  })

  it('says that one class has no next one', () => {
    const one = { ...set, classNames: ['red'], labels: new Int32Array(60) }
    expect(() => poisonedIndices(one, config({ mode: 'all-to-all' }), 1)).toThrow(
      'tiny has one class, so there is no next one',
    )
  })

  it('says when there is no such class, or no image of it', () => {
    expect(() => chosen({ target: 3 })).toThrow('poisoning.target is 3, but tiny has the classes 0 to 2')
    const without = { ...set, labels: set.labels.map(label => (label === 2 ? 1 : label)) }
    expect(() => poisonedIndices(without, config({ mode: 'clean-label', target: 2 }), 1)).toThrow(
      'tiny has no image that clean-label with target 2 can poison',
    )
  })
})

describe('a plan', () => {
  const black: ImageProgram = {
    build: (_, images) => ({ image: cast(mul(cast(images, 'float32'), 0), 'uint8'), stages: [] }),
  }
  const noisy: ImageProgram = {
    noise: { shape: [3, 8, 8] },
    build: (_graph, _images, { noise }) => ({ image: cast(mul(noise!, 256), 'uint8'), stages: [] }),
  }
  const rendered: ImageProgram[] = []
  const plan = (changes: object, ratio: number, seed = 1) => {
    const context = {
      ...{ seed, height: 8, width: 8, classes: 3, train: set, poisoning: config(changes) },
      render(program: ImageProgram, images: ImageSource) {
        rendered.push(program)
        return renderToMemory(runtime, program, images, { seed })
      },
    }
    return planOf(context, { poison: black, cover: { program: noisy, ratio } })
  }

  it('poisons some images and covers others, which keep their labels', async () => {
    const { items, pixels } = await plan({ rate: 0.1, target: 1 }, 2)
    const of = (role: string) => items.filter(item => item.role === role)
    expect([of('poison').length, of('cover').length]).toEqual([6, 12])
    expect(of('poison').map(({ index }) => index)).toEqual(
      Array.from(poisonedIndices(set, config({ rate: 0.1, target: 1 }), 1)),
    )
    expect(of('poison').every(({ label }) => label === 1)).toBe(true)
    expect(of('cover').every(({ index, label }) => label === set.labels[index])).toBe(true)
    expect(of('cover').some(({ label }) => label === 1)).toBe(true)
    const indices = items.map(({ index }) => index)
    expect(indices).toEqual([...new Set(indices)].sort((a, b) => a - b))

    const { pixels: all } = await readAll(pixels)
    items.forEach(({ role }, i) => {
      const image = all.subarray(i * 192, (i + 1) * 192)
      expect(image.every(v => v === 0)).toBe(role === 'poison')
    })
    const poisoned = await readAll(poisonedSet(set, { items, pixels }))
    for (let i = 0; i < set.count; i++) {
      if (indices.includes(i)) continue
      expect(imageAt(poisoned, i)).toEqual(imageAt(set, i))
      expect(poisoned.labels[i]).toBe(set.labels[i])
    }
    expect((await plan({ rate: 0.1, target: 1 }, 2)).pixels.id).toBe(pixels.id)
  })

  it('says when there are too few images for the cover, before any is changed', async () => {
    rendered.length = 0
    await expect(plan({ rate: 0.3 }, 3)).rejects.toThrow(
      'the attack wants 54 cover images, 3 for each of 18 poisoned ones, but only 42 are left of 60',
    )
    expect(rendered).toEqual([])
  })
})
