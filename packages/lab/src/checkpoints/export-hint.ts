/** What to do with a model of a family that is not read: it is read as ONNX. Commands for a shell. */

/** @param folder of `save_pretrained`. */
export function exportFromTransformers(folder: string): string {
  const to = argument(`${folder}-onnx`)
  return (
    `export it to ONNX (pip install optimum-onnx): optimum-cli export onnx --model ${argument(folder)} ` +
    `--task image-classification ${to}, and give ${to}`
  )
}

/**
 * @param folder of timm's `save_for_hf`.
 * @param side of the images, pixels.
 */
export function exportFromTimm(folder: string, side: number): string {
  // Other paths cannot stand within two kinds of quotes.
  const at = PLAIN.test(folder) ? folder : '.'
  const code =
    `import timm, torch; m = timm.create_model('local-dir:${at}', pretrained=True); ` +
    exportCall('m', side, `${at}/model.onnx`)
  const where = at === folder ? '' : ' in that folder'
  return (
    `export it to ONNX (pip install timm onnxscript): python -c "${code}"${where}, ` +
    `and give ${argument(`${folder}/model.onnx`)}`
  )
}

/**
 * A call in Python that exports a PyTorch model. The number of images is left free, so that the file can be fine-tuned; an
 * example of one image would fix it.
 */
function exportCall(model: string, side: number, file: string): string {
  const images = `(torch.zeros(2, 3, ${side}, ${side}),)`
  return `torch.onnx.export(${model}.eval(), ${images}, '${file}', dynamo=True, dynamic_shapes=({0: 'batch'},))`
}

/** For a state dict, of which only its program knows the class. */
export const exportFromPython =
  `export it to ONNX in the Python program that has its class, with ${exportCall('model', 224, 'model.onnx')} ` +
  'at the size of its images, and give model.onnx'

/** For a file that takes a fixed number of images. */
export const exportWithFreeBatch = `export it again with a free batch, ${exportCall('model', 224, 'model.onnx')} at the size of its images`

const PLAIN = /^[\w./@:+-]+$/

/** A path as one word of a command. */
function argument(path: string): string {
  return PLAIN.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
