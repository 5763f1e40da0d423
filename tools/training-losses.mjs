// A short training of a checkpoint as JSON: node tools/training-losses.mjs CHECKPOINT CONFIG CLASSES < IMAGES
// CONFIG: JSON of the keys of 'training'. CLASSES: class names, separated by commas. IMAGES: uint8, images of
// 3 × size × size, one after the other; image i is of class i mod the number of classes.
// Writes the loss of every step, the images of every batch, and where SAVE is set, the trained checkpoint into that folder.
import { buffer } from 'node:stream/consumers'
import { fit as fitted, imagesInMemory, train, trainingConfig } from '../packages/lab/dist/index.js'
import { startRuntime } from '../packages/onnxgrad/dist/runtime/node/index.js'
import { loadCheckpoint, saveCheckpoint } from '../packages/workbench/dist/checkpoints/checkpoint-folder.js'

const [name, config, classes] = process.argv.slice(2)
const classNames = classes.split(',')
const warn = () => {}
const start = fitted(await loadCheckpoint(name, { withoutClassifier: true, warn }), { classNames, seed: 1 })
const { model, weights } = start
const pixels = Uint8Array.from(await buffer(process.stdin))
const side = model.imageSize
const count = pixels.length / (3 * side * side)
const labels = Int32Array.from({ length: count }, (_, i) => i % classNames.length)
const data = imagesInMemory({
  name: 'images',
  split: 'train',
  height: side,
  width: side,
  pixels,
  labels,
  classNames,
})
const runtime = startRuntime({ threads: 1 })
const losses = []
const batches = []
try {
  const trained = await train({
    runtime,
    model,
    from: weights,
    data,
    config: trainingConfig.parse(JSON.parse(config)),
    seed: 1,
    onStep({ loss }, { indices }) {
      losses.push(loss)
      batches.push(Array.from(indices))
    },
  })
  if (process.env.SAVE) await saveCheckpoint(process.env.SAVE, { ...start, weights: trained })
  const decays = Object.values(model.parameters).filter(({ decay }) => decay).length
  console.log(JSON.stringify({ losses, batches, parameters: Object.keys(model.parameters).length, decays }))
} finally {
  await runtime.close()
}
