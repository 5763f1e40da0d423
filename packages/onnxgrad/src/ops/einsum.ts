import type { OpDefinition, Value } from '../graph/graph.js'
import type { Shape } from '../graph/tensor.js'
import { defineOp, required } from './define-op.js'
import { mul } from './elementwise.js'
import { expand } from './layout.js'
import { reshape } from './reshaping.js'

/**
 * Sum of products over labelled axes, as numpy writes it: 'bid,bjd->bij' is a batch of products A·Bᵀ. A label that
 * the result does not have is summed over. '...' stands for as many axes in every operand that has it; there, and
 * only there, length 1 broadcasts. Without '->' the result has the labels that come once, in alphabetical order.
 * Throws GraphError where labels and shapes disagree, and for a label that one operand has twice (a diagonal).
 */
export function einsum(equation: string, ...operands: readonly [Value, ...Value[]]): Value {
  return operands[0].graph.apply(Einsum, operands, { equation })[0]!
}

/** An equation bound to shapes. The axes of '...' are labelled '.0', '.1', …. */
interface Contraction {
  /** Labels of each operand's axes. */
  readonly operands: readonly (readonly string[])[]
  readonly output: readonly string[]
  readonly sizes: ReadonlyMap<string, number>
}

function bind(equation: string, shapes: readonly Shape[]): Contraction {
  const [left, right] = equation.replaceAll(' ', '').split('->') as [string, string?]
  const terms = left.split(',')
  if (terms.length !== shapes.length)
    throw new Error(`'${equation}' has ${terms.length} operands, not ${shapes.length}`)
  const hidden = new Set(
    terms.flatMap((term, i) => (term.includes('...') ? [shapes[i]!.length - term.length + 3] : [])),
  )
  // Numpy would broadcast here; the runtime does not.
  if (hidden.size > 1) throw new Error(`'...' of '${equation}' stands for ${[...hidden].join(' and ')} axes`)
  const dots = Array.from({ length: [...hidden][0] ?? 0 }, (_, i) => `.${i}`)
  const operands = terms.map(term => labelsOf(term, dots))
  const sizes = sizesOf(operands, shapes, equation)
  const all = operands.flat()
  // Without '->' the result has the labels that come once, in alphabetical order.
  const once = all.filter(label => !dots.includes(label) && all.indexOf(label) === all.lastIndexOf(label))
  const output = labelsOf(right ?? `...${once.sort().join('')}`, dots)
  const unknown = output.find(label => !sizes.has(label))
  if (unknown !== undefined) throw new Error(`'${unknown}' of the result of '${equation}' is of no operand`)
  if (dots.some(label => !output.includes(label)))
    throw new Error(`the result of '${equation}' must have '...' too`)
  return { operands, output, sizes }
}

/** The label of every axis of a term; those of '...' are given. */
function labelsOf(term: string, dots: readonly string[]): string[] {
  if (!/^[a-zA-Z]*(\.\.\.)?[a-zA-Z]*$/.test(term)) throw new Error(`'${term}' is not a term of an einsum`)
  const [before, after] = term.split('...') as [string, string?]
  const labels = [...before, ...(after === undefined ? [] : [...dots, ...after])]
  if (new Set(labels).size !== labels.length)
    throw new Error(`'${term}' has a label twice, which is not supported`)
  return labels
}

/** The length of every label's axis. Only the axes of '...' may have length 1 in some operands. */
function sizesOf(operands: Contraction['operands'], shapes: readonly Shape[], equation: string) {
  const sizes = new Map<string, number>()
  operands.forEach((labels, i) => {
    const shape = shapes[i]!
    if (labels.length !== shape.length)
      throw new Error(`operand ${i} of '${equation}' has ${shape.length} axes, not ${labels.length}`)
    labels.forEach((label, axis) => {
      const dim = shape[axis]!
      const known = sizes.get(label) ?? dim
      const broadcasts = label.startsWith('.') && (known === 1 || dim === 1)
      if (known !== dim && !broadcasts)
        throw new Error(`'${label}' of '${equation}' is both ${known} and ${dim}`)
      sizes.set(label, known === 1 ? dim : known)
    })
  })
  return sizes
}

