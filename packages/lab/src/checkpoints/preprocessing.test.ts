import { readFileSync } from 'node:fs'
import { InputError } from 'onnxgrad'
import { describe, expect, it } from 'vitest'
import type { Picture } from '../images/resample.js'
import { inputSide, preprocess, preprocessingOf, preprocessorFile } from './preprocessing.js'

// Made by tools/make-preprocessing-fixtures.py, with the versions that it notes.
const file = new URL('../../fixtures/preprocessing.json', import.meta.url)
const fixture: {
  pictures: { height: number; width: number; pixels: string }[]
  cases: { config: Record<string, unknown>; outputs: { shape: number[]; float32: string }[] }[]
} = JSON.parse(readFileSync(file, 'utf8'))
const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))
const pictures = fixture.pictures.map(({ pixels, ...size }): Picture => ({ ...size, pixels: bytes(pixels) }))

const read = (content: unknown) => preprocessingOf(preprocessorFile.parse(content), 'there')

describe('pictures become what transformers makes of them', () => {
  it.each(fixture.cases.map(one => [JSON.stringify(one.config), one] as const))(
    '%s',
    (_, { config, outputs }) => {
      const preprocessing = read(config)
      const { mean, std } = preprocessing
      outputs.forEach(({ shape, float32 }, i) => {
        const made = preprocess(pictures[i]!, preprocessing)
        expect([3, made.height, made.width]).toEqual(shape)
        const wanted = new Float32Array(bytes(float32).buffer)
        const plane = made.height * made.width
        made.pixels.forEach((value, at) => {
          const channel = Math.floor(at / plane)
          // Within a hundredth of the step from one byte to the next, which rounding in float32 explains.
          const error = Math.abs((value / 255 - mean[channel]!) / std[channel]! - wanted[at]!)
          expect(error * 255 * std[channel]!).toBeLessThan(0.01)
        })
      })
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
  })

  it('tells how large the input is, if it is a square', () => {
    expect(inputSide(read({}))).toBe(224)
    expect(inputSide(read({ image_processor_type: 'ConvNextImageProcessor' }))).toBe(384)
    expect(inputSide(read({ size: { shortest_edge: 5 } }))).toBeUndefined()
    expect(inputSide(read({ size: { height: 5, width: 6 } }))).toBeUndefined()
  })

  it('of an unknown class must say what it does', () => {
    const unknown = { image_processor_type: 'SomeImageProcessor' }
    expect(() => read(unknown)).toThrow(InputError)
    expect(read({ ...unknown, size: 8, resample: 0 })).toMatchObject({
      resize: { height: 8, width: 8 },
      resampling: 'nearest',
    })
  })
})

it('a picture that is very long is refused before memory is taken', () => {
  const long = { pixels: new Uint8Array(0), height: 1, width: 1_000_000 }
  expect(() => preprocess(long, read({ size: { shortest_edge: 224 } }))).toThrow(
    'a picture of 1000000×1 pixels would become one of 224000000×224: crop it first',
  )
})
