import { startRuntime } from 'onnxgrad/node'
import { afterAll, describe, expect, it } from 'vitest'
import { imagesInMemory } from '../../images/image-set.js'
import { tinyImages } from '../../testing/tiny.js'
import { sigGoldens } from '../attack-goldens.js'
import { renderToMemory } from '../core/render.js'
import { resolveAttack } from '../resolve.js'
import { sig } from './sig.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

describe('SIG', () => {
  it.each(sigGoldens)(
    'is what PyTorch makes of its definition: Δ = $amplitude, f = $frequency',
    async golden => {
      const { pixels: expected, ...parameters } = golden
      const side = 12
      const image = imagesInMemory({
        ...{ name: 'formula', split: 'test', height: side, width: side },
        labels: Int32Array.of(0),
        classNames: ['a'],
        pixels: Uint8Array.from({ length: 3 * side * side }, (_, i) => {
          const [c, y, x] = [Math.floor(i / side / side), Math.floor(i / side) % side, i % side]
          return (x * x * 3 + y * 7 + x * y * 5 + c * 37) % 256
        }),
      })
      const context = { seed: 1, height: side, width: side, classes: 3 }
      const program = sig.configure(parameters).trigger(context, {})
      const { pixels } = await renderToMemory(runtime, program, image, { seed: 1 })
      expect([...pixels]).toEqual(expected)
    },
  )

  it('is the published formula to the byte, columns counted from 1', async () => {
    const images = tinyImages(3, 2, 32)
    const program = sig.configure({}).trigger({ seed: 1, height: 32, width: 32, classes: 3 }, {})
    const { pixels } = await renderToMemory(runtime, program, images, { seed: 1 })
    images.pixels.forEach((x, i) => {
      const j = (i % 32) + 1
      const changed = Math.round(x + 40 * Math.sin((2 * Math.PI * j * 6) / 32))
      expect(pixels[i]).toBe(Math.min(255, Math.max(0, changed)))
    })
  })

  it('keeps labels unless told otherwise', () => {
    expect(sig.poisoning).toEqual({ mode: 'clean-label' })
    expect(resolveAttack('sig').name).toBe('sig')
  })
})
