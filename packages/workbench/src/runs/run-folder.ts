import { appendFile, readFile, stat, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus, totalmem } from 'node:os'
import path from 'node:path'
import { InputError } from 'onnxgrad'
import { runtimeVersion } from 'onnxgrad/node'
import { UsageError } from '../configuration/resolve.js'
import { openSealedJson, sealedJson } from '../files/sealed-json.js'
import { version } from '../files/version.js'
import {
  cannotBeWritten,
  ensureFolder,
  errorCode,
  makeFolder,
  removeUnfinished,
  writeFileWhole,
} from '../files/write-file.js'
import type { LeaseFile } from '../store/lease-file.js'
import { configurationText, parseConfiguration } from './configuration-file.js'
import type { Monitor } from './monitor.js'
import { type OwnOptions, ownRun } from './owner.js'

/** One line of a run's event log. */
export interface RunEvent {
  readonly type: string
  readonly [key: string]: unknown
}

/** A table of ten million images is smaller. */
const MOST_BYTES = 2 ** 30

/**
 * A run on disk: `config.yaml` (resolved), `environment.json`, `events.jsonl` (what happened when), the record with the
 * files that it names, and whatever is made of it. All but the first can be derived again: what took long lies in the
 * store. One process at a time owns a run.
 */
export class RunFolder {
  readonly path: string
  #owner: LeaseFile | undefined
  /** Whether the event log ends in the middle of a line. */
  #isCut = false
  private constructor(folder: string) {
    this.path = folder
  }

