import { existsSync, readFileSync } from 'node:fs'
import { InputError } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { evaluate, numbers } from 'onnxgrad/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { fixture } from '../testing/checkpoint-fixture.js'
import { difference, goldenCheckpoint, goldenPixels, inGraph } from '../testing/goldens.js'
import { torchFile, zipOf } from '../testing/torch-archive.js'
import { fromHuggingFace } from './hugging-face.js'
import { openTorch } from './torch-file.js'
import { openZip } from './zip.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const bytesOf = (name: string) =>
  Uint8Array.from(readFileSync(new URL(`../../fixtures/torch/${name}`, import.meta.url)))
const goldens = JSON.parse(new TextDecoder().decode(bytesOf('goldens.json')))
/** A file there with a config.json beside it. */
const read = (name: string, config?: object) =>
  fromHuggingFace(
    {
      torch: { name, bytes: bytesOf(name) },
      ...(config && { 'config.json': JSON.stringify(config) }),
    },
    'there',
  )
const failing = (act: () => unknown) => {
  expect(act).toThrow(InputError)
  try {
    act()
  } catch (error) {
    const { message } = error as InputError
    expect(message).toMatch(/^there[^\n]{1,500}$/)
    return message
  }
  return ''
}

async function logits({ model, weights }: ReturnType<typeof read>) {
  const { graph, parameters, pixels } = inGraph(model)
  graph.output('logits', model.forward(parameters, pixels).logits)
  const got = await evaluate(runtime, graph, { ...weights, pixels: goldenPixels(2, model.imageSize) })
  return numbers(got.logits)
}

