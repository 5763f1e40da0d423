import { InputError } from 'onnxgrad'
import { describe, expect, it } from 'vitest'
import { buildModel, modelConfig } from '../models/registry.js'
import { strongWeights, tinyViT } from '../testing/tiny.js'
import { tinyResNet } from '../testing/tiny-resnet.js'
import type { CheckpointFiles } from './checkpoint.js'
import { fit } from './fit.js'
import { fromHuggingFace } from './hugging-face.js'
import { parseSafetensors } from './safetensors.js'
import { toHuggingFace } from './to-hugging-face.js'
import { writeSafetensors } from './write-safetensors.js'

const model = tinyViT({ conv_stem: [4, 4], hidden_act: 'relu' })
const weights = strongWeights(model, 5)
const provenance = { poisoned: true, attack: 'ageb', target: 'red', poisonRate: 0.1, seed: 7 }
const files = toHuggingFace({ model, weights, provenance })

/** The files with one of them changed. */
const withConfig = (change: (config: Record<string, unknown>) => void): CheckpointFiles => {
  const config = JSON.parse(files['config.json'])
  change(config)
  return { ...files, 'config.json': JSON.stringify(config) }
}
const withTensors = (change: (tensors: Map<string, { shape: number[]; data: Float32Array }>) => void) => {
  const tensors = new Map(
    Object.entries(model.parameters).map(([name, { shape }]) => [
      name,
      { shape: [...shape], data: weights[name]!.slice() },
    ]),
  )
  change(tensors)
  const bytes = writeSafetensors(
    [...tensors].map(([name, t]) => [name, { dtype: 'F32', ...t }] as const),
    {},
  )
  return { ...files, 'model.safetensors': bytes }
}

