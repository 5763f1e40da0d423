import { Graph, InputError, reduceMean, reshape, sigmoid, softmax, toOnnx, type Value } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { evaluate, numbers } from 'onnxgrad/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { attentionGradient, type GradientAt } from '../attacks/ageb/attention-gradient.js'
import { renderToMemory } from '../attacks/core/render.js'
import { surrogateOf } from '../attacks/core/surrogate.js'
import { ageb } from '../attacks/registry.js'
import { pixelsInMemory } from '../images/image-set.js'
import { classify } from '../inference/classifier.js'
import { bakeWeights } from '../models/model.js'
import { both, bytes } from '../testing/onnx-fixtures.js'
import { tinyImages } from '../testing/tiny.js'
import type { Checkpoint } from './checkpoint.js'
import { fromOnnx, type OnnxFiles } from './from-onnx.js'
import { toOnnxClassifier } from './to-onnx-classifier.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

async function gradientOf({ model, weights }: Checkpoint, at: GradientAt): Promise<number[]> {
  const side = model.imageSize
  const graph = new Graph()
  const pixels = graph.input('pixels', 'float32', [2, 3, side, side])
  const labels = graph.constant('int64', [2], [0, 2])
  graph.output('gradient', attentionGradient(pixels, { model, weights }, at, labels))
  const feed = Float64Array.from(tinyImages(2, 1, side).pixels, v => v / 255)
  return numbers((await evaluate(runtime, graph, { pixels: feed })).gradient)
}

/** Largest difference, relative to the largest element. */
const distance = (a: readonly number[], b: readonly number[]) =>
  Math.max(...a.map((v, i) => Math.abs(v - b[i]!))) / Math.max(...b.map(Math.abs))

const pairs: [string, string, GradientAt[]][] = [
  ['vit-dynamo', 'checkpoints/vit', ['pixel', 'patch', 'class-token']],
  ['vit-dynamo-external', 'checkpoints/vit', ['pixel', 'patch', 'class-token']],
  ['vit-dynamo-fixed', 'checkpoints/vit', ['pixel', 'patch', 'class-token']],
  ['vit-script-decomposed', 'checkpoints/vit', ['pixel', 'patch', 'class-token']],
  ['deit-teacher-script', 'checkpoints/deit-teacher', ['pixel', 'patch', 'class-token']],
  ['swin-dynamo', 'swin/shifted', ['pixel', 'patch']],
  ['resnet-dynamo', 'resnet/basic', ['pixel', 'patch']],
]

describe.each(pairs)('%s', (file, folder, gradientsAt) => {
  const { own, imported } = both(folder, file)

  it('gives the logits of the same weights in safetensors', async () => {
    expect(imported.model.classNames).toEqual(own.model.classNames)
    // The class that the model's family has by default is written down.
    expect({ ...imported.preprocessing, file: own.preprocessing.file }).toEqual(own.preprocessing)
    const images = tinyImages(4, 1, own.model.imageSize)
    const [a, b] = await Promise.all(
      [own, imported].map(({ model, weights }) => classify(runtime, model, weights, images)),
    )
    a!.forEach((logits, i) => {
      // Where the file gives probabilities, what they are made of counts.
      expect(distance([...b![i]!], [...logits])).toBeLessThan(1e-5)
    })
  })

  it.each(gradientsAt)('has their attention gradient, at %s', async at => {
    const expected = await gradientOf(own, at)
    expect(Math.max(...expected)).toBeGreaterThan(0)
    expect(distance(await gradientOf(imported, at), expected)).toBeLessThan(1e-5)
  })
})

