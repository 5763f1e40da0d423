import { readFileSync } from 'node:fs'
import { gradients } from '../autodiff/gradients.js'
import { InputError } from '../errors.js'
import { isFloat } from '../graph/dtype.js'
import { Graph, GraphError } from '../graph/graph.js'
import { verify } from '../graph/verify.js'
import { readOnnx } from '../onnx/from-onnx.js'
import { toOnnx } from '../onnx/to-onnx.js'
import { reduceSum } from '../ops/reduction.js'
import { reshape } from '../ops/reshaping.js'
import { fuzz } from './fuzz.js'
import { inputsOf } from './onnx-file.js'
import { onnxMutant } from './onnx-mutants.js'

/*
 * Reads mutants of ONNX files and prints a FuzzReport: node --expose-gc fuzz-onnx.js MUTANTS FILE…
 * A mutant that can be read is built into a graph, differentiated and written again.
 */

const [, , mutants, ...paths] = process.argv
const files = paths.map(path => new Uint8Array(readFileSync(path)))

const report = await fuzz({
  mutants: Number(mutants),
  mutant: (choices, i) => onnxMutant(files[i % files.length]!, choices),
  attempt(bytes) {
    const model = readOnnx(bytes)
    const graph = new Graph()
    const inputs = inputsOf(model, graph, 2)
    const { outputs } = model.apply(graph, inputs)
    const value = Object.values(outputs)[0]!
    try {
      if (isFloat(value.dtype)) {
        const size = value.shape.reduce((product, dim) => product * dim, 1)
        const loss = reduceSum(reshape(value, [size]), [0])
        const wrt = Object.values(inputs).filter(({ dtype }) => dtype === value.dtype)
        gradients([{ value: loss }], wrt).forEach((gradient, i) => {
          if (gradient) graph.output(graph.unused(`gradient${i}`), gradient)
        })
      }
    } catch (error) {
      // An operator without a gradient, say. Such graphs can be read all the same.
      if (!(error instanceof GraphError)) throw error
      throw new InputError(error.message)
    }
    graph.output(graph.unused('value'), value)
    verify(graph)
    toOnnx(graph)
  },
})
console.log(JSON.stringify(report))