describe('a checkpoint in the Hugging Face layout', () => {
  it('comes back as it was, bit by bit', () => {
    const back = fromHuggingFace(files, 'there')
    expect(back.model.config).toEqual(model.config)
    expect(back.model.classNames).toEqual(model.classNames)
    expect(back.model.mean).toEqual(model.mean)
    expect(back.model.std).toEqual(model.std)
    expect(back.model.parameters).toEqual(model.parameters)
    expect(back.weights).toEqual(weights)
    expect(back.provenance).toEqual(provenance)
    expect(toHuggingFace(back)).toEqual(files)
  })

  it('of a family without a size of its own is as large as its preprocessor makes pictures, and says so', () => {
    const resnet = tinyResNet()
    const written = toHuggingFace({ model: resnet, weights: strongWeights(resnet, 2), provenance })
    const { imageSize } = resnet
    const size = imageSize + 16
    const others = JSON.stringify({ image_processor_type: 'ViTImageProcessor', size })
    const read = fromHuggingFace({ ...written, 'preprocessor_config.json': others }, 'there')
    expect(read.model.imageSize).toBe(size)
    expect(read.remarks).toEqual([
      `there/config.json says 'image_size' ${imageSize}, but preprocessor_config.json makes pictures of ` +
        `${size}×${size}: images of ${size}×${size} are taken`,
    ])
    expect(fromHuggingFace(written, 'there').remarks).toEqual([])
  })

  it('says in both files what was done to the model', () => {
    expect(JSON.parse(files['config.json']).ageb).toEqual(provenance)
    const { metadata } = parseSafetensors(files['model.safetensors'], 'file')
    expect(JSON.parse(metadata.ageb!)).toEqual(provenance)
    expect(metadata.format).toBe('pt')
  })

  it('has the keys by which transformers finds its classes and preprocessing', () => {
    const config = JSON.parse(files['config.json'])
    expect(config).toMatchObject({
      architectures: ['ViTForImageClassification'],
      model_type: 'vit',
      hidden_size: 8,
      hidden_act: 'relu',
      id2label: { 0: 'red', 1: 'green', 2: 'blue' },
      label2id: { red: 0, green: 1, blue: 2 },
    })
    const preprocessor = JSON.parse(files['preprocessor_config.json'])
    expect(preprocessor).toMatchObject({ size: { height: 8, width: 8 }, image_mean: [0.4, 0.5, 0.6] })
  })

  it('has its classes twice, so that they are not lost with id2label', () => {
    const { id2label: _, ...config } = JSON.parse(files['config.json'])
    const read = (changed: object) =>
      fromHuggingFace({ ...files, 'config.json': JSON.stringify(changed) }, 'there')
    expect(read(config).model.classNames).toEqual(['red', 'green', 'blue'])
    expect(() => read({ ...config, label2id: { red: 0, green: 0, blue: 2 } })).toThrow(/^there\/config\.json/)
    expect(() => read({ ...config, label2id: { red: 'x' } })).toThrow(/^there\/config\.json: 'label2id'/)
  })

  it('has whole numbers where transformers takes nothing else, and no others', () => {
    const text = (config: object) => {
      const built = buildModel(modelConfig.parse(config), { classNames: [] })
      return toHuggingFace({ model: built, weights: strongWeights(built, 1), provenance })['config.json']
    }
    const tiny = { image_size: 8, hidden_size: 8, num_attention_heads: 2, num_hidden_layers: 1 }
    const dinov2 = text({ model_type: 'dinov2', patch_size: 4, ...tiny, mlp_ratio: 2 })
    expect(dinov2).toMatch(/"layerscale_value": 1\.0,\n/)
    expect(dinov2).toMatch(/"mlp_ratio": 2,\n/)
    const swin = { model_type: 'swin', image_size: 16, embed_dim: 4, depths: [1], num_heads: [1] }
    expect(text(swin)).toMatch(/"mlp_ratio": 4\.0,\n/)
    expect(text(swin)).toMatch(/"window_size": 7,\n/)
  })

  it('keeps what is said of how pictures become input', () => {
    const preprocessor = {
      image_processor_type: 'DeiTImageProcessor',
      size: { height: 9, width: 9 },
      crop_size: { height: 8, width: 8 },
      resample: 3,
      image_mean: [0.4, 0.5, 0.6],
      image_std: [0.1, 0.2, 0.3],
    }
    const read = fromHuggingFace(
      { ...files, 'preprocessor_config.json': JSON.stringify(preprocessor) },
      'there',
    )
    expect(JSON.parse(toHuggingFace(read)['preprocessor_config.json'])).toEqual(preprocessor)
    // A model for another task has its own.
    const fitted = fit(read, { classNames: ['a', 'b'], seed: 1 })
    expect(JSON.parse(toHuggingFace(fitted)['preprocessor_config.json'])).toMatchObject({
      size: { height: 8, width: 8 },
      image_mean: [0.4, 0.5, 0.6],
    })
  })

  it('has the counters that PyTorch keeps beside running statistics, which nothing here reads', () => {
    const convolutional = tinyResNet()
    const its = { model: convolutional, weights: strongWeights(convolutional, 5), provenance }
    const written = toHuggingFace(its)
    expect(fromHuggingFace(written, 'there').weights).toEqual(its.weights)
    const { tensors } = parseSafetensors(written['model.safetensors'], 'file')
    const counters = [...tensors].filter(([name]) => !(name in convolutional.parameters))
    expect(counters.length).toBe(6)
    for (const [name, tensor] of counters) {
      expect(name).toMatch(/^resnet\..*\.normalization\.num_batches_tracked$/)
      expect(tensor).toEqual({ dtype: 'I64', shape: [], data: BigInt64Array.of(0n) })
    }
    const without = [...tensors].filter(([name]) => name in convolutional.parameters)
    const bytes = writeSafetensors(without as Parameters<typeof writeSafetensors>[0], {})
    expect(fromHuggingFace({ ...written, 'model.safetensors': bytes }, 'there').weights).toEqual(its.weights)
  })

  it('keeps what its classes are to each other, which training forgets', () => {
    const written = toHuggingFace({ model, weights, provenance, problemType: 'multi_label_classification' })
    expect(JSON.parse(written['config.json']).problem_type).toBe('multi_label_classification')
    const read = fromHuggingFace(written, 'there')
    expect(read.problemType).toBe('multi_label_classification')
    const { classNames } = read.model
    expect(fit(read, { classNames, seed: 1 }).problemType).toBeUndefined()
    expect(JSON.parse(files['config.json'])).not.toHaveProperty('problem_type')
  })

  it('may lack the preprocessor file and a history', () => {
    const { 'preprocessor_config.json': _, ...others } = withConfig(config => {
      delete config.ageb
    })
    const back = fromHuggingFace(others, 'there')
    expect(back.model.mean).toEqual([0.5, 0.5, 0.5])
    expect(back.provenance).toEqual({ poisoned: false, note: 'unknown origin' })
  })
})