  /**
   * Makes a new run, which this process owns until `release`.
   *
   * @param options.orNumbered where the folder holds a run already, take the next free of `folder-2`, `folder-3`, …
   * @throws UsageError if the folder holds a run already; InputError if it cannot be written
   */
  static async create(
    folder: string,
    config: Readonly<Record<string, unknown>>,
    { orNumbered = false, ...owning }: OwnOptions & { readonly orNumbered?: boolean } = {},
  ): Promise<RunFolder> {
    const text = configurationText(config)
    let run = new RunFolder(folder)
    for (let n = 2; !(await run.#begin(text)); n++) {
      if (!orNumbered)
        throw new UsageError(
          `${folder} holds a run already: resume it with --resume ${folder}, or choose another --out`,
        )
      run = new RunFolder(`${folder}-${n}`)
    }
    await run.#own(owning)
    await run.noteEnvironment(String(config.device))
    return run
  }

  /**
   * Opens a run to read.
   * @throws UsageError if there is none; InputError if its configuration is damaged or was changed
   */
  static async open(folder: string): Promise<{ run: RunFolder; config: Record<string, unknown> }> {
    const run = new RunFolder(folder)
    const bytes = await run.read('config.yaml')
    if (!bytes) throw new UsageError(`${folder} holds no run (no config.yaml): check the path`)
    return { run, config: parseConfiguration(bytes.toString('utf8'), run.file('config.yaml')) }
  }

  /**
   * Opens a run to resume it: as `open`, and this process owns it until `release`.
   * @throws as `open`; UsageError if another process owns the run; the signal's reason
   */
  static async resume(
    folder: string,
    options: OwnOptions = {},
  ): Promise<{ run: RunFolder; config: Record<string, unknown> }> {
    const { run, config } = await RunFolder.open(folder)
    await run.#own(options)
    await removeUnfinished(folder).catch(error => {
      throw cannotBeWritten(folder, error)
    })
    await run.#checkLog(options.monitor)
    return { run, config }
  }

  /** Lets others own the run. */
  async release(): Promise<void> {
    await this.#owner?.release()
    this.#owner = undefined
  }

  file(...names: string[]): string {
    return path.join(this.path, ...names)
  }

  /** Replaces a file whole or not at all. Throws InputError if it cannot be written. */
  async write(name: string, data: string | Iterable<Uint8Array>): Promise<void> {
    const file = this.file(name)
    await makeFolder(path.dirname(file))
    await writeFileWhole(file, data)
  }

  /** A file's bytes; null if it is not there. Throws InputError if it cannot be read or is far too large. */
  async read(name: string): Promise<Buffer | null> {
    const file = this.file(name)
    try {
      // Memory is taken only for what a run may have written.
      const { size } = await stat(file)
      if (size > MOST_BYTES)
        throw new InputError(`${file} has ${size} bytes, more than any file of a run: restore it`)
      return await readFile(file)
    } catch (error) {
      if (error instanceof InputError) throw error
      if (errorCode(error) === 'ENOENT') return null
      throw new InputError(`${file} cannot be read (${errorCode(error)}): check its permissions`)
    }
  }

  /** Appends to the event log, which is for people: nothing depends on it. */
  async log(...events: RunEvent[]): Promise<void> {
    const lines = events.map(event => `${JSON.stringify(event)}\n`).join('')
    const begin = this.#isCut ? '\n' : ''
    await appendFile(this.file('events.jsonl'), begin + lines).catch(error => {
      throw cannotBeWritten(this.file('events.jsonl'), error)
    })
    this.#isCut = false
  }

  /** Replaces a file by a JSON object with a checksum. Throws InputError if it cannot be written. */
  async writeSealed(name: string, value: object): Promise<void> {
    await this.write(name, sealedJson(value))
  }

  /**
   * Reads what `writeSealed` wrote; null if it is not there.
   * @param remedy what to do if it is damaged, for the message
   * @throws InputError if it is damaged or cannot be read
   */
  async readSealed(name: string, remedy: string): Promise<Record<string, unknown> | null> {
    const bytes = await this.read(name)
    if (!bytes) return null
    try {
      return openSealedJson(bytes.toString('utf8'))
    } catch (error) {
      throw new InputError(`${this.file(name)} is damaged (${(error as Error).message}): ${remedy}`)
    }
  }

  /**
   * What the results may depend on besides the configuration; null if that file is missing.
   * @throws InputError if it is damaged
   */
  async environment(): Promise<Record<string, string> | null> {
    const remedy = 'delete it, as no figure depends on it'
    return (await this.readSealed('environment.json', remedy)) as Record<string, string> | null
  }

  /**
   * Notes what the results may depend on, unless that was done: a run may be killed in its first moment.
   * @throws InputError if the note is damaged or cannot be written
   */
  async noteEnvironment(device: string): Promise<void> {
    if (!(await this.environment())) await this.writeSealed('environment.json', environment(device))
  }

  /** Writes the configuration; false if there is one already. */
  async #begin(text: string): Promise<boolean> {
    try {
      await ensureFolder(this.path)
      await writeFile(this.file('config.yaml'), text, { flag: 'wx' })
      return true
    } catch (error) {
      if (errorCode(error) === 'EEXIST') return false
      throw cannotBeWritten(this.path, error)
    }
  }

  async #own(options: OwnOptions): Promise<void> {
    this.#owner = await ownRun(this.path, this.file('owner.lease'), options)
  }

  /** Says where the event log is damaged, which stops nothing. */
  async #checkLog(monitor?: Monitor): Promise<void> {
    const bytes = await this.read('events.jsonl').catch((error: Error) => monitor?.say(error.message))
    const text = bytes?.toString('utf8') ?? ''
    this.#isCut = text !== '' && !text.endsWith('\n')
    const wrong = text.split('\n').findIndex(line => line !== '' && !isJson(line))
    if (wrong >= 0)
      monitor?.say(
        `${this.file('events.jsonl')} is damaged in line ${wrong + 1}: it is only for people to read, the run goes on`,
      )
  }
}

/** What a result may depend on besides the configuration. */
export function environment(device: string): Record<string, string> {
  const cores = availableParallelism()
  return {
    ageb: version(),
    onnxruntime: runtimeVersion ?? 'unknown',
    device,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    processor: `${cores} cores, ${cpus()[0]?.model.trim() ?? 'unknown'}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
