import { readdir } from 'node:fs/promises'
import path from 'node:path'

/** Models of other programs, by the end of their files' names: what they are, and how they become one that is read. */
const formats: readonly (readonly [end: RegExp, what: string, way: (file: string) => string])[] = [
  [
    /(^|[\\/])(tf_model\.h5|flax_model\.msgpack)$/i,
    "weights of transformers' TensorFlow or Flax classes",
    fromOldTransformers,
  ],
  [/\.(h5|hdf5|keras)$/i, 'a model of Keras', file => tf2onnx(`--keras ${file}`)],
  [/\.tflite$/i, 'a model of TensorFlow Lite', file => tf2onnx(`--tflite ${file}`)],
  [/\.pb$/i, 'a model of TensorFlow', file => tf2onnx(`--saved-model ${path.dirname(file)}`)],
  [
    /\.safetensors$/i,
    'weights without a configuration',
    file => `give the folder that it lies in with its config.json: ${path.dirname(file)}`,
  ],
  [
    /\.ckpt$/i,
    'a checkpoint of a training program',
    () => 'if torch.save wrote it, give it the end .pth; otherwise, export its model to ONNX',
  ],
  [/\.onnx$/i, 'a model in ONNX', file => `give the file itself: ${file}`],
  [/\.(pt|pth)$/i, 'a file of torch.save', file => `give the file itself: ${file}`],
  [
    /\.(gguf|ggml|mlmodel|mlpackage|engine|plan|trt|xml|pdmodel|npz|msgpack|pkl|joblib|pte|ort)$/i,
    'a model of another program',
    () => 'give the checkpoint that it was made from, or export that to ONNX',
  ],
]

function fromOldTransformers(file: string): string {
  const folder = path.dirname(file)
  const from = /\.h5$/i.test(file) ? 'from_tf' : 'from_flax'
  return (
    'with transformers 4, write them as safetensors: ' +
    `AutoModelForImageClassification.from_pretrained('${folder}', ${from}=True).save_pretrained('${folder}')`
  )
}

function tf2onnx(model: string): string {
  return (
    `export it to ONNX (pip install tf2onnx): python -m tf2onnx.convert ${model} --opset 17 --output model.onnx, ` +
    'with --inputs-as-nchw and the name of its input, and give model.onnx'
  )
}

/** What a file is that is no checkpoint, and what to do with it: an end of a sentence. */
export function otherFormat(file: string): string {
  const found = formats.find(([end]) => end.test(file))
  if (!found) return 'is a file of no kind that is known here: give a folder, an ONNX file, or a .pth file'
  const [, what, way] = found
  return `is ${what}, which is not read as it is: ${way(file)}`
}

/** The first file in a folder that is a model of another program; undefined if there is none. */
export async function otherFormatIn(folder: string): Promise<string | undefined> {
  const names = await readdir(folder).catch(() => [] as string[])
  const order = (name: string) => formats.findIndex(([end]) => end.test(name))
  const [first] = names.filter(name => order(name) >= 0).toSorted((a, b) => order(a) - order(b))
  return first === undefined ? undefined : path.join(folder, first)
}
