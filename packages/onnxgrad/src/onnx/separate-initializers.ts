import { isFloat } from '../graph/dtype.js'
import type { Tensor } from '../graph/tensor.js'
import type { NodeMessage } from './schema.js'

/** The nodes of a file, and its initializers by name. */
export interface Parts {
  readonly nodes: readonly NodeMessage[]
  readonly initializers: ReadonlyMap<string, Tensor>
}

/**
 * Gives every reader of a uniform initializer one of its own. Exporters store equal tensors once, such as the ones and
 * the zeros of all norms that were never trained; as one tensor, they would be trained as one. A tensor whose values
 * differ is left alone: several readers then mean that a layer is used several times. Data is not copied.
 */
export function separateInitializers({ nodes, initializers }: Parts): Parts {
  const separated = new Map(initializers)
  const read = new Set<string>()
  const taken = new Set(nodes.flatMap(({ input, output }) => [...input, ...output]))
  const copies = new Map<string, number>()
  const copyOf = (name: string): string => {
    let n = (copies.get(name) ?? 1) + 1
    while (taken.has(`${name}.${n}`) || separated.has(`${name}.${n}`)) n++
    copies.set(name, n)
    separated.set(`${name}.${n}`, initializers.get(name)!)
    return `${name}.${n}`
  }
  const uniform = new Map([...initializers].map(([name, tensor]) => [name, isUniform(tensor)]))
  const renamed = nodes.map(node => {
    const input = node.input.map(name => {
      if (!uniform.get(name)) return name
      if (read.has(name)) return copyOf(name)
      read.add(name)
      return name
    })
    if (input.every((name, i) => name === node.input[i])) return node
    // What the file leaves out is on the message's prototype: a copy has to name every field.
    const { output, name, opType, attribute, domain } = node
    return { input, output, name, opType, attribute, domain }
  })
  return { nodes: renamed, initializers: separated }
}

function isUniform({ dtype, data }: Tensor): boolean {
  return isFloat(dtype) && data.length > 1 && (data as Float32Array).every(value => value === data[0])
}