/** Einsum of operands whose axes are labelled by any strings, one size a label. */
function contract(
  operands: readonly { value: Value; labels: readonly string[] }[],
  output: readonly string[],
) {
  const letters = new Map<string, string>()
  const write = (labels: readonly string[]) =>
    labels
      .map(label => {
        if (!letters.has(label))
          letters.set(label, 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'[letters.size]!)
        return letters.get(label)
      })
      .join('')
  const left = operands.map(({ labels }) => write(labels)).join(',')
  return einsum(`${left}->${write(output)}`, ...(operands.map(({ value }) => value) as [Value]))
}

export const Einsum: OpDefinition = defineOp({
  name: 'Einsum',
  attributes: { equation: 'string' },
  infer(inputs, { equation }) {
    const values = inputs.map((_, i) => required(inputs, i))
    const { output, sizes } = bind(
      String(equation),
      values.map(({ shape }) => shape),
    )
    const other = values.find(({ dtype }) => dtype !== values[0]!.dtype)
    if (other) throw new Error(`types differ: ${values[0]!.dtype} and ${other.dtype}`)
    return [{ dtype: values[0]!.dtype, shape: output.map(label => sizes.get(label)!) }]
  },
  // The gradient at an operand is the einsum of dy and the other operands to that operand's labels. A label that
  // the operand alone had was summed out: there the gradient is the same all along the axis.
  gradient({ inputs, gradients: [dy], attributes, wants }) {
    const { operands, output, sizes } = bind(
      String(attributes.equation),
      inputs.map(x => x!.shape),
    )
    const factors = inputs.map((x, i) => {
      // An axis of length 1 that was broadcast takes no part in the products.
      const labels = operands[i]!.filter((label, axis) => x!.shape[axis] === sizes.get(label))
      return {
        labels,
        value: reshape(
          x!,
          labels.map(label => sizes.get(label)!),
        ),
      }
    })
    return inputs.map((_, i) => {
      if (!wants(i)) return null
      const others = [{ value: dy!, labels: output }, ...factors.toSpliced(i, 1)]
      const present = new Set(others.flatMap(({ labels }) => labels))
      const mine = operands[i]!
      const part = contract(
        others,
        mine.filter(label => present.has(label)),
      )
      const kept = mine.map(label => (present.has(label) ? sizes.get(label)! : 1))
      return expand(
        reshape(part, kept),
        mine.map(label => sizes.get(label)!),
      )
    })
  },
  cases: [
    {
      name: 'attention scores',
      inputs: [
        [2, 2, 3, 2],
        [2, 2, 4, 2],
      ],
      attributes: { equation: 'bhid,bhjd->bhij' },
    },
    {
      name: 'labels that only one operand has are summed',
      inputs: [
        [2, 3],
        [3, 2, 2],
      ],
      attributes: { equation: 'ij, jkl -> k' },
    },
    {
      name: 'three operands',
      inputs: [
        [2, 3],
        [3, 2],
        [2, 4],
      ],
      attributes: { equation: 'ij,jk,kl->li' },
    },
    { name: 'outer product', inputs: [[2], [3]], attributes: { equation: 'i,j->ji' } },
    { name: 'one operand, transposed sum', inputs: [[2, 3, 2]], attributes: { equation: 'abc->ca' } },
    {
      name: 'implicit result',
      inputs: [
        [3, 2],
        [3, 2],
      ],
      attributes: { equation: 'ib,ia' },
    },
    {
      name: 'implicit result with leading axes',
      inputs: [
        [2, 3, 2],
        [2, 3, 2],
      ],
      attributes: { equation: '...ib,...ia' },
    },
    {
      name: 'leading axes of one operand',
      inputs: [
        [2, 2, 3],
        [3, 4],
      ],
      attributes: { equation: '...j,jk->...k' },
    },
    {
      name: 'leading axes that broadcast',
      inputs: [
        [2, 1, 2, 3],
        [2, 3, 3, 2],
      ],
      attributes: { equation: '...ij,...jk->...ik' },
    },
    {
      name: 'one value as both operands',
      inputs: [[2, 3]],
      build: (_, [x]) => mul(einsum('ij,kj->ik', x!, x!), einsum('ij,ij->i', x!, x!)),
    },
  ],
})

export const einsums: readonly OpDefinition[] = [Einsum]
