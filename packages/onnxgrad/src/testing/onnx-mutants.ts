import { modelType } from '../onnx/schema.js'
import { operators } from '../ops/registry.js'
import { type Choices, damaged, edges } from './fuzz.js'
import type { Message } from './onnx-file.js'

const opNames = [...operators.map(({ name }) => name.replace(/^.*:/, '')), 'If', 'Loop', 'NoSuchOp', '']

/** A mutant of an ONNX file: of its bytes, or of what they mean. */
export function onnxMutant(bytes: Uint8Array, choices: Choices): Uint8Array {
  if (choices.int(4) === 0) return damaged(bytes, choices)
  const model: Message = modelType.toObject(modelType.decode(bytes), { longs: Number })
  for (let n = 1 + choices.int(3); n > 0; n--) change(model, choices)
  return modelType.encode(modelType.fromObject(model)).finish()
}

/** What can be wrong with one place of a model. */
const changes: ((graph: Message, names: readonly string[], choices: Choices) => void)[] = [
  ({ node }, _, { int, of }) => put(node, of(node), int),
  ({ node }, _, { int }) => node.splice(int(node.length), 1),
  ({ node }, _, { of }) => Object.assign(some(node, of), { opType: of(opNames) }),
  ({ node }, names, { int, of }) => put(some(node, of).input, of(names), int),
  ({ node }, names, { int, of }) => put(some(node, of).output, of(names), int),
  ({ node }, _, choices) => changeAttribute(some(some(node, choices.of).attribute, choices.of), choices),
  ({ node }, _, { of }) => Object.assign(some(node, of), { attribute: [] }),
  ({ initializer }, _, { int, of }) => put(some(initializer, of).dims, of(edges), int),
  ({ initializer }, _, { int, of }) => Object.assign(some(initializer, of), { dataType: int(24) }),
  ({ initializer }, names, { of }) => Object.assign(some(initializer, of), { name: of(names) }),
  ({ initializer }, _, choices) => {
    const tensor = some(initializer, choices.of)
    tensor.rawData = damaged(tensor.rawData?.length ? tensor.rawData : Uint8Array.of(1), choices)
  },
  ({ initializer }, _, { of }) => {
    const location = of(['../../etc/passwd', '/etc/passwd', 'weights.bin', '', 'C:\\x'])
    Object.assign(some(initializer, of), {
      dataLocation: 1,
      externalData: [
        { key: 'location', value: location },
        { key: of(['offset', 'length']), value: String(of(edges)) },
      ],
    })
  },
  ({ input }, names, { int, of }) =>
    put(
      some(input, of).type?.tensorType?.shape?.dim,
      of<unknown>([{ dimValue: of(edges) }, { dimParam: of(names) }, {}]),
      int,
    ),
  ({ output }, names, { of }) => Object.assign(some(output, of), { name: of(names) }),
]

function change(model: Message, choices: Choices): void {
  if (choices.int(20) === 0) {
    some(model.opsetImport, choices.of).version = choices.of([...edges, 13, 14, 17, 18, 21])
    return
  }
  const { node = [], initializer = [], input = [], output = [] } = model.graph
  const nameOf = ({ name }: Message): string => name
  const made: string[] = node.flatMap((n: Message) => n.output)
  const names = [...initializer.map(nameOf), ...input.map(nameOf), ...made, '', 'nothing']
  choices.of(changes)({ node, initializer, input, output }, names, choices)
}

function some(list: Message[] | undefined, of: Choices['of']): Message {
  return list?.length ? of(list) : {}
}

function put(list: unknown[] | undefined, value: unknown, int: Choices['int']): void {
  if (list?.length) list[int(list.length)] = value
}

function changeAttribute(attribute: Message, { int, of }: Choices): void {
  const names = ['axis', 'axes', 'perm', 'to', 'value', 'pads', 'group', '__proto__', 'x'.repeat(100_000)]
  const change = of<() => Message>([
    () => ({ i: of(edges) }),
    () => ({ ints: Array.from({ length: int(6) }, () => of(edges)) }),
    () => ({ f: of([Number.NaN, Number.POSITIVE_INFINITY, -1e38, 1e-40, 0]) }),
    () => ({ type: int(15) }),
    () => ({ name: of(names) }),
  ])
  Object.assign(attribute, change())
}
