import type { ImageProgram } from '@ageb/lab'
import { describe, expect, it } from 'vitest'
import { assertLabelsFit } from './assert-labels-fit.js'

const program = (labels: boolean): ImageProgram => ({
  labels,
  build: (_graph, images) => ({ image: images, stages: [] }),
})
const surrogate = { classNames: ['cat', 'dog'] }

describe('assertLabelsFit', () => {
  it('takes the classes of the surrogate in its order, and a trigger that takes no labels with any', () => {
    expect(() => assertLabelsFit(program(true), surrogate, ['cat', 'dog'])).not.toThrow()
    expect(() => assertLabelsFit(program(true), undefined, ['dog', 'cat'])).not.toThrow()
    expect(() => assertLabelsFit(program(false), surrogate, ['dog', 'cat'])).not.toThrow()
  })

  it.each([
    [['dog', 'cat'], "class 0 is 'dog' in the data and 'cat' in the surrogate"],
    [['cat'], "class 1 is missing in the data and 'dog' in the surrogate"],
    [['cat', 'dog', 'frog'], "class 2 is 'frog' in the data and missing in the surrogate"],
  ])('refuses %j', (classNames, message) => {
    expect(() => assertLabelsFit(program(true), surrogate, classNames)).toThrow(message)
  })
})
