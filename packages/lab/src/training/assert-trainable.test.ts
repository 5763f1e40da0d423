import { InputError } from 'onnxgrad'
import { describe, expect, it } from 'vitest'
import { imagesInMemory } from '../images/image-set.js'
import { tinyImages, tinyViT } from '../testing/tiny.js'
import { tinyResNet } from '../testing/tiny-resnet.js'
import { assertTrainable } from './assert-trainable.js'
import { trainingConfig } from './training-config.js'

const data = tinyImages(12)
const model = tinyViT()
const narrow = tinyResNet({ hidden_sizes: [4, 6, 8, 8], depths: [1, 1, 1, 1] })
const configured = (changes: object) => trainingConfig.parse({ batchSize: 4, ...changes })

describe('assertTrainable', () => {
  it('takes what can be trained, down to a single step', () => {
    for (const changes of [{}, { batchSize: 12, epochs: 0.5 }, { crop: 7 }, { frozen: ['vit'] }])
      expect(() => assertTrainable(model, configured(changes), data)).not.toThrow()
  })

  it.each([
    [model, { batchSize: 13 }, '12 training images make no batch of 13: lower batchSize'],
    [model, { epochs: 0.1 }, '0.1 epochs of 3 steps are less than one step: raise epochs'],
    [model, { crop: 8 }, 'training.crop 8 would move images of 8×8 out of sight: choose less than 8'],
    [model, { frozen: ['vit', 'classifier'] }, 'training.frozen covers every parameter'],
    [model, { frozen: ['vti'] }, "no parameter is called 'vti'"],
    [{ ...model, branches: 0 }, { stochasticDepth: 0.1 }, 'this vit model has no branches to drop'],
    [narrow, { batchSize: 2, microBatches: 2 }, 'batch normalization cannot learn from one value a channel'],
  ])('refuses what would fail later: %#, %j', (subject, changes, message) => {
    const check = () => assertTrainable(subject, configured(changes), data)
    expect(check).toThrow(InputError)
    expect(check).toThrow(message)
  })

  it('refuses data of another size or of other classes', () => {
    expect(() => assertTrainable(model, configured({}), tinyImages(12, 1, 16))).toThrow('the model takes 8×8')
    const two = imagesInMemory({ ...data, classNames: ['red', 'green'], labels: new Int32Array(12) })
    expect(() => assertTrainable(model, configured({}), two)).toThrow('has 2 classes but the model tells 3')
  })
})
