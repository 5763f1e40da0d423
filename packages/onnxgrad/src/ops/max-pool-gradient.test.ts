import { afterAll, describe, expect, it } from 'vitest'
import { gradients } from '../autodiff/gradients.js'
import { type Attributes, Graph } from '../graph/graph.js'
import { sizeOf } from '../graph/tensor.js'
import { forDevice } from '../passes/for-device.js'
import { startRuntime } from '../runtime/node/index.js'
import { evaluate, numbers } from '../testing/evaluate.js'
import { scatterElements } from './indexing.js'
import { MaxPool } from './pooling.js'
import { slid, windowOf } from './window.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

/** x → the gradient of its largest values, weighted by the input `weights`; and the same for a device without indices. */
function bothForms(shape: readonly number[], attributes: Attributes) {
  const graph = new Graph()
  const x = graph.input('x', 'float32', shape)
  const y = graph.apply(MaxPool, [x], attributes)[0]!
  const seed = graph.input('weights', 'float32', y.shape)
  graph.output('y', y)
  graph.output('g', gradients([{ value: y, seed }], [x])[0]!)
  return { indices: graph, compared: forDevice(graph, 'webgpu'), pooled: y.shape }
}

/** The same in plain loops: every window gives its weight to the first of its largest elements. */
function inLoops(
  x: readonly number[],
  weights: readonly number[],
  shape: readonly number[],
  attributes: Attributes,
) {
  const [images, channels, height, width] = shape as [number, number, number, number]
  const w = windowOf(attributes, [height, width], attributes.kernel_shape as number[])
  const [rows, columns] = slid([height, width], w, attributes.ceil_mode === 1) as [number, number]
  const gradient = new Array<number>(x.length).fill(0)
  for (let plane = 0; plane < images * channels; plane++) {
    for (let window = 0; window < rows * columns; window++) {
      let best = -1
      for (let tap = 0; tap < sizeOf(w.kernel); tap++) {
        const [i, j] = [Math.floor(tap / w.kernel[1]), tap % w.kernel[1]]
        const row = Math.floor(window / columns) * w.strides[0]! - w.pads[0]! + i * w.dilations[0]!
        const column = (window % columns) * w.strides[1]! - w.pads[1]! + j * w.dilations[1]!
        if (row < 0 || row >= height || column < 0 || column >= width) continue
        const at = (plane * height + row) * width + column
        if (best < 0 || x[at]! > x[best]!) best = at
      }
      gradient[best]! += weights[plane * rows * columns + window]!
    }
  }
  return gradient
}

const windows: Record<string, readonly [readonly number[], Attributes]> = {
  'of CCT and of the stem of ImageNet': [
    [2, 3, 8, 10],
    { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
  ],
  'side by side': [[1, 2, 6, 4], { kernel_shape: [2, 2], strides: [2, 2] }],
  'at every place': [[1, 2, 5, 6], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }],
  'not square': [[1, 2, 7, 9], { kernel_shape: [2, 5], strides: [1, 3], pads: [1, 0, 0, 2] }],
  'further apart than they are wide': [[1, 1, 9, 8], { kernel_shape: [2, 2], strides: [3, 4] }],
  dilated: [[2, 1, 9, 9], { kernel_shape: [3, 2], dilations: [2, 3], strides: [2, 1], pads: [1, 1, 2, 0] }],
  'dilated by more than the stride': [
    [1, 1, 11, 7],
    { kernel_shape: [2, 2], dilations: [5, 1], strides: [2, 2] },
  ],
  'ending beyond the input': [[1, 2, 6, 5], { kernel_shape: [3, 2], strides: [2, 2], ceil_mode: 1 }],
  'that leave the last rows over': [[1, 2, 8, 8], { kernel_shape: [2, 2], strides: [3, 3] }],
  'as SAME_UPPER': [[1, 1, 6, 5], { kernel_shape: [3, 3], strides: [2, 2], auto_pad: 'SAME_UPPER' }],
  'as SAME_LOWER': [[1, 1, 6, 5], { kernel_shape: [2, 3], strides: [2, 1], auto_pad: 'SAME_LOWER' }],
  'of one element': [[1, 2, 4, 5], { kernel_shape: [1, 1], strides: [2, 3] }],
  'that see everything': [[2, 2, 5, 4], { kernel_shape: [5, 4] }],
}

describe.each(Object.entries(windows))(
  'the gradient of MaxPool with windows %s',
  (_, [shape, attributes]) => {
    const { indices, compared, pooled } = bothForms(shape, attributes)
    const weights = Array.from({ length: sizeOf(pooled) }, (_, i) => 1 + ((i * i * 5) % 17))
    // No two equal; many equal; all equal; below zero, so that padding with zero would win.
    const points: Record<string, (i: number) => number> = {
      distinct: i => ((i * Math.SQRT2) % 1) - 0.5,
      tied: i => ((i * 7) % 5 > 2 ? 1 : 0),
      equal: () => 0,
      negative: i => -1 - ((i * 11) % 4),
    }

    it.each(Object.entries(points))(
      'goes to the first of the largest, with and without indices (%s)',
      async (_, at) => {
        const x = Array.from({ length: sizeOf(shape) }, (_, i) => Math.fround(at(i)))
        const expected = inLoops(x, weights, shape, attributes)
        expect(numbers((await evaluate(runtime, indices, { x, weights })).g)).toEqual(expected)
        expect(numbers((await evaluate(runtime, compared, { x, weights })).g)).toEqual(expected)
      },
    )

    it('adds up in the same order in both forms', async () => {
      const x = Array.from({ length: sizeOf(shape) }, (_, i) => (i * 7) % 5)
      const fractions = weights.map((weight, i) => weight / (1 + (i % 7)))
      const [a, b] = [
        await evaluate(runtime, indices, { x, weights: fractions }),
        await evaluate(runtime, compared, { x, weights: fractions }),
      ]
      expect(numbers(b.g)).toEqual(numbers(a.g))
    })
  },
)

describe('for a device without indices', () => {
  const names = (graph: Graph) => graph.nodes.map(({ definition }) => definition.name)

  it('nothing is scattered, in as few comparisons as there are taps and overlaps', () => {
    const { indices, compared } = bothForms(...windows['of CCT and of the stem of ImageNet']!)
    expect(names(indices)).toContain('ScatterElements')
    expect(names(compared)).not.toContain('ScatterElements')
    expect(names(compared).filter(name => name === 'Equal').length).toBe(9 + 4)
    expect(forDevice(indices, 'cpu')).toBe(indices)
  })

  it('scattering of other kinds stays', () => {
    const graph = new Graph()
    const x = graph.input('x', 'float32', [4])
    const at = graph.input('at', 'int64', [4])
    graph.output('y', scatterElements(x, at, x, 0, 'add'))
    expect(forDevice(graph, 'webgpu')).toBe(graph)
  })
})
