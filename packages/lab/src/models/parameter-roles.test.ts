import {
  add,
  concat,
  conv2d,
  div,
  expand,
  Graph,
  gather,
  layerNorm,
  matmul,
  mul,
  readOnnx,
  reduceMean,
  reshape,
  sub,
  type Tensor,
  toOnnx,
  transpose,
  type Value,
} from 'onnxgrad'
import { describe, expect, it } from 'vitest'
import { parameterRoles } from './parameter-roles.js'

const numbers = (shape: readonly number[], value = (i: number) => 0.1 + 0.01 * i): Tensor => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from({ length: shape.reduce((n, dim) => n * dim, 1) }, (_, i) => value(i)),
})

/** Roles of initializers in a file of which `build` makes the logits. */
function rolesOf(
  tensors: Readonly<Record<string, Tensor>>,
  build: (images: Value, p: Readonly<Record<string, Value>>) => Value,
) {
  const graph = new Graph()
  const images = graph.input('images', 'float32', [2, 3, 4, 4])
  const p = Object.fromEntries(
    Object.entries(tensors).map(([name, { shape, data }]) => [
      name,
      graph.initializer(name, 'float32', shape, data),
    ]),
  )
  graph.output('logits', build(images, p))
  const file = readOnnx(toOnnx(graph))
  const probe = new Graph()
  const seen = probe.input('images', 'float32', [2, 3, 4, 4])
  const candidates = Object.fromEntries(
    Object.entries(file.parameters).map(([name, tensor]) => [
      name,
      { value: probe.input(`weights.${name}`, tensor.dtype, tensor.shape), tensor },
    ]),
  )
  const values = Object.fromEntries(Object.entries(candidates).map(([name, { value }]) => [name, value]))
  const { outputs } = file.apply(probe, { images: seen }, values)
  return Object.fromEntries(parameterRoles(candidates, seen, outputs.logits!))
}

const tokens = (images: Value, kernel: Value) => {
  const maps = conv2d(images, kernel, null, { stride: 2 })
  return transpose(reshape(maps, [2, kernel.shape[0]!, 4]), [0, 2, 1])
}
const kernel = numbers([8, 3, 2, 2])

describe('of an initializer is found out', () => {
  it('that it is a matrix, a kernel, a bias, a norm, a token, positions or layer scale', () => {
    const roles = rolesOf(
      {
        kernel,
        token: numbers([1, 1, 8]),
        positions: numbers([1, 5, 8]),
        scale: numbers([8]),
        shift: numbers([8], i => -i),
        turned: numbers([6, 8]),
        bias: numbers([6]),
        layerScale: numbers([6], i => 1e-5 * i),
      },
      (images, p) => {
        const all = concat([expand(p.token!, [2, 1, 8]), tokens(images, p.kernel!)], 1)
        const normed = layerNorm(add(all, p.positions!), p.scale!, p.shift!, 1e-6)
        const projected = add(matmul(normed, transpose(p.turned!, [1, 0])), p.bias!)
        return reduceMean(mul(projected, p.layerScale!), [1])
      },
    )
    expect(roles).toEqual({
      ...{ kernel: 'matrix', turned: 'matrix' },
      ...Object.fromEntries(
        ['token', 'positions', 'scale', 'shift', 'bias', 'layerScale'].map(name => [name, 'vector']),
      ),
    })
  })

  it('that it is the normalization of the images, a scale of attention, a mask or a rotary table', () => {
    const roles = rolesOf(
      {
        kernel,
        mean: numbers([1, 3, 1, 1]),
        std: numbers([3, 1, 1]),
        temperature: numbers([1]),
        mask: numbers([1, 1, 4, 4], i => (i % 3 === 0 ? -100 : 0)),
        noMask: numbers([1, 4, 4], () => 0),
        rotary: numbers([4, 8]),
        bias: numbers([2, 4, 4]),
      },
      (images, p) => {
        const seen = tokens(div(sub(images, p.mean!), p.std!), p.kernel!)
        const rotated = mul(seen, p.rotary!)
        const scores = matmul(mul(rotated, p.temperature!), transpose(rotated, [0, 2, 1]))
        const masked = add(add(reshape(scores, [2, 1, 4, 4]), p.mask!), p.noMask!)
        return reduceMean(add(masked, p.bias!), [1, 2])
      },
    )
    expect(roles).toEqual({ kernel: 'matrix', bias: 'vector' })
  })

  it('through arithmetic of weights: tables, standardized kernels and their gains', () => {
    const roles = rolesOf(
      {
        kernel,
        gain: numbers([8, 1, 1, 1]),
        half: numbers([1], () => 0.5),
        table: numbers([7, 4]),
        unused: numbers([4]),
      },
      (images, p) => {
        const centred = sub(p.kernel!, reduceMean(p.kernel!, [1, 2, 3], { keep: true }))
        const x = tokens(images, mul(mul(centred, p.gain!), p.half!))
        const biases = transpose(gather(p.table!, [0, 1, 2, 3, 3, 2, 1, 0], 0), [1, 0])
        add(x, reshape(p.unused!, [4, 1]))
        return reduceMean(add(x, biases), [1])
      },
    )
    expect(roles).toEqual({ kernel: 'matrix', gain: 'vector', table: 'vector' })
  })
})
