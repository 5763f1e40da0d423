import { InputError } from '../errors.js'
import type { FileNode } from './replay.js'

/** The nodes in topological order, as near to the file's as can be. Throws InputError for cycles and what is missing. */
export function inOrder(nodes: readonly FileNode[], sources: ReadonlySet<string>): FileNode[] {
  const producers = new Map<string, FileNode>()
  for (const node of nodes) {
    for (const output of node.outputs) {
      if (output === '') continue
      if (sources.has(output) || producers.has(output)) {
        throw new InputError(`node '${node.name}': the name '${output}' is there twice; the file is damaged`)
      }
      producers.set(output, node)
    }
  }
  const producer = (name: string, user: FileNode): FileNode | null => {
    if (name === '' || sources.has(name)) return null
    const found = producers.get(name)
    if (found) return found
    throw new InputError(`node '${user.name}' (${user.op}) uses '${name}', which nothing computes`)
  }
  const entered = new Set<FileNode>()
  const ordered = new Set<FileNode>()
  for (const first of nodes) {
    // Depth first, with a stack of its own: a chain may be longer than the call stack.
    const stack = entered.has(first) ? [] : [{ node: first, next: 0 }]
    entered.add(first)
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const input = top.node.inputs[top.next++]
      if (input === undefined) {
        ordered.add(top.node)
        stack.pop()
        continue
      }
      const before = producer(input, top.node)
      if (!before || ordered.has(before)) continue
      if (entered.has(before)) {
        throw new InputError(`node '${before.name}' (${before.op}) depends on itself; the graph is cyclic`)
      }
      entered.add(before)
      stack.push({ node: before, next: 0 })
    }
  }
  return [...ordered]
}