describe("torchvision's models in files of torch.save", () => {
  it.each([
    ['vit.pth', { num_attention_heads: 2 }, 'vit', []],
    ['vit-protocol-5.pth', { num_attention_heads: 2 }, 'vit', []],
    [
      'backdoorbench.pt',
      { num_attention_heads: 2 },
      'vit',
      [
        /the weights are those under its key 'model'/,
        /'module\.1\.' in front of every tensor's name was left out/,
      ],
    ],
    ['swin.pth', { image_size: 16 }, 'swin', [/those under its key 'state_dict'/]],
  ])("%s gives torchvision's logits", async (name, config, type, said) => {
    const checkpoint = read(name, config)
    expect(checkpoint.model.modelType).toBe(type)
    expect(checkpoint.model.classNames).toEqual(['LABEL_0', 'LABEL_1', 'LABEL_2'])
    expect(difference(await logits(checkpoint), goldens[type].flat())).toBeLessThan(1e-5)
    const remarks = checkpoint.remarks!
    said.forEach((pattern, i) => {
      expect(remarks[i]).toMatch(pattern)
    })
    expect(remarks.slice(said.length)).toEqual([
      expect.stringMatching(/pictures are normalized with ImageNet's mean and deviation$/),
    ])
  })

  it('say what is taken for granted', () => {
    const remarks = (name: string, config?: object) => failing(() => read(name, config))
    expect(remarks('vit.pth')).toMatch(
      /^there\/vit\.pth: no tensor tells the number of attention heads, and no published ViT has width 8 and 2 blocks/,
    )
    expect(read('swin.pth').remarks).toEqual(
      expect.arrayContaining([expect.stringMatching(/image_size 224 is taken/)]),
    )
  })

  it('have the classes and preprocessing of files beside them', () => {
    const { model, remarks } = fromHuggingFace(
      {
        torch: { name: 'vit.pth', bytes: bytesOf('vit.pth') },
        'config.json': JSON.stringify({ num_attention_heads: 4, id2label: { 0: 'a', 1: 'b', 2: 'c' } }),
        'preprocessor_config.json': JSON.stringify({ image_mean: [0.5, 0.4, 0.3], image_std: [1, 1, 1] }),
      },
      'there',
    )
    expect(model.classNames).toEqual(['a', 'b', 'c'])
    expect(model.mean).toEqual([0.5, 0.4, 0.3])
    expect(model.config.num_attention_heads).toBe(4)
    expect(remarks).toEqual([])
  })
})

describe('weights of others in files of torch.save', () => {
  it('are those of transformers, with its config.json', () => {
    const { 'config.json': config, 'preprocessor_config.json': preprocessor } = fixture('vit')
    const torch = { name: 'pytorch_model.bin', bytes: bytesOf('transformers.bin') }
    const files = { 'config.json': config!, 'preprocessor_config.json': preprocessor!, torch }
    const safe = fromHuggingFace(fixture('vit'), 'vit')
    const { model, weights, remarks } = fromHuggingFace(files, 'there')
    expect(weights).toEqual(safe.weights)
    expect(model.config).toEqual(safe.model.config)
    expect(remarks).toEqual([])
  })

  it('are those of timm, without a config.json of its', () => {
    const { model, weights } = read('timm.pth', { num_attention_heads: 2 })
    const safe = goldenCheckpoint('timm-vit/reg4')
    expect(weights).toEqual(safe.weights)
    expect({ ...model.config }).toEqual(safe.model.config)
  })
})

describe('tensors', () => {
  it('have the values that PyTorch gave them, whatever their type and strides', () => {
    const { tensors } = openTorch(bytesOf('dtypes.pth'), 'there')
    expect([...tensors.keys()]).toEqual(Object.keys(goldens.dtypes))
    for (const [name, [shape, values]] of Object.entries<[number[], number[]]>(goldens.dtypes)) {
      const tensor = tensors.get(name)!.read()
      expect(tensor.shape, name).toEqual(shape)
      expect(Array.from(tensor.data, Number), name).toEqual(values)
    }
  })
})

/** The beginning and the end of a dictionary 'w' → tensor, its storage of four float32, `parts` pushing the rest. */
const tensorFile = (
  parts: string,
  storage = 'X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04t',
) => torchFile(`\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((${storage}Q${parts}tRs.`)

describe('a file that is refused', () => {
  it.each([
    [
      'os-system.pth',
      /asks for posix\.system \(GLOBAL\); only tensors.*nothing in it was run: save the weights alone/,
    ],
    [
      'whole-model.pth',
      /asks for torch\.nn\.modules\.linear\.Linear \(GLOBAL\).*torch\.save\(model\.state_dict\(\)/,
    ],
    [
      'legacy.pth',
      /format from before version 1\.6.*torch\.save\(torch\.load\('old\.pth', weights_only=True\), 'new\.pth'\)/,
    ],
    ['torchscript.pt', /is a TorchScript program, not weights: .*torch\.jit\.load/],
    ['no-weights.pth', /holds no state dict but a dictionary with the keys "optimizer", "epoch": save one/],
    ['goldens.json', /is no file of torch\.save/],
  ])('%s', (name, message) => {
    expect(failing(() => openTorch(bytesOf(name), `there/${name}`))).toMatch(message)
    expect(existsSync('/tmp/was-run')).toBe(false)
  })

  it.each([
    ['cos\nsystem\nX\x02\0\0\0ls\x85R.', /asks for os\.system \(GLOBAL\)/],
    ['\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.', /asks for builtins\.eval \(GLOBAL\)/],
    ['c__builtin__\n__import__\n.', /asks for __builtin__\.__import__ \(GLOBAL\)/],
    ['ctorch\n__proto__\n.', /asks for torch\.__proto__ \(GLOBAL\)/],
    ['(X\x02\0\0\0lsios\nsystem\n.', /asks for opcode INST/],
    ['ccollections\nOrderedDict\n)\x81.', /asks for opcode NEWOBJ/],
    ['Pid\n.', /asks for opcode PERSID/],
    ['\xfe.', /asks for opcode 0xfe/],
    ['K\x01)R.', /what is no function is used as one/],
    ['h\x07.', /refers to value 7, which there is not/],
    ['R.', /a value is missing/],
    ['t.', /a mark is missing/],
    ['X\xff\xff\xff\x7fa', /it is cut short/],
    ['\x8d\xff\xff\xff\xff\xff\xff\xff\xffa', /it is cut short/],
    ['}', /it is cut short|beyond|damaged/],
  ])('a pickle of %j', (pickle, message) => {
    expect(failing(() => openTorch(torchFile(`\x80\x02${pickle}`), 'there'))).toMatch(message)
  })

  it('a pickle of protocol 0 or 1', () => {
    expect(failing(() => openTorch(torchFile('(lp0\n.'), 'there'))).toMatch(
      /does not begin with a protocol from 2 to 5/,
    )
    expect(failing(() => openTorch(torchFile('\x80\x01}.'), 'there'))).toMatch(/of protocol 1, and 2 to 5/)
  })

  it.each([
    [
      'more values than its storage',
      'K\x00K\x05\x85K\x01\x85\x89N',
      /it has size \[5\], and its storage 4 values/,
    ],
    ['values past the end', 'K\x02K\x03\x85K\x01\x85\x89N', /it reaches to value 4, and its storage has 4/],
    ['a stride past the end', 'K\x00K\x02\x85K\x04\x85\x89N', /it reaches to value 4/],
    [
      'one value repeated',
      'K\x00J\xff\xff\xff\x7f\x85K\x00\x85\x89N',
      /has size \[2147483647\], and its storage 4/,
    ],
    [
      'a size beyond 2^53',
      'K\x00J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86K\x00K\x00\x86\x89N',
      /and its storage 4 values/,
    ],
    ['a negative offset', 'J\xff\xff\xff\xffK\x01\x85K\x01\x85\x89N', /do not go together/],
    [
      'an offset beyond 2^53',
      '\x8a\x08\0\0\0\0\0\0\0\x7fK\x01\x85K\x01\x85\x89N',
      /its offset 9151314442816847872, size \[1\]/,
    ],
    ['a size of other things', 'K\x00]q\x09h\x09aK\x01\x85\x89N', /size of another kind and stride \[1\]/],
    ['a stride too few', 'K\x00K\x01K\x01\x86K\x01\x85\x89N', /do not go together/],
  ])('a tensor with %s', (_, parts, message) => {
    expect(failing(() => openTorch(tensorFile(parts), 'there'))).toMatch(message)
  })

  it.each([
    ['is missing', '\x01\0\0\x007', /storage "7" should have 16 bytes, and is missing/],
    [
      'leads out of the archive',
      '\x05\0\0\x00../..',
      /storage "\.\.\/\.\." should have 16 bytes, and is missing/,
    ],
  ])('a tensor whose storage %s', (_, key, message) => {
    const storage = `X\x07\0\0\0storagectorch\nFloatStorage\nX${key}X\x03\0\0\0cpuK\x04t`
    expect(failing(() => openTorch(tensorFile('K\x00K\x01\x85K\x01\x85\x89N', storage), 'there'))).toMatch(
      message,
    )
  })

  it('tensors that share their values too often', () => {
    // One storage of 4 KiB, and forty tensors that are all of it.
    const one = (i: number) =>
      `X\x02\0\0\0${String.fromCharCode(97 + (i % 26), 97 + i / 26)}h\x01(h\x02K\x00M\0\x04\x85K\x01\x85\x89NtRs`
    const storage = 'X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuM\0\x04t'
    const first = `\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x010(${storage}Qq\x020}`
    const pickle = `${first}${Array.from({ length: 40 }, (_, i) => one(i)).join('')}.`
    const bytes = Uint8Array.from(pickle, character => character.charCodeAt(0))
    const file = zipOf(
      new Map([
        ['a/data.pkl', bytes],
        ['a/data/0', new Uint8Array(4096)],
      ]),
    )
    expect(failing(() => openTorch(file, 'there'))).toMatch(
      /of 163840 bytes together.*they share values too often/,
    )
  })
})

describe('weights of a family that is not known', () => {
  it('are answered with what came and what can be done', () => {
    expect(failing(() => read('dtypes.pth'))).toMatch(
      /has tensors such as "float64", "float32", "float16", which are not the names of .*no config\.json beside it; if it is of another family, export it to ONNX .*torch\.onnx\.export/,
    )
    expect(failing(() => read('dtypes.pth', { num_labels: 3 }))).toMatch(
      /config\.json has no 'model_type'; if/,
    )
  })
})

describe('a zip archive', () => {
  const whole = bytesOf('vit.pth')
  it('is refused if it is cut anywhere', () => {
    for (const length of [4, 21, 22, 100, whole.length - 1, whole.length - 30, whole.length - 100])
      expect(failing(() => openZip(whole.subarray(0, length), 'there'))).toMatch(/cut short or damaged/)
  })

  it('is read with a 64-bit directory, and refused if a number in that is too large', () => {
    const locator = whole.length - 42
    const record = locator - 56
    expect([...openZip(whole, 'there').keys()]).toContain('vit/data.pkl')
    for (const field of [24, 32, 40, 48]) {
      const broken = whole.slice()
      new DataView(broken.buffer).setBigUint64(record + field, 2n ** 60n, true)
      if (field > 24)
        expect(failing(() => openZip(broken, 'there'))).toMatch(/is 1152921504606846976, and the file has/)
    }
  })

  it('is refused if entries are compressed, encrypted, overlap or are there two times', () => {
    const files = new Map([
      ['a', new Uint8Array(4)],
      ['b', new Uint8Array(4)],
    ])
    const sound = zipOf(files)
    const directory = 2 * (30 + 1 + 4)
    const changed = (at: number, ...bytes: number[]) => {
      const made = sound.slice()
      made.set(bytes, at)
      return failing(() => [...openZip(made, 'there').values()].map(entry => entry()))
    }
    expect([...openZip(sound, 'there').keys()]).toEqual(['a', 'b'])
    expect(changed(directory + 10, 8)).toMatch(/"a" is compressed/)
    expect(changed(directory + 8, 1)).toMatch(/"a" is encrypted/)
    expect(changed(directory + 47 + 42, 0)).toMatch(/"(a|b)" overlaps/)
    expect(changed(directory + 47 + 46, 97)).toMatch(/"a" two times/)
    expect(changed(directory + 20, 200)).toMatch(/two sizes/)
    expect(changed(directory + 42, 3)).toMatch(/"a" is not where the directory says/)
  })
})
