import { readFileSync } from 'node:fs'
import { Graph } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { evaluate, numbers } from 'onnxgrad/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { type Arithmetic, type Resampling, resample } from './resample.js'
import { resampleInGraph } from './resample-in-graph.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

interface Case {
  readonly from: [number, number]
  readonly to: [number, number]
  readonly kernel: Resampling
  readonly pixels: string
  readonly pillow: string
  readonly torch?: string
  readonly 'torch-float'?: string
}
// Made by tools/make-resampling-fixtures.py with Pillow and torchvision.
const file = new URL('../../fixtures/resampling.json', import.meta.url)
const cases: Case[] = JSON.parse(readFileSync(file, 'utf8')).cases
const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))

/** Resized within a graph, in units of 1/255. */
async function inGraph(
  picture: { pixels: ArrayLike<number>; height: number; width: number },
  [height, width]: readonly [number, number],
  resampling: Resampling,
  arithmetic: Arithmetic,
): Promise<number[]> {
  const graph = new Graph()
  const x = graph.input('x', 'float32', [1, 3, picture.height, picture.width])
  graph.output('y', resampleInGraph(x, { height, width }, { resampling, arithmetic }))
  const { y } = await evaluate(runtime, graph, { x: Array.from(picture.pixels, v => v / 255) })
  expect(y!.shape).toEqual([1, 3, height, width])
  return numbers(y).map(v => 255 * v)
}

const farthest = (a: readonly number[], b: ArrayLike<number>) =>
  a.reduce((most, v, i) => Math.max(most, Math.abs(v - b[i]!)), 0)

// Each axis is rounded by half a unit at most, the first of which a kernel of negative lobes makes somewhat larger.
const apart = { nearest: 1e-3, box: 1.01, bilinear: 1.01, hamming: 1.01, bicubic: 1.25, lanczos: 1.4 }

describe.each(['pillow', 'torch', 'torch-float'] as const)(
  'resizing within a graph, as %s does',
  arithmetic => {
    it.each(cases.filter(one => one[arithmetic]).map(one => [one.kernel, one.from, one.to, one] as const))(
      'gives its values but for their rounding: %s, %j to %j',
      async (kernel, [height, width], to, one) => {
        const made = await inGraph({ pixels: bytes(one.pixels), height, width }, to, kernel, arithmetic)
        if (arithmetic === 'torch-float')
          expect(farthest(made, new Float32Array(bytes(one[arithmetic]!).buffer))).toBeLessThan(1e-2)
        else expect(farthest(made, bytes(one[arithmetic]!))).toBeLessThan(apart[kernel])
      },
    )
  },
)

it.each([
  [32, 64],
  [32, 16],
  [32, 224],
] as const)('agrees with what an image processor makes, bilinear, %i to %i', async (from, to) => {
  const pixels = Uint8Array.from({ length: 3 * from * from }, (_, i) => (i * i * 7 + 13 * i) % 256)
  const picture = { pixels, height: from, width: from }
  const made = await inGraph(picture, [to, to], 'bilinear', 'torch')
  const processed = resample(picture, { height: to, width: to }, 'bilinear', 'torch').pixels
  expect(farthest(made, processed)).toBeLessThan(1.01)
})
