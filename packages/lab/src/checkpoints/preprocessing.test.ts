import { readFileSync } from 'node:fs'
import { InputError } from 'onnxgrad'
import { describe, expect, it } from 'vitest'
import type { Picture } from '../images/resample.js'
import {
  inputSide,
  type Preprocessing,
  preprocess,
  preprocessingFrom,
  preprocessingOf,
  preprocessorOf,
} from './preprocessing.js'
import { preprocessorFile } from './preprocessor-file.js'
import { timmPictures, timmPreprocessing } from './timm-preprocessing.js'

interface Case {
  readonly config: Record<string, unknown>
  /** Of every picture height, width, mean, and a few values. */
  readonly outputs: [number, number, number, ...number[]][]
}
// Made by tools/make-preprocessing-fixtures.py, with the versions that it notes.
const file = new URL('../../fixtures/preprocessing.json', import.meta.url)
const fixture: { sizes: [number, number][]; cases: Case[]; timm: Case[] } = JSON.parse(
  readFileSync(file, 'utf8'),
)

/** The picture that the fixtures were made of. */
function pictureOf([height, width]: [number, number]): Picture {
  const pixels = new Uint8Array(3 * height * width)
  for (let c = 0, at = 0; c < 3; c++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        pixels[at++] = ((x * 37 + y * 101 + c * 53) * (x + 2 * y + 3 * c + 1)) % 256
  return { pixels, height, width }
}
const pictures = fixture.sizes.map(pictureOf)

const read = (content: unknown, modelType?: string) =>
  preprocessingOf(preprocessorFile.parse(content), 'there', modelType)

/** What a model computes with, in `Float64Array` of channel after channel. */
function normalized(picture: Picture, { channels, mean, std }: Preprocessing): Float64Array {
  const plane = picture.height * picture.width
  return Float64Array.from(picture.pixels, (_, at) => {
    const channel = Math.floor(at / plane)
    const source = channels === 'bgr' ? (2 - channel) * plane + (at % plane) : at
    return (picture.pixels[source]! / 255 - mean[channel]!) / std[channel]!
  })
}

function expectPixels(preprocessing: Preprocessing, outputs: Case['outputs']): void {
  // Within a hundredth of the step from one byte to the next, which rounding in float32 explains.
  const tolerance = 0.01 / 255 / Math.min(...preprocessing.std)
  outputs.forEach(([height, width, mean, ...values], i) => {
    const made = preprocess(pictures[i]!, preprocessing)
    expect([made.height, made.width]).toEqual([height, width])
    const pixels = normalized(made, preprocessing)
    const errors = values.map((value, k) => Math.abs(value - pixels[(k * 7919 + 13) % pixels.length]!))
    expect(Math.max(...errors)).toBeLessThan(tolerance)
    const average = pixels.reduce((sum, value) => sum + value, 0) / pixels.length
    expect(Math.abs(average - mean)).toBeLessThan(tolerance / 10 + 1e-7)
  })
}

describe('pictures become what transformers makes of them', () => {
  it.each(fixture.cases.map(one => [JSON.stringify(one.config), one] as const))(
    '%s',
    (_, { config, outputs }) => expectPixels(read(config), outputs),
  )
})

describe('pictures become what timm makes of them', () => {
  it.each(fixture.timm.map(one => [JSON.stringify(one.config), one] as const))(
    '%s',
    (_, { config, outputs }) => {
      const said = timmPictures.parse(config)
      expectPixels(timmPreprocessing(said, said.input_size![1], 'there'), outputs)
    },
  )
})

describe('a preprocessor_config.json', () => {
  it('that is empty is that of a ViT', () => {
    expect(read({})).toEqual({
      resize: { height: 224, width: 224 },
      crop: null,
      resampling: 'bilinear',
      arithmetic: 'torch',
      mean: [0.5, 0.5, 0.5],
      std: [0.5, 0.5, 0.5],
      file: {},
    })
  })

  it("that names no class is of the class of the model's type", () => {
    expect(read({ size: 224 }, 'resnet')).toMatchObject({
      resize: { shortestEdge: 256 },
      crop: { height: 224, width: 224 },
    })
    expect(read({}, 'deit')).toMatchObject({ resampling: 'bicubic', crop: { height: 224, width: 224 } })
    expect(() => read({}, 'perceiver')).toThrow('the image processor of "perceiver" models is not supported')
    expect(preprocessingFrom('{}', 32, 'there')).toMatchObject({ resize: { height: 32, width: 32 } })
    expect(preprocessingFrom('{}', 224, 'there', 'deit')).toMatchObject({
      resize: { height: 256, width: 256 },
    })
  })

  it('of an older version may name a feature extractor and one side', () => {
    expect(read({ feature_extractor_type: 'ConvNextFeatureExtractor', size: 224 })).toMatchObject({
      resize: { shortestEdge: 256 },
      crop: { height: 224, width: 224 },
      resampling: 'bicubic',
    })
    expect(read({ feature_extractor_type: 'DeiTFeatureExtractor', size: 248, crop_size: 200 })).toMatchObject(
      {
        resize: { height: 248, width: 248 },
        crop: { height: 200, width: 200 },
      },
    )
    const poolFormer = { feature_extractor_type: 'PoolFormerFeatureExtractor', crop_pct: 0.95, size: 224 }
    expect(read({ ...poolFormer, do_resize_and_center_crop: true, max_size: null })).toMatchObject({
      resize: { shortestEdge: 235 },
      crop: { height: 224, width: 224 },
    })
  })

  it('tells how large the input is, if it is a square', () => {
    expect(inputSide(read({}))).toBe(224)
    expect(inputSide(read({ image_processor_type: 'ConvNextImageProcessor' }))).toBe(384)
    expect(inputSide(read({ size: { shortest_edge: 5 } }))).toBeUndefined()
    expect(inputSide(read({ size: { height: 5, width: 6 } }))).toBeUndefined()
  })

  it('tells what transparency becomes', () => {
    expect(read({}).background).toBeUndefined()
    expect(read({ do_convert_rgb: true }).background).toBe('white')
    for (const name of ['CLIP', 'Bit', 'Siglip'])
      expect(read({ image_processor_type: `${name}ImageProcessor` }).background).toBe('white')
    const clip = { image_processor_type: 'CLIPImageProcessor', do_convert_rgb: false }
    expect(read(clip).background).toBeUndefined()
  })

  it('of an unknown class is refused: it may do anything', () => {
    for (const name of ['SomeImageProcessor', 'toString', 'Siglip2ImageProcessor'])
      expect(() => read({ image_processor_type: name, size: 8, resample: 2 })).toThrow(InputError)
  })

  it.each([
    [{ do_pad: true }, "'do_pad': this key is not known, and it may change the pictures"],
    [{ do_grayscale: 1 }, "'do_grayscale': this key is not known"],
    [{ max_size: 300 }, "'max_size': this key is not known"],
    [{ crop_pct: 0.9 }, "'crop_pct' does nothing in ViTImageProcessor"],
    [{ do_flip_channel_order: true }, "'do_flip_channel_order' does nothing in ViTImageProcessor"],
    [{ size: { shortest_edge: 9, longest_edge: 12 } }, "'size': "],
    [{ do_center_crop: true }, "'do_center_crop' is true, but 'crop_size' is missing"],
    [{ resample: 5 }, "'resample' 5 (hamming) is not supported by transformers 5"],
    [
      { image_processor_type: 'ConvNextImageProcessor', size: 224, do_center_crop: true, crop_size: 200 },
      "'do_center_crop' to another size than 224",
    ],
  ])('with %j is refused by name', (content, message) => {
    const text = JSON.stringify({ image_processor_type: 'ViTImageProcessor', ...content })
    expect(() => preprocessingFrom(text, undefined, 'there')).toThrow(InputError)
    expect(() => preprocessingFrom(text, undefined, 'there')).toThrow(message)
  })

  it('may have keys that decide nothing', () => {
    const harmless = {
      processor_class: 'CLIPProcessor',
      do_pad: false,
      pad_size: null,
      data_format: 'channels_first',
    }
    const more = { _valid_processor_keys: ['images'], do_reduce_labels: true, unheard_of: null }
    expect(read({ ...harmless, ...more })).toMatchObject({ resize: { height: 224, width: 224 } })
  })
})

describe('what is written for a model', () => {
  const model = { imageSize: 16, mean: [0.1, 0.2, 0.3], std: [0.3, 0.4, 0.5] }

  it('is read as it was', () => {
    const { resize, mean, std } = read(preprocessorOf(model))
    expect({ resize, mean, std }).toEqual({
      resize: { height: 16, width: 16 },
      mean: model.mean,
      std: model.std,
    })
  })

  it('keeps the order of channels', () => {
    const third = [1 / 3, 1 / 3, 1 / 3]
    const flipped = preprocessorOf({ imageSize: 16, channels: 'bgr', mean: [0, 0, 0], std: third })
    const { channels, mean, std, resize, crop } = read(flipped)
    expect({ channels, mean, resize, crop }).toEqual({
      channels: 'bgr',
      mean: [0, 0, 0],
      resize: { height: 16, width: 16 },
      crop: null,
    })
    expect(std[0]).toBeCloseTo(1 / 3, 12)
  })
})

it('a picture that is very long is refused before memory is taken', () => {
  const long = { pixels: new Uint8Array(0), height: 1, width: 1_000_000 }
  expect(() => preprocess(long, read({ size: { shortest_edge: 224 } }))).toThrow(
    'a picture of 1000000×1 pixels would become one of 224000000×224: crop it first',
  )
})
