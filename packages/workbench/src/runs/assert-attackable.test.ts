import { type ImageSource, imagesInMemory, poisoningConfig } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import { describe, expect, it } from 'vitest'
import { assertAttackable } from './assert-attackable.js'

const split = (labels: number[]): ImageSource =>
  imagesInMemory({
    name: 'signs',
    split: 'test',
    height: 1,
    width: 1,
    classNames: ['red', 'green', 'blue'],
    labels: Int32Array.from(labels),
    pixels: new Uint8Array(3 * labels.length),
  })

describe('assertAttackable', () => {
  it('refuses a split of the target class only, whatever is poisoned', () => {
    for (const mode of ['all-to-one', 'clean-label'] as const) {
      const poisoning = poisoningConfig.parse({ mode, target: 1 })
      expect(() => assertAttackable(split([1, 1, 1]), poisoning)).toThrow(InputError)
      expect(() => assertAttackable(split([1, 1, 1]), poisoning)).toThrow(
        "signs: all 3 images of the split 'test' are of the class that the attack aims at (green)",
      )
      expect(() => assertAttackable(split([1, 1, 0]), poisoning)).not.toThrow()
    }
  })

  it('takes one class where each image is to be called the next', () => {
    expect(() => assertAttackable(split([1, 1]), poisoningConfig.parse({ mode: 'all-to-all' }))).not.toThrow()
  })
})
