import { digestOf } from '@ageb/lab'
import type { Monitor } from '../runs/monitor.js'

/** What decides a stage's output, readable: kept in the entry and shown by `listEntries`. */
export type KeyParts = { readonly [name: string]: KeyPart }
export type KeyPart = string | number | boolean | null | undefined | readonly KeyPart[] | KeyParts

/** What a stage is given for its work. */
export interface StageContext {
  /** An empty folder. What lies in it when `run` ends is the output. It is not the folder that `open` is given. */
  readonly folder: string
  /**
   * A folder for what an interrupted stage resumes from, such as a training's state. It survives the process,
   * however that ends, and is removed once the output is stored. Write its files with `writeFileWhole`, and expect
   * to find any state that was ever written there, or none.
   */
  readonly scratch: string
  /** Aborted when the work is to stop: `run` then throws `signal.reason`. */
  readonly signal: AbortSignal
  readonly monitor: Monitor
}

/**
 * Slow work as a pure function: equal keys, equal files. The files are the output: `run` writes them, `open` reads
 * them, also directly after `run`. So an output may be larger than the memory, and whoever uses a stored output gets
 * exactly what its maker got.
 *
 * @example
 * const decode: Stage<{ file: string; digest: string }, Uint8Array> = {
 *   name: 'decode',
 *   version: 1,
 *   key: ({ digest }) => ({ file: digest }),
 *   run: async ({ file }, { folder }) => {
 *     const { pixels } = await decodeRgb(await readFile(file))
 *     await writeFile(path.join(folder, 'pixels.bin'), pixels)
 *   },
 *   open: folder => readFile(path.join(folder, 'pixels.bin')),
 * }
 * const input = { file: 'cat.png', digest: digestOf(await readFile('cat.png')) }
 * const { output, key } = await runStage(decode, input, { store: new FolderStore() })
 */
export interface Stage<I, O> {
  /** Small letters, digits and hyphens. */
  readonly name: string
  /** Raise it whenever an equal key gives other files, or files that an older `open` cannot read. */
  readonly version: number
  /**
   * All that decides the output: parameters, keys of the inputs, and what decides the last bits (device, threads,
   * runtime). Numbers are finite. Large arrays go in as their `digestOf`.
   */
  key(input: I): KeyParts
  /** Writes the output into `context.folder`: files, also in folders; names of letters, digits, `.`, `_`, `-`. */
  run(input: I, context: StageContext): Promise<void>
  /** Opens the output. The folder is only read, and stays at least until the process ends, unless someone prunes. */
  open(folder: string, input: I): Promise<O> | O
}

/** Names the place of an output. */
export interface EntryId {
  readonly stage: string
  readonly version: number
  readonly parts: KeyParts
  /** SHA-256 of the three above, hexadecimal. */
  readonly key: string
}

/** The characters of stage names and keys: they become names of folders. */
export const namePattern = /^[a-z0-9-]{1,128}$/

/**
 * The key of an output.
 *
 * @throws Error if the name is not usable or a number in the parts is not finite
 */
export function entryId(stage: string, version: number, parts: KeyParts): EntryId {
  if (!namePattern.test(stage)) throw new Error(`a stage cannot be named '${stage}': use a-z, 0-9 and -`)
  // JSON writes all of these as null, so that different keys would be equal.
  JSON.stringify(parts, (name, value: unknown) => {
    if (typeof value === 'number' && !Number.isFinite(value)) {
      throw new Error(`the key of stage '${stage}' has ${value} as '${name}': use finite numbers`)
    }
    return value
  })
  return { stage, version, parts, key: digestOf(stage, version, parts) }
}
