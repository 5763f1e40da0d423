import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { InputError } from 'onnxgrad'
import { afterAll, describe, expect, it } from 'vitest'
import { loadCheckpoint } from './checkpoint-folder.js'

const here = mkdtempSync(path.join(tmpdir(), 'ageb-formats-'))
afterAll(() => rmSync(here, { recursive: true }))

const failing = async (model: string) => {
  const error: unknown = await loadCheckpoint(path.join(here, model)).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(InputError)
  return (error as InputError).message
}
const put = (...name: string[]) => {
  mkdirSync(path.join(here, ...name.slice(0, -1)), { recursive: true })
  writeFileSync(path.join(here, ...name), 'x')
}

describe('what is no checkpoint that is read is answered with what it is and what to do', () => {
  it.each([
    ['net.h5', /net\.h5 is a model of Keras.*python -m tf2onnx\.convert --keras .*net\.h5/],
    ['net.keras', /is a model of Keras/],
    ['net.tflite', /--tflite .*net\.tflite/],
    ['net.pb', /is a model of TensorFlow, .*--saved-model/],
    ['net.safetensors', /give the folder that it lies in with its config\.json/],
    ['net.ckpt', /give it the end \.pth/],
    ['net.gguf', /is a model of another program.*export that to ONNX/],
    ['net.unheard', /is a file of no kind that is known here/],
  ])('the file %s', async (name, message) => {
    put(name)
    expect(await failing(name)).toMatch(message)
  })

  it.each([
    [
      'tensorflow',
      'tf_model.h5',
      /has no model\.safetensors and no model\.onnx; .*tf_model\.h5 is weights.*from_tf=True/,
    ],
    ['flax', 'flax_model.msgpack', /from_flax=True/],
    ['saved', 'saved_model.pb', /--saved-model .*saved /],
    ['encoder', 'net-int8.onnx', /give the file itself: .*net-int8\.onnx/],
    ['weights', 'best.pth', /give the file itself: .*best\.pth/],
  ])('the folder %s with a %s', async (folder, name, message) => {
    put(folder, name)
    put(folder, 'notes.txt')
    expect(await failing(folder)).toMatch(message)
  })
})
