import { InputError } from 'onnxgrad'
import { describe, expect, it } from 'vitest'
import { withConfig as config, fixture, withShapes as tensorsOf } from '../testing/checkpoint-fixture.js'
import { goldenCheckpoint } from '../testing/goldens.js'
import type { ReadableFiles } from './checkpoint.js'
import { fromHuggingFace } from './hugging-face.js'
import { type WritableTensor, writeSafetensors } from './write-safetensors.js'

// That the logits are timm's is shown in formats.test.ts.
const timmArguments = JSON.parse(fixture('timm-vit')['config.json']!).model_args

describe('a checkpoint of timm that cannot be read is refused in one sentence', () => {
  const faults: [string, ReadableFiles, RegExp][] = [
    [
      'a rectangle of timm',
      config('timm-vit', { model_args: { ...timmArguments, img_size: [8, 32] } }),
      /'img_size' is 8×32, and only squares are supported/,
    ],
    [
      'a rectangle of timm that only its pictures tell',
      config('timm-vit', {
        model_args: { ...timmArguments, img_size: undefined },
        pretrained_cfg: { input_size: [3, 8, 32] },
      }),
      /'input_size' is 8×32, and only squares are supported/,
    ],
    [
      'another size of timm than its tensors have',
      config('timm-vit', { model_args: { ...timmArguments, img_size: 32 } }),
      /says that images are 32×32, but the position embeddings are of 16×16/,
    ],
    [
      'another architecture of timm',
      config('timm-vit', { architecture: 'resnet50' }),
      /architecture "resnet50" is not supported, .*python -c "import timm, torch; m = timm.create_model\('local-dir:there', pretrained=True\); torch.onnx.export\(m.eval\(\), \(torch.zeros\(2, 3, 16, 16\),\), 'there\/model.onnx', dynamo=True, dynamic_shapes=\(\{0: 'batch'\},\)\)", and give there\/model.onnx$/,
    ],
    [
      'a part that stands in the name',
      config('timm-vit', { architecture: 'vit_base_patch16_clip_224' }),
      /only ViTs and DeiTs are/,
    ],
    [
      'another pooling',
      config('timm-vit', { model_args: { global_pool: 'map' } }),
      /global_pool "map" is not supported/,
    ],
    [
      'two last normalizations',
      {
        ...fixture('timm-vit'),
        ...tensorsOf('timm-vit', shapes => {
          shapes.set('fc_norm.weight', [8])
        }),
      },
      /has 'fc_norm.weight' and 'norm.weight', of which a ViT has one/,
    ],
    [
      'a distilled DeiT with mean pooling',
      config('timm-deit', { model_args: { ...timmArguments, global_pool: 'avg' } }),
      /a distilled DeiT with average pooling/,
    ],
    [
      'another activation',
      config('timm-vit', { model_args: { ...timmArguments, act_layer: 'relu' } }),
      /model_args "act_layer" is not supported/,
    ],
    [
      'heads that nothing tells',
      config('timm-vit', { model_args: {} }),
      /the number of heads of vit_tiny_patch16_224 with width 8 is not known/,
    ],
    [
      'layer scale in a distilled DeiT',
      { ...fixture('timm-deit'), ...tensorsOf('timm-deit', shapes => shapes.set('blocks.0.ls1.gamma', [8])) },
      /has tensor "blocks.0.ls1.gamma", which config.json does not ask for/,
    ],
    [
      'layer scale in one block',
      { ...fixture('timm-vit'), ...tensorsOf('timm-vit', shapes => shapes.set('blocks.0.ls1.gamma', [8])) },
      /has no tensors 'timm_vit.encoder.layer.0.layer_scale2.lambda1', /,
    ],
    [
      'positions that are no square',
      { ...fixture('timm-vit'), ...tensorsOf('timm-vit', shapes => shapes.set('pos_embed', [1, 18, 8])) },
      /'pos_embed' has 18 positions/,
    ],
    [
      'positions that can be laid out in two ways',
      {
        ...config('timm-vit', {
          model_args: { ...timmArguments, img_size: undefined },
          pretrained_cfg: { input_size: [3, 7, 7] },
        }),
        ...tensorsOf('timm-vit', shapes => {
          shapes.set('pos_embed', [1, 9, 8])
          shapes.set('reg_token', [1, 4, 8])
        }),
      },
      /'pos_embed' has 9 positions.* in one way only: give model_args.img_size/,
    ],
    [
      'no positions at all',
      { ...fixture('timm-vit'), ...tensorsOf('timm-vit', shapes => shapes.delete('pos_embed')) },
      /a tensor 'pos_embed' of 3 dimensions, and here is none/,
    ],
    [
      'names for other classes',
      config('timm-vit', { label_names: ['red'] }),
      /label_names has 1 names for 3 classes/,
    ],
  ]
  it.each(faults)('%s', (_, files, message) => {
    const refused = () => fromHuggingFace(files, 'there')
    expect(refused).toThrow(InputError)
    expect(refused).toThrow(message)
    expect(refused).toThrow(/^there[^\n]{1,500}$/)
  })
})

