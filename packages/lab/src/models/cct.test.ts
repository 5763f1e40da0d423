import { Graph, type Value } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { evaluate, numbers } from 'onnxgrad/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { gradientErrors } from '../testing/gradient-errors.js'
import {
  blocks,
  convolve,
  dense,
  type Matrix,
  type NaiveWeights,
  norm,
  softmax,
  tensorOf,
} from '../testing/naive-layers.js'
import { strongWeights, tinyImages, tinyTask } from '../testing/tiny.js'
import { cct, cctConfig } from './cct.js'
import { parameterCount } from './model.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const config = cctConfig.parse({
  image_size: 8,
  tokenizer: [4],
  hidden_size: 6,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 10,
})
const model = cct.build(config, tinyTask)
const weights = strongWeights(model, 3)
const pixels = Float64Array.from(tinyImages(2).pixels, v => v / 255)
const image = (i: number) => pixels.subarray(i * 192, (i + 1) * 192)

/** The model in plain loops; see `naiveViT`. */
function naiveCCT(w: NaiveWeights, x: Float64Array) {
  let side = 8
  let channels: Matrix = [0, 1, 2].map(c =>
    Array.from({ length: 64 }, (_, i) => (x[c * 64 + i]! - tinyTask.mean![c]!) / tinyTask.std![c]!),
  )
  for (const [layer, outputs] of [4, 6].entries()) {
    const none = new Array(outputs).fill(0)
    const maps = convolve(channels, side, tensorOf(w, `cct.tokenizer.${layer}.weight`), none, 3, 1, 1)
    channels = maps.map(map =>
      pooled(
        map.map(v => Math.max(0, v)),
        side,
      ),
    )
    side /= 2
  }
  const position = tensorOf(w, 'cct.position_embeddings')
  const first = channels[0]!.map((_, t) => channels.map((map, i) => map[t]! + position[t * 6 + i]!))
  const { tokens, attention } = blocks(w, 'cct.encoder.layer', first, config)
  const normalized = norm(w, tokens, 'cct.layernorm', config.layer_norm_eps)
  const shares = softmax(dense(w, normalized, 'cct.pooler').map(([score]) => score!))
  const mean = normalized[0]!.map((_, i) => normalized.reduce((sum, row, t) => sum + shares[t]! * row[i]!, 0))
  return { logits: dense(w, [mean], 'classifier')[0]!, attention }
}

/** Largest of every 3×3 window, in steps of 2, of a square map. */
function pooled(map: number[], side: number): number[] {
  const at = (y: number, x: number) =>
    y < 0 || x < 0 || y >= side || x >= side ? Number.NEGATIVE_INFINITY : map[y * side + x]!
  return Array.from({ length: (side / 2) ** 2 }, (_, i) => {
    const [y, x] = [2 * Math.floor(i / (side / 2)), 2 * (i % (side / 2))]
    return Math.max(...[-1, 0, 1].flatMap(dy => [-1, 0, 1].map(dx => at(y + dy, x + dx))))
  })
}

describe('a CCT', () => {
  it('computes the logits and attention maps of the plain reference', async () => {
    const graph = new Graph()
    const p: Record<string, Value> = Object.fromEntries(
      Object.entries(model.parameters).map(([name, { shape }]) => [
        name,
        graph.input(name, 'float32', shape),
      ]),
    )
    const { logits, attention } = model.forward(p, graph.input('pixels', 'float32', [2, 3, 8, 8]))
    graph.output('logits', logits)
    attention.forEach((map, i) => {
      graph.output(`attention${i}`, map.probabilities)
    })
    const got = await evaluate(runtime, graph, { ...weights, pixels })
    const expected = [0, 1].map(i => naiveCCT(weights, image(i)))
    const close = (values: number[], wanted: number[]) => {
      expect(values.length).toBe(wanted.length)
      expect(Math.max(...values.map((v, i) => Math.abs(v - wanted[i]!)))).toBeLessThan(2e-5)
    }
    close(
      numbers(got.logits),
      expected.flatMap(e => e.logits),
    )
    for (const block of [0, 1])
      close(
        numbers(got[`attention${block}`]),
        expected.flatMap(e => e.attention[block]!.flat(2)),
      )
  })

  it('has the loss gradient of central differences, at every parameter', async () => {
    const errors = await gradientErrors(
      runtime,
      model,
      weights,
      pixels,
      [2, 0],
      (w, x) => naiveCCT(w, x).logits,
    )
    expect(Object.entries(errors).filter(([, error]) => !(error < 1e-4))).toEqual([])
  })

  it('has 0.62 million parameters by default', () => {
    const classNames = Array.from({ length: 10 }, (_, i) => String(i))
    expect(parameterCount(cct.build(cctConfig.parse({}), { classNames }))).toBe(615_243)
  })

  it.each([
    [{ image_size: 10 }, 'image_size 10 cannot be halved 2 times'],
    [{ num_attention_heads: 4 }, 'hidden_size 6 is no multiple of num_attention_heads 4'],
  ])('refuses %j', (changes, message) => {
    expect(() => cct.build(cctConfig.parse({ ...config, ...changes }), tinyTask)).toThrow(message)
  })
})
