import { Graph } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { evaluate, numbers } from 'onnxgrad/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { rng } from '../../random/rng.js'
import { elementShapes, erode, offsetsOf, type StructuringElement } from './erosion.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const [CHANNELS, HEIGHT, WIDTH] = [3, 7, 6]
const random = rng(1, 'erosion')
const image = Float32Array.from({ length: CHANNELS * HEIGHT * WIDTH }, () => random.uniform())

// Drawn by hand: what each element covers.
const drawn: Record<StructuringElement['shape'], string[]> = {
  square: ['#####', '#####', '#####', '#####', '#####'],
  cross: ['..#..', '..#..', '#####', '..#..', '..#..'],
  disk: ['..#..', '.###.', '#####', '.###.', '..#..'],
  horizontal: ['.....', '.....', '#####', '.....', '.....'],
  vertical: ['..#..', '..#..', '..#..', '..#..', '..#..'],
}

/** The least value under the element, pixel by pixel; what lies outside the image is skipped. */
function naive(values: Float32Array, covers: (dy: number, dx: number) => boolean, r: number): Float32Array {
  return values.map((_, at) => {
    const [c, y, x] = [Math.floor(at / (HEIGHT * WIDTH)), Math.floor(at / WIDTH) % HEIGHT, at % WIDTH]
    let least = Number.POSITIVE_INFINITY
    for (let row = Math.max(0, y - r); row <= Math.min(HEIGHT - 1, y + r); row++) {
      for (let column = Math.max(0, x - r); column <= Math.min(WIDTH - 1, x + r); column++) {
        if (covers(row - y, column - x)) {
          least = Math.min(least, values[(c * HEIGHT + row) * WIDTH + column]!)
        }
      }
    }
    return least
  })
}

async function run(element: StructuringElement, iterations: number, pixels = image) {
  const graph = new Graph()
  graph.output(
    'eroded',
    erode(graph.input('x', 'float32', [1, CHANNELS, HEIGHT, WIDTH]), element, iterations),
  )
  return Float32Array.from(numbers((await evaluate(runtime, graph, { x: pixels })).eroded))
}

describe.each(elementShapes)('erosion by a %s', shape => {
  it('covers what is drawn, at size 5', () => {
    const covered = offsetsOf({ shape, size: 5 }).map(offset => offset.join())
    const rows = [-2, -1, 0, 1, 2].map(dy =>
      [-2, -1, 0, 1, 2].map(dx => (covered.includes(`${dy},${dx}`) ? '#' : '.')).join(''),
    )
    expect(rows).toEqual(drawn[shape])
  })

  it.each([1, 2, 3])('is the least value under the element, borders too, %i times', async iterations => {
    let expected: Float32Array = image
    for (let i = 0; i < iterations; i++) {
      expected = naive(expected, (dy, dx) => drawn[shape][dy + 2]![dx + 2] === '#', 2)
    }
    expect(await run({ shape, size: 5 }, iterations)).toEqual(expected)
  })

  it('of size 1 changes nothing', async () => expect(await run({ shape, size: 1 }, 1)).toEqual(image))
})

describe('erosion', () => {
  it('leaves a flat image alone, white as black', async () => {
    for (const level of [0, 1]) {
      const flat = new Float32Array(image.length).fill(level)
      expect(await run({ shape: 'square', size: 3 }, 2, flat)).toEqual(flat)
    }
  })

  it('wants an odd size', () => {
    expect(() => offsetsOf({ shape: 'square', size: 4 })).toThrow('must be odd, not 4')
    expect(() => offsetsOf({ shape: 'square', size: -1 })).toThrow(RangeError)
  })
})