describe('what a configuration of timm leaves out', () => {
  it("is in timm's names: a size of which the heads follow", () => {
    const heads = (architecture: string, width: number) => {
      const shapes = tensorsOf('timm-vit', map => {
        for (const [name, shape] of map)
          map.set(
            name,
            shape.map(dim => (dim === 8 ? width : dim === 24 ? 3 * width : dim)),
          )
      })
      const files = { ...config('timm-vit', { architecture, model_args: {} }), ...shapes }
      return fromHuggingFace(files, 'there').model.config.num_attention_heads
    }
    expect(heads('vit_small_patch16_224', 128)).toBe(2)
    expect(heads('vit_huge_patch14_224_in21k', 32)).toBe(16)
    expect(heads('vit_giant_patch14_reg4_dinov2', 128)).toBe(2)
    expect(heads('vit_base_patch16_gap_224', 32)).toBe(16)
  })
})

it('the command to export another model can be run from folders of any name', () => {
  const files = config('timm-vit', { architecture: 'resnet50' })
  const { 'model.safetensors': _, ...others } = files
  const said = (folder: string) => {
    try {
      fromHuggingFace({ ...others, ...tensorsOf('timm-vit', () => {}) }, folder)
    } catch (error) {
      return (error as InputError).message
    }
    return ''
  }
  expect(said("it's here")).toMatch(
    /'local-dir:\.'.*'\.\/model\.onnx', .*\)" in that folder, and give 'it'\\''s here\/model\.onnx'$/,
  )
})

describe("weights in the names of DINOv2's own code", () => {
  /** The weights of a fixture under those names, without a head. */
  function renamed(name: string): Uint8Array {
    const { model, weights } = goldenCheckpoint(`dinov2/${name}`)
    const prefix = `${model.modelType}.`
    const tensors: [string, WritableTensor][] = [
      [
        'mask_token',
        { dtype: 'F32', shape: [1, model.config.hidden_size as number], data: new Float32Array(8) },
      ],
    ]
    const put = (to: string, shape: readonly number[], data: Float32Array) =>
      tensors.push([to, { dtype: 'F32', shape, data }])
    for (const [full, { shape }] of Object.entries(model.parameters)) {
      if (!full.startsWith(prefix)) continue
      const short = full.slice(prefix.length)
      if (/attention\.(key|value)\./.test(short)) continue
      if (short.includes('attention.query.')) {
        const three = ['query', 'key', 'value'].flatMap(part => [...weights[full.replace('query', part)]!])
        const to = short.replace('encoder.layer', 'blocks').replace('attention.attention.query', 'attn.qkv')
        put(to, [3 * shape[0]!, ...shape.slice(1)], Float32Array.from(three))
        continue
      }
      const to = short
        .replace('embeddings.patch_embeddings.projection', 'patch_embed.proj')
        .replace('embeddings.position_embeddings', 'pos_embed')
        .replace('embeddings.', '')
        .replace('encoder.layer', 'blocks')
        .replace('attention.output.dense', 'attn.proj')
        .replace(/layer_scale(\d)\.lambda1/, 'ls$1.gamma')
        .replace('layernorm', 'norm')
      put(to, shape, weights[full]!)
    }
    return writeSafetensors(tensors)
  }

  it.each([
    ['plain', { layer_norm_eps: 1e-3 }],
    ['registers', {}],
  ])('are those of a backbone: %s', (name, keys) => {
    const files = {
      'model.safetensors': renamed(name),
      'config.json': JSON.stringify({ num_attention_heads: 2, ...keys }),
    }
    const { model, weights } = fromHuggingFace(files, 'there')
    const wanted = goldenCheckpoint(`dinov2/${name}`)
    expect(model.modelType).toBe(wanted.model.modelType)
    expect(model.config).toEqual({ ...wanted.model.config, layerscale_value: 1 })
    expect(model.classNames).toEqual([])
    for (const [parameter, values] of Object.entries(weights))
      if (values.length > 0) expect(values, parameter).toEqual(wanted.weights[parameter])
  })
})
