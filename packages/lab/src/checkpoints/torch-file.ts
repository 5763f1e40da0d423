import { InputError } from 'onnxgrad'
import type { CheckpointTensor } from './checkpoint-tensor.js'
import { PickleFunction, readPickle } from './pickle.js'
import { ITEM_SIZES, isSize, quote } from './safetensors-format.js'
import { assertTensor, storageTypes, TorchStorage, TorchTensor } from './torch-tensor.js'
import { openZip, type ZipEntry } from './zip.js'

export interface TorchFile {
  readonly tensors: ReadonlyMap<string, CheckpointTensor>
  /** What was found where, for the user. */
  readonly remarks: readonly string[]
}

/** Keys under which training programs keep the state dict, the most telling first. */
const nesting = [
  'state_dict',
  'model_state_dict',
  'model_state',
  'model',
  'net',
  'network',
  'module',
  'weights',
]
/**
 * The state dict's tensors may share their values, as tied weights do; but together they are never more than this many
 * times the file.
 */
const MOST_SHARING = 2

/**
 * Opens the state dict in a file of PyTorch's torch.save as data: of the program that the file is, nothing is run. No
 * memory is taken for values until a tensor is read.
 *
 * It may be the whole file or lie in a dictionary under a usual key, as BackdoorBench and most training programs
 * have it.
 *
 * @param file its name, for messages.
 * @throws InputError if the file has another format, asks for anything but tensors and plain values, or has no state
 * dict.
 */
export function openTorch(bytes: Uint8Array, file: string): TorchFile {
  assertFormat(bytes, file)
  const entries = openZip(bytes, file)
  const pickle = [...entries.keys()].find(name => name.endsWith('data.pkl'))
  if (pickle === undefined) throw new InputError(`${file} has no data.pkl: it is not of torch.save`)
  const root = pickle.slice(0, -'data.pkl'.length)
  if (entries.has(`${root}constants.pkl`)) {
    throw new InputError(
      `${file} is a TorchScript program, not weights: load it in Python with torch.jit.load and save ` +
        "torch.save(model.state_dict(), 'weights.pth')",
    )
  }
  const order = entries.get(`${root}byteorder`)?.()
  if (order && new TextDecoder().decode(order) !== 'little')
    throw new InputError(`${file} was saved on a big-endian machine, which is not supported`)
  const known = knownFunctions(file)
  const content = readPickle(entries.get(pickle)!(), file, {
    global: (module, name) => known.get(`${module}.${name}`),
    persistent: id => readStorage(id, entries, root, file),
  })
  const { found, remarks } = stateDict(content, file)
  const tensors = new Map<string, CheckpointTensor>()
  let total = 0
  for (const [name, tensor] of found) {
    total += tensor.byteLength
    const { dtype, shape } = tensor
    tensors.set(name, { dtype, shape, file, storedAs: name, read: () => tensor.read(name, file) })
  }
  if (total > MOST_SHARING * bytes.length) {
    throw new InputError(
      `${file}: its tensors are of ${total} bytes together, and the file of ${bytes.length}: they share values too often`,
    )
  }
  return { tensors, remarks }
}

/** Begins with the number that tells PyTorch's first format. */
const LEGACY = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]
const ZIP = [0x50, 0x4b]

function assertFormat(bytes: Uint8Array, file: string): void {
  const begins = (with_: readonly number[]) => with_.every((byte, i) => bytes[i] === byte)
  if (begins(ZIP)) return
  if (begins(LEGACY)) {
    throw new InputError(
      `${file} is in PyTorch's format from before version 1.6, which is not read: save it anew with ` +
        `torch.save(torch.load('old.pth', weights_only=True), 'new.pth')`,
    )
  }
  throw new InputError(
    `${file} is no file of torch.save: give weights that torch.save(model.state_dict(), …) wrote`,
  )
}

/** What is in place of a value that no weights are made of. */
const SKIPPED = Symbol('skipped')

