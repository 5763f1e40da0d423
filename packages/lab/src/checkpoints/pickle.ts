import { InputError } from 'onnxgrad'
import { quote } from './safetensors-format.js'

/** What stands for a function or class that a pickle names: makes a value of its arguments. Nothing of Python is run. */
export class PickleFunction {
  /** @param name for messages. */
  constructor(
    readonly name: string,
    readonly apply: (args: readonly unknown[]) => unknown,
  ) {}
}

export interface PickleHooks {
  /** What stands for `module.name`; undefined if nothing does: the file is refused. */
  global(module: string, name: string): PickleFunction | undefined
  /** What a persistent id stands for. */
  persistent(id: unknown): unknown
}

/** Bytes of the longest whole number that is read. */
const LONGEST_NUMBER = 255

/**
 * Reads a pickle (protocols 2 to 5) as data: dictionaries become maps, lists and tuples arrays, large whole numbers
 * bigints. A pickle is a program that can name any function of Python; here it gets those that `hooks` knows and no
 * others, and they only put values together. Time and memory are proportional to its length.
 *
 * @param file its name, for messages.
 * @throws InputError naming what it asks for and does not get, or the byte at which it is damaged.
 */
export function readPickle(bytes: Uint8Array, file: string, hooks: PickleHooks): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const decoder = new TextDecoder()
  const stack: unknown[] = []
  const marks: number[] = []
  const memo = new Map<number, unknown>()
  let at = 0

  const damaged = (what: string) => new InputError(`${file}: its pickle is damaged at byte ${at}: ${what}`)
  const refused = (what: string) =>
    new InputError(
      `${file}: its pickle asks for ${what}; only tensors, dictionaries, lists, numbers and text are read, and nothing ` +
        "in it was run: save the weights alone with torch.save(model.state_dict(), 'weights.pth')",
    )
  const take = (count: number): number => {
    if (count > bytes.length - at) throw damaged('it is cut short')
    at += count
    return at - count
  }
  const uint8 = () => view.getUint8(take(1))
  const uint16 = () => view.getUint16(take(2), true)
  const uint32 = () => view.getUint32(take(4), true)
  const uint64 = () => {
    const value = view.getBigUint64(take(8), true)
    if (value > BigInt(bytes.length)) throw damaged('it is cut short')
    return Number(value)
  }
  const raw = (length: number) => {
    const start = take(length)
    return bytes.subarray(start, start + length)
  }
  const text = (length: number) => decoder.decode(raw(length))
  const line = () => {
    const end = bytes.indexOf(10, at)
    if (end < 0) throw damaged('it is cut short')
    const value = text(end - at)
    at++
    return value
  }
  const pop = () => {
    if (stack.length <= (marks.at(-1) ?? 0)) throw damaged('a value is missing')
    return stack.pop()
  }
  const top = () => {
    const value = pop()
    stack.push(value)
    return value
  }
  const popMark = () => {
    const mark = marks.pop()
    if (mark === undefined) throw damaged('a mark is missing')
    return stack.splice(mark)
  }
  const tuple = (count: number) => stack.push(Array.from({ length: count }, pop).reverse())
  const remember = (key: number) => memo.set(key, top())
  const recall = (key: number) => {
    if (!memo.has(key)) throw damaged(`it refers to value ${key}, which there is not`)
    stack.push(memo.get(key))
  }
  const global = (module: unknown, name: unknown) => {
    if (typeof module !== 'string' || typeof name !== 'string') throw damaged('a name is no text')
    const known = hooks.global(module, name)
    if (!known) throw refused(`${plain(module)}.${plain(name)} (GLOBAL)`)
    stack.push(known)
  }
  const whole = (length: number) => {
    if (length > LONGEST_NUMBER) throw damaged(`a number has ${length} bytes`)
    const value = raw(length).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
    const signed = BigInt.asIntN(8 * length, value)
    const number = Number(signed)
    stack.push(Number.isSafeInteger(number) ? number : signed)
  }
  const setItems = (items: readonly unknown[]) => {
    const target = top()
    if (!(target instanceof Map) || items.length % 2 !== 0) throw damaged('items are set of no dictionary')
    for (let i = 0; i < items.length; i += 2) target.set(items[i], items[i + 1])
  }
  const append = (items: readonly unknown[]) => {
    const target = top()
    if (!Array.isArray(target)) throw damaged('items are appended to no list')
    for (const item of items) target.push(item)
  }
  const reduce = () => {
    const [args, made] = [pop(), pop()]
    if (!(made instanceof PickleFunction) || !Array.isArray(args))
      throw damaged('what is no function is used as one')
    stack.push(made.apply(args))
  }

  /** By opcode, as Python's pickletools has them. */
  const operations: Readonly<Record<number, () => unknown>> = {
    40: () => marks.push(stack.length), // MARK
    41: () => stack.push([]), // EMPTY_TUPLE
    48: pop, // POP
    49: popMark, // POP_MARK
    66: () => stack.push(raw(uint32())), // BINBYTES
    67: () => stack.push(raw(uint8())), // SHORT_BINBYTES
    71: () => stack.push(view.getFloat64(take(8))), // BINFLOAT
    74: () => stack.push(view.getInt32(take(4), true)), // BININT
    75: () => stack.push(uint8()), // BININT1
    77: () => stack.push(uint16()), // BININT2
    78: () => stack.push(null), // NONE
    81: () => stack.push(hooks.persistent(pop())), // BINPERSID
    82: reduce, // REDUCE
    88: () => stack.push(text(uint32())), // BINUNICODE
    93: () => stack.push([]), // EMPTY_LIST
    97: () => append([pop()]), // APPEND
    // What is set of an object besides its items, such as the versions that PyTorch notes, means nothing here.
    98: pop, // BUILD
    99: () => global(line(), line()), // GLOBAL
    101: () => append(popMark()), // APPENDS
    104: () => recall(uint8()), // BINGET
    106: () => recall(uint32()), // LONG_BINGET
    113: () => remember(uint8()), // BINPUT
    114: () => remember(uint32()), // LONG_BINPUT
    115: () => setItems([pop(), pop()].reverse()), // SETITEM
    116: () => stack.push(popMark()), // TUPLE
    117: () => setItems(popMark()), // SETITEMS
    125: () => stack.push(new Map()), // EMPTY_DICT
    128: () => protocol(uint8()), // PROTO
    133: () => tuple(1), // TUPLE1
    134: () => tuple(2), // TUPLE2
    135: () => tuple(3), // TUPLE3
    136: () => stack.push(true), // NEWTRUE
    137: () => stack.push(false), // NEWFALSE
    138: () => whole(uint8()), // LONG1
    140: () => stack.push(text(uint8())), // SHORT_BINUNICODE
    141: () => stack.push(text(uint64())), // BINUNICODE8
    142: () => stack.push(raw(uint64())), // BINBYTES8
    147: () => global(...([pop(), pop()].reverse() as [unknown, unknown])), // STACK_GLOBAL
    148: () => remember(memo.size), // MEMOIZE
    149: () => take(8), // FRAME
  }
  function protocol(version: number): void {
    if (version < 2 || version > 5) throw damaged(`it is of protocol ${version}, and 2 to 5 are read`)
  }

  if (bytes[0] !== 0x80) throw damaged('it does not begin with a protocol from 2 to 5')
  for (;;) {
    const opcode = uint8()
    if (opcode === 0x2e) return pop() // STOP
    const operation = operations[opcode]
    if (!operation) throw refused(`opcode ${forbidden[opcode] ?? `0x${opcode.toString(16)}`}`)
    operation()
  }
}

/** Opcodes that make objects of other classes, or that PyTorch does not write, by name. */
const forbidden: Readonly<Record<number, string>> = {
  70: 'FLOAT',
  73: 'INT',
  76: 'LONG',
  80: 'PERSID',
  83: 'STRING',
  84: 'BINSTRING',
  85: 'SHORT_BINSTRING',
  86: 'UNICODE',
  100: 'DICT',
  105: 'INST',
  108: 'LIST',
  111: 'OBJ',
  129: 'NEWOBJ',
  130: 'EXT1',
  131: 'EXT2',
  132: 'EXT4',
  139: 'LONG4',
  143: 'EMPTY_SET',
  144: 'ADDITEMS',
  145: 'FROZENSET',
  146: 'NEWOBJ_EX',
  150: 'BYTEARRAY8',
  151: 'NEXT_BUFFER',
}

/** A name from the file as it may stand in a message. */
function plain(name: string): string {
  return quote(name).slice(1, -1)
}
