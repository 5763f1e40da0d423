import { copyFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { InputError } from 'onnxgrad'
import { afterAll, describe, expect, it } from 'vitest'
import { loadCheckpoint } from './checkpoint-folder.js'

const here = mkdtempSync(path.join(tmpdir(), 'ageb-onnx-'))
afterAll(() => rmSync(here, { recursive: true }))
const fixture = (name: string) => fileURLToPath(new URL(`../../../lab/fixtures/${name}`, import.meta.url))

/** A folder with files of the fixtures, by the names that they get there. */
function folder(name: string, files: Readonly<Record<string, string>>): string {
  const made = path.join(here, name)
  for (const [file, from] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(made, file)), { recursive: true })
    copyFileSync(fixture(from), path.join(made, file))
  }
  return made
}

const failing = async (model: string) => {
  const error: unknown = await loadCheckpoint(model).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(InputError)
  return (error as InputError).message
}

const external = {
  'model.onnx': 'onnx/vit-dynamo-external.onnx',
  'vit-dynamo-external.onnx.data': 'onnx/vit-dynamo-external.onnx.data',
}

describe('a classifier in ONNX', () => {
  it('is read by its path, and from the folders of Optimum and transformers.js', async () => {
    const described = {
      'config.json': 'checkpoints/vit/config.json',
      'preprocessor_config.json': 'checkpoints/vit/preprocessor_config.json',
    }
    const optimum = folder('optimum', { ...described, ...external })
    const web = folder('web', { ...described, 'onnx/model.onnx': 'onnx/vit-dynamo.onnx' })
    const safetensors = await loadCheckpoint(fixture('checkpoints/vit'))
    for (const model of [optimum, path.join(optimum, 'model.onnx'), web, path.join(web, 'onnx/model.onnx')]) {
      const read = await loadCheckpoint(model)
      expect(read.model.modelType).toBe('onnx')
      expect(read.model.classNames).toEqual(safetensors.model.classNames)
      expect(read.preprocessing).toEqual(safetensors.preprocessing)
      expect(read.weights['model.classifier.bias']).toEqual(safetensors.weights['classifier.bias'])
    }
  })

  it('beside a model.safetensors is not looked at', async () => {
    const both = folder('both', {
      'config.json': 'checkpoints/vit/config.json',
      'model.safetensors': 'checkpoints/vit/model.safetensors',
      'model.onnx': 'onnx/vit-dynamo.onnx',
    })
    expect((await loadCheckpoint(both)).model.modelType).toBe('vit')
  })

  it('that is not there, or no ONNX, is refused', async () => {
    expect(await failing(path.join(here, 'nothing.onnx'))).toMatch(/nothing\.onnx cannot be read/)
    const text = path.join(here, 'text.onnx')
    writeFileSync(text, 'a text')
    expect(await failing(text)).toMatch(/text\.onnx: this is no ONNX file/)
  })

  it('is refused if the file of its weights is missing or short', async () => {
    const { 'model.onnx': alone } = external
    expect(await failing(folder('alone', { 'model.onnx': alone }))).toMatch(
      /model\.onnx: .*vit-dynamo-external\.onnx\.data cannot be read \(ENOENT\)/,
    )
    const cut = folder('cut', external)
    truncateSync(path.join(cut, 'vit-dynamo-external.onnx.data'), 1000)
    expect(await failing(cut)).toMatch(
      /vit-dynamo-external\.onnx\.data has 1000 bytes, and \d+ from \d+ are claimed/,
    )
    const directory = folder('directory', { 'model.onnx': alone })
    mkdirSync(path.join(directory, 'vit-dynamo-external.onnx.data'))
    expect(await failing(directory)).toContain('are claimed')
  })
})
