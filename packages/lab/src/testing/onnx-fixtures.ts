import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { fromOnnx } from '../checkpoints/from-onnx.js'
import { fromHuggingFace } from '../checkpoints/hugging-face.js'

const fixtures = fileURLToPath(new URL('../../fixtures', import.meta.url))

/** A file of the fixtures. */
export const bytes = (name: string) => new Uint8Array(readFileSync(`${fixtures}/${name}`))
const text = (name: string) => readFileSync(`${fixtures}/${name}`, 'utf8')

/**
 * A tiny checkpoint of transformers, and the same exported by PyTorch.
 * @param file of the fixtures' folder `onnx`
 */
export function both(folder: string, file: string) {
  // Without a class, DINOv2's would crop pictures of 224.
  const type = folder.startsWith('dinov2') ? { image_processor_type: 'ViTImageProcessor' } : {}
  const pictures = { ...type, size: 16, image_mean: [0.4, 0.5, 0.6], image_std: [0.3, 0.25, 0.2] }
  const described = {
    'config.json': text(`${folder}/config.json`),
    'preprocessor_config.json': JSON.stringify(pictures),
  }
  const own = fromHuggingFace(
    { ...described, 'model.safetensors': bytes(`${folder}/model.safetensors`) },
    folder,
  )
  const externalData = (location: string, offset: number, length: number) =>
    bytes(`onnx/${location}`).slice(offset, offset + length)
  const files = { ...described, onnx: bytes(`onnx/${file}.onnx`), externalData }
  return { own, imported: fromOnnx(files, `onnx/${file}.onnx`) }
}