describe('a classifier in ONNX', () => {
  const { imported } = both('checkpoints/vit', 'vit-dynamo-fixed')

  it('serves as a surrogate although it takes exactly two images a run', async () => {
    expect(imported.model.fixedBatch).toBe(2)
    const free = both('checkpoints/vit', 'vit-dynamo').imported
    const attack = ageb.configure({})
    const images = tinyImages(3, 1, 16)
    const { height, width } = images
    const [a, b] = await Promise.all(
      [imported, free].map(checkpoint => {
        const context = { seed: 1, height, width, classes: 3, surrogate: surrogateOf(checkpoint) }
        return renderToMemory(runtime, attack.trigger(context, {}), images, { seed: 1 })
      }),
    )
    expect(a!.pixels).toEqual(b!.pixels)
    expect(a!.pixels).not.toEqual(images.pixels)
  })

  it('needs nothing beside it', () => {
    const bare = fromOnnx({ onnx: bytes('onnx/vit-dynamo.onnx') }, 'somewhere/vit.onnx')
    expect(bare.model).toMatchObject({ imageSize: 16, leadingTokens: 1, mean: [0.5, 0.5, 0.5] })
    expect(bare.model.classNames).toEqual(['LABEL_0', 'LABEL_1', 'LABEL_2'])
    expect(bare.provenance).toEqual({ poisoned: false, note: 'unknown origin' })
    expect(bare.preprocessing.resize).toEqual({ height: 16, width: 16 })
  })

  it("takes classes and pictures from timm's own config.json, of today or of older versions", () => {
    const pictures = { input_size: [3, 16, 16], mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6], crop_pct: 0.9 }
    const timm = {
      architecture: 'mobilenetv3_small_100',
      num_classes: 3,
      label_names: ['red', 'green', 'blue'],
    }
    for (const config of [
      { ...timm, pretrained_cfg: { ...pictures, interpolation: 'bilinear' } },
      { ...timm, ...pictures, interpolation: 'bilinear' },
    ]) {
      const read = fromOnnx(
        { onnx: bytes('onnx/vit-dynamo.onnx'), 'config.json': JSON.stringify(config) },
        'somewhere/vit.onnx',
      )
      expect(read.model).toMatchObject({ imageSize: 16, classNames: ['red', 'green', 'blue'] })
      for (const { mean, std } of [read.model, read.preprocessing])
        expect({ mean, std }).toEqual({ mean: pictures.mean, std: pictures.std })
      expect(read.preprocessing).toMatchObject({
        resize: { shortestEdge: 17 },
        crop: { height: 16, width: 16 },
        cropRounding: 'even',
        resampling: 'bilinear',
        arithmetic: 'pillow',
      })
    }
  })

  it('is as large as its preprocessor makes pictures, and says so', () => {
    const read = fromOnnx(
      {
        onnx: bytes('onnx/vit-script-decomposed.onnx'),
        'config.json': '{"image_size": 64, "problem_type": "multi_label_classification"}',
        'preprocessor_config.json': '{"image_processor_type": "ViTImageProcessor", "size": 16}',
      },
      'somewhere/vit.onnx',
    )
    expect(read.model.imageSize).toBe(16)
    expect(read.remarks).toEqual([
      "somewhere/config.json says 'image_size' 64, but preprocessor_config.json makes pictures of 16×16: " +
        'images of 16×16 are taken',
    ])
    expect(read.problemType).toBe('multi_label_classification')
  })

  it('that ends in a sigmoid or a softmax gives what these are computed from, and says which it is', async () => {
    const ending = (end: (logits: Value) => Value) => {
      const graph = new Graph()
      const pixels = graph.input('pixels', 'float32', [1, 3, 8, 8])
      graph.output('probabilities', end(reduceMean(pixels, [2, 3])))
      return toOnnx(graph)
    }
    const read = (end: (logits: Value) => Value, config = '{}') =>
      fromOnnx({ onnx: ending(end), 'config.json': config }, 'model.onnx')
    const plain = read(logits => logits)
    const several = read(sigmoid)
    const one = read(logits => softmax(logits, -1))
    expect([plain, several, one].map(({ problemType }) => problemType)).toEqual([
      undefined,
      'multi_label_classification',
      undefined,
    ])
    const logits = ({ model, weights }: Checkpoint) => classify(runtime, model, weights, tinyImages(1, 1, 8))
    const wanted = await logits(plain)
    expect(await logits(several)).toEqual(wanted)
    expect(await logits(one)).toEqual(wanted)
    // What is written beside the file holds.
    const said = '{"problem_type": "single_label_classification"}'
    expect(read(sigmoid, said).problemType).toBe('single_label_classification')
  })

  it('takes blue, green, red where its preprocessor says so', async () => {
    const onnx = bytes('onnx/vit-dynamo.onnx')
    const processor = { image_processor_type: 'MobileViTImageProcessor', size: 16, crop_size: 16 }
    const [plain, flipped] = [false, true].map(do_flip_channel_order =>
      fromOnnx(
        { onnx, 'preprocessor_config.json': JSON.stringify({ ...processor, do_flip_channel_order }) },
        'vit.onnx',
      ),
    )
    const images = tinyImages(2, 1, 16)
    const plane = 16 * 16
    const reversed = images.pixels.map((_, i, all) => {
      const channel = Math.floor(i / plane) % 3
      return all[i + (2 - 2 * channel) * plane]!
    })
    const logits = ({ model, weights }: Checkpoint, pixels: Uint8Array) =>
      classify(runtime, model, weights, pixelsInMemory(pixels, { height: 16, width: 16 }))
    const wanted = await logits(plain!, reversed)
    expect(await logits(flipped!, images.pixels)).toEqual(wanted)
    expect(await logits(plain!, images.pixels)).not.toEqual(wanted)
  })

  it('brings its history, if this program wrote it', () => {
    const { own } = both('checkpoints/vit', 'vit-dynamo')
    const provenance = { poisoned: true, attack: 'ageb' }
    const back = fromOnnx({ onnx: toOnnxClassifier({ ...own, provenance }, 1) }, 'model.onnx')
    expect(back.provenance).toEqual(provenance)
  })

  it('says that windows do not tell where their tokens lie', () => {
    const { model, weights } = both('swin/shifted', 'swin-dynamo').imported
    const graph = new Graph()
    const pixels = graph.input('pixels', 'float32', [1, 3, 16, 16])
    const [first] = model.forward(bakeWeights(graph, model, weights), pixels).attention
    expect(first!.probabilities.shape[0]).toBe(4)
    expect(() => first!.toGrid(pixels)).toThrow('(within windows) lie: take the gradient at pixel')
  })

  const file = (build: (graph: Graph) => Record<string, Value>): OnnxFiles => {
    const graph = new Graph()
    for (const [name, value] of Object.entries(build(graph))) graph.output(name, value)
    return { onnx: toOnnx(graph) }
  }
  const pooled = (x: Value) => reduceMean(x, [2, 3])
  const input = (graph: Graph, shape: number[], name = 'x') => graph.input(name, 'float32', shape)
  const faults: [string, OnnxFiles, RegExp][] = [
    [
      'no image',
      file(g => ({ y: softmax(input(g, [1, 9]), -1) })),
      /takes 'x' float32\[1, 9\]: .*one input, images/,
    ],
    [
      'two inputs',
      file(g => ({ y: pooled(input(g, [1, 3, 4, 4])), z: softmax(input(g, [1, 2], 'z0'), -1) })),
      /one input/,
    ],
    ['channels last', file(g => ({ y: pooled(input(g, [1, 4, 4, 3])) })), /3 channels in the second axis/],
    ['no square', file(g => ({ y: pooled(input(g, [1, 3, 4, 6])) })), /only squares are supported/],
    [
      'no classifier',
      file(g => ({ tokens: reshape(input(g, [1, 3, 4, 4]), [1, 3, 16]) })),
      /gives tokens \[1, 3, 16\]: a classifier gives logits/,
    ],
    [
      'features alone',
      file(g => {
        const x = input(g, [1, 3, 4, 4])
        return { last_hidden_state: reshape(x, [1, 3, 16]), pooler_output: pooled(x) }
      }),
      /gives last_hidden_state \[1, 3, 16\], pooler_output \[1, 3\]: .*export the model with its classifier/,
    ],
    [
      'other classes than the names beside it',
      { ...file(g => ({ y: pooled(input(g, [1, 3, 4, 4])) })), 'config.json': '{"id2label": {"0": "one"}}' },
      /tells 3 classes apart, but 1 names are given/,
    ],
    [
      'a free size that nothing tells',
      { onnx: bytes('onnx/vit-script-decomposed.onnx') },
      /float32\[batch, 3, height, width\]: their size is free: write 'image_size'/,
    ],
    ['weights elsewhere', { onnx: bytes('onnx/vit-dynamo-external.onnx') }, /is kept in another file/],
    ['a text', { onnx: new TextEncoder().encode('{"no": "protobuf"}') }, /no ONNX file/],
  ]
  it.each(faults)('is refused with %s', (_, files, message) => {
    const reading = () => fromOnnx(files, 'folder/model.onnx')
    expect(reading).toThrow(InputError)
    expect(reading).toThrow(/^folder\/model\.onnx: /)
    expect(reading).toThrow(message)
  })
})
