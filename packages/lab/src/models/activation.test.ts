import { Graph, gradients } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { evaluate, numbers } from 'onnxgrad/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { type ActivationName, activate, activationName } from './activation.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const points = [-4, -1.5, -0.5, 0.25, 1, 3]
const geluByTanh = [
  [-7.02459482e-5, -0.100428423, -0.15428599, 0.149675351, 0.841191991, 2.99636261],
  [-0.000335123197, -0.127710793, 0.132630096, 0.695354095, 1.08296408, 1.01158417],
]
const silu = [
  [-0.0719448398, -0.273638286, -0.188770334, 0.140544125, 0.731058579, 2.85772238],
  [-0.0526646149, -0.0412941543, 0.260038813, 0.623710022, 0.927670512, 1.08810411],
]
// Values and slopes at the points: `transformers.activations.ACT2FN` of transformers 5.23.0 in double precision, and
// the gradients of PyTorch 2.15.0.
const expected: Record<ActivationName, number[][]> = {
  gelu: [
    [-0.000126684967, -0.100210802, -0.154268769, 0.149676581, 0.841344746, 2.99595031],
    [-0.000503649661, -0.127469192, 0.132504875, 0.695373355, 1.08331547, 1.01194565],
  ],
  gelu_new: geluByTanh,
  gelu_pytorch_tanh: geluByTanh,
  quick_gelu: [
    [-0.00441472414, -0.108337802, -0.149611563, 0.15119965, 0.845795766, 2.98192869],
    [-0.00640188655, -0.0988480646, 0.120778088, 0.706500441, 1.06777961, 1.02454832],
  ],
  relu: [
    [0, 0, 0, 0.25, 1, 3],
    [0, 0, 0, 1, 1, 1],
  ],
  silu,
  swish: silu,
  tanh: [
    [-0.9993293, -0.905148254, -0.462117157, 0.244918662, 0.761594156, 0.995054754],
    [0.00134095068, 0.180706639, 0.786447733, 0.940014849, 0.419974342, 0.00986603717],
  ],
}

describe.each(activationName.options)("the activation '%s'", name => {
  it("has PyTorch's values and slopes", async () => {
    const graph = new Graph()
    const x = graph.input('x', 'float32', [6])
    const y = activate(x, name)
    graph.output('y', y)
    const seed = graph.constant('float32', [6], new Array(6).fill(1))
    graph.output('slope', gradients([{ value: y, seed }], [x])[0]!)
    const got = await evaluate(runtime, graph, { x: points })
    const [values, slopes] = expected[name]
    const error = (of: number[], wanted: number[]) => Math.max(...of.map((v, i) => Math.abs(v - wanted[i]!)))
    expect(error(numbers(got.y), values!)).toBeLessThan(1e-6)
    expect(error(numbers(got.slope), slopes!)).toBeLessThan(2e-6)
  })
})