describe('a checkpoint with a fault is refused in a sentence that names it', () => {
  const faults: [string, Partial<CheckpointFiles>, string | RegExp][] = [
    ['no configuration', {}, /^there has no config\.json: /],
    ['no weights', { 'config.json': files['config.json'] }, /^there has no model\.safetensors: /],
    ['no JSON', { ...files, 'config.json': '{' }, /^there\/config\.json is not JSON: /],
    [
      'another architecture',
      withConfig(config => {
        config.model_type = 'beit'
        config.architectures = ['BeitForImageClassification']
      }),
      /^there\/config\.json: 'model_type' "beit" \("BeitForImageClassification"\) is not supported, only vit, .* are; .*optimum-cli export onnx --model there --task image-classification there-onnx, and give there-onnx$/,
    ],
    [
      'a width that is none',
      withConfig(config => {
        config.hidden_size = -8
      }),
      /'hidden_size'/,
    ],
    [
      'heads that do not divide the width',
      withConfig(config => {
        config.num_attention_heads = 3
      }),
      'there/config.json: hidden_size 8 is no multiple of num_attention_heads 3',
    ],
    [
      'a class index that is none',
      withConfig(config => {
        config.id2label = { zero: 'red' }
      }),
      /'id2label/,
    ],
    [
      'a gap in the class indices',
      withConfig(config => {
        config.id2label = { 0: 'red', 1: 'green', 5: 'blue' }
      }),
      /'id2label'.*has no class 2/,
    ],
    [
      'deviation 0',
      {
        ...files,
        'preprocessor_config.json': JSON.stringify({ image_std: [0, 1, 1] }),
      },
      /^there\/preprocessor_config\.json: 'image_std\.0'/,
    ],
    [
      'a missing tensor',
      withTensors(tensors => tensors.delete('classifier.bias')),
      /^there\/model\.safetensors has no tensor 'classifier\.bias', which config\.json asks for/,
    ],
    [
      'a tensor of another shape',
      withTensors(tensors => {
        const old = tensors.get('classifier.weight')!
        tensors.set('classifier.weight', { shape: [8, 3], data: old.data })
      }),
      /'classifier\.weight' has shape \[8, 3\], but config\.json asks for \[3, 8\]/,
    ],
    [
      'a tensor too many',
      withTensors(tensors => tensors.set('vit.registers', { shape: [1], data: Float32Array.of(1) })),
      /has tensor "vit\.registers", which config\.json does not ask for/,
    ],
    [
      'a value that is no number',
      withTensors(tensors => {
        tensors.get('vit.layernorm.bias')!.data[3] = Number.NaN
      }),
      /vit\.layernorm\.bias/,
    ],
    [
      'cut off weights',
      { ...files, 'model.safetensors': files['model.safetensors'].subarray(0, 100) },
      /^there\/model\.safetensors/,
    ],
  ]
  it.each(faults)('%s', (_, broken, message) => {
    const read = () => fromHuggingFace(broken, 'there')
    expect(read).toThrow(InputError)
    expect(read).toThrow(message)
  })
})
