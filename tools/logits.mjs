// The logits of a checkpoint as JSON: node tools/logits.mjs CHECKPOINT < PIXELS
// PIXELS: float32, little-endian, images of 3 × size × size with values in [0, 1], one after the other.
import { buffer } from 'node:stream/consumers'
import { bakeWeights } from '../packages/lab/dist/index.js'
import { Graph, toOnnx } from '../packages/onnxgrad/dist/index.js'
import { startRuntime } from '../packages/onnxgrad/dist/runtime/node/index.js'
import { loadCheckpoint } from '../packages/workbench/dist/checkpoints/checkpoint-folder.js'

const { model, weights } = await loadCheckpoint(process.argv[2])
const bytes = Uint8Array.from(await buffer(process.stdin))
const data = new Float32Array(bytes.buffer)
const shape = [data.length / (3 * model.imageSize ** 2), 3, model.imageSize, model.imageSize]
const graph = new Graph()
const pixels = graph.input('pixels', 'float32', shape)
graph.output('logits', model.forward(bakeWeights(graph, model, weights), pixels).logits)
const runtime = startRuntime({})
try {
  const session = await runtime.load(toOnnx(graph))
  const { logits } = await session.run({ pixels: { dtype: 'float32', shape, data } })
  console.log(JSON.stringify(Array.from(logits.data)))
} finally {
  await runtime.close()
}