/** Functions and classes of Python that a state dict and what usually lies beside it need, by name. */
function knownFunctions(file: string): ReadonlyMap<string, PickleFunction> {
  const tensor = ([storage, offset, shape, strides]: readonly unknown[]) =>
    assertTensor(TorchTensor.of(storage, offset, shape, strides), file)
  const first = ([value]: readonly unknown[]) => value
  const skipped = () => SKIPPED
  const functions: [string, PickleFunction['apply']][] = [
    ['collections.OrderedDict', ([pairs]) => new Map(Array.isArray(pairs) ? pairs.filter(isPair) : [])],
    ['torch._utils._rebuild_tensor', tensor],
    ['torch._utils._rebuild_tensor_v2', tensor],
    ['torch._utils._rebuild_parameter', first],
    ['torch._utils._rebuild_parameter_with_state', first],
    ['torch.Size', first],
    // Classes of storages are named, and never made by a pickle itself.
    ...Object.keys(storageTypes).map((name): [string, () => unknown] => [`torch.${name}`, skipped]),
    // Arrays of numpy, such as the indices of poisoned images in files of BackdoorBench: nothing is made of them.
    ...['numpy.core.multiarray', 'numpy._core.multiarray'].flatMap((module): [string, () => unknown][] => [
      [`${module}._reconstruct`, skipped],
      [`${module}.scalar`, skipped],
    ]),
    ['numpy.ndarray', skipped],
    ['numpy.dtype', skipped],
    ['_codecs.encode', skipped],
  ]
  return new Map(functions.map(([name, apply]) => [name, new PickleFunction(name, apply)]))
}

const isPair = (value: unknown): value is [unknown, unknown] => Array.isArray(value) && value.length === 2

function readStorage(
  id: unknown,
  entries: ReadonlyMap<string, ZipEntry>,
  root: string,
  file: string,
): TorchStorage {
  const [kind, type, key, , count] = Array.isArray(id) ? id : []
  const dtype = type instanceof PickleFunction ? storageTypes[type.name.replace(/^torch\./, '')] : undefined
  if (kind !== 'storage' || !dtype || typeof key !== 'string' || !isSize(count))
    throw new InputError(`${file} is damaged: a tensor's storage is described as nothing that PyTorch writes`)
  const bytes = entries.get(`${root}data/${key}`)?.()
  const size = count * ITEM_SIZES.get(dtype)!
  if (bytes?.length !== size) {
    const held = bytes ? `has ${bytes.length} bytes` : 'is missing'
    throw new InputError(`${file} is damaged: storage ${quote(key)} should have ${size} bytes, and ${held}`)
  }
  return new TorchStorage(dtype, bytes)
}

type StateDict = ReadonlyMap<string, TorchTensor>

/** The state dict in what a file holds, and where it was. */
function stateDict(content: unknown, file: string): { found: StateDict; remarks: string[] } {
  const inside = (key: string) => {
    const found = content instanceof Map ? tensorsIn(content.get(key)) : undefined
    return found && { found, remarks: [`${file}: the weights are those under its key '${key}'`] }
  }
  const holders =
    content instanceof Map ? [...content.keys()].filter(key => typeof key === 'string' && inside(key)) : []
  const usual = nesting.find(key => holders.includes(key)) ?? (holders.length === 1 ? holders[0] : undefined)
  if (usual !== undefined) return inside(usual)!
  const whole = tensorsIn(content)
  if (whole) return { found: whole, remarks: [] }
  const keys = content instanceof Map ? [...content.keys()].filter(key => typeof key === 'string') : []
  const held =
    content instanceof Map
      ? `a dictionary with the keys ${keys.slice(0, 6).map(quote).join(', ')}`
      : 'something else'
  throw new InputError(
    `${file} holds no state dict but ${held}: save one with torch.save(model.state_dict(), 'weights.pth')`,
  )
}

/** The tensors of a dictionary, if all that it has under text is tensors or nothing. */
function tensorsIn(value: unknown): StateDict | undefined {
  if (!(value instanceof Map)) return undefined
  const tensors = new Map<string, TorchTensor>()
  for (const [name, inner] of value) {
    if (typeof name !== 'string') return undefined
    if (inner instanceof TorchTensor) tensors.set(name, inner)
    else if (inner !== null) return undefined
  }
  return tensors.size > 0 ? tensors : undefined
}
