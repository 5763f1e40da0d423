import { createHash } from 'node:crypto'
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus, totalmem } from 'node:os'
import path from 'node:path'
import { InputError } from 'onnxgrad'
import { runtimeVersion } from 'onnxgrad/node'
import { parse, stringify } from 'yaml'
import { UsageError } from '../configuration/resolve.js'
import { version } from '../files/version.js'
import { cannotBeWritten, errorCode, writeFileWhole } from '../files/write-file.js'
import { LeaseFile, LeaseWatch } from '../store/lease-file.js'

/** One line of a run's event log. */
export interface RunEvent {
  readonly type: string
  readonly [key: string]: unknown
}

/** Seconds without a sign of life after which a run's owner on another machine counts as gone. */
const STALE_SECONDS = 30

/**
 * A run on disk: `config.yaml` (resolved), `environment.json`, `events.jsonl` (what happened when), the record with the
 * files that it names, and whatever is made of it. All but the first can be derived again: what took long lies in the
 * store. One process at a time owns a run.
 */
export class RunFolder {
  readonly path: string
  #owner: LeaseFile | undefined
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
    { orNumbered = false } = {},
  ): Promise<RunFolder> {
    const text = stringify(config)
    let run = new RunFolder(folder)
    for (let n = 2; !(await run.#begin(text)); n++) {
      if (!orNumbered)
        throw new UsageError(
          `${folder} holds a run already: resume it with --resume ${folder}, or choose another --out`,
        )
      run = new RunFolder(`${folder}-${n}`)
    }
    await run.#own()
    const facts = { ...environment(String(config.device)), configuration: digestOfText(text) }
    await run.write('environment.json', `${JSON.stringify(facts, null, 2)}\n`)
    return run
  }

  /**
   * Opens a run to read.
   * @throws UsageError if there is none; InputError if its configuration is damaged or was changed
   */
  static async open(folder: string): Promise<{ run: RunFolder; config: Record<string, unknown> }> {
    const run = new RunFolder(folder)
    const file = run.file('config.yaml')
    const text = await readFile(file, 'utf8').catch(error => {
      if (errorCode(error) === 'ENOENT')
        throw new UsageError(`${folder} holds no run (no config.yaml): check the path`)
      throw new InputError(`${file} cannot be read (${errorCode(error)}): check its permissions`)
    })
    const { configuration } = (await run.environment()) ?? {}
    if (configuration !== undefined && configuration !== digestOfText(text))
      throw new InputError(
        `${file} was changed after the run had begun: restore it, or begin a new run with the changed configuration`,
      )
    let config: unknown
    try {
      config = parse(text)
    } catch {
      throw new InputError(`${file} is damaged (it is not YAML): restore it, or begin a new run`)
    }
    if (typeof config !== 'object' || config === null || Array.isArray(config))
      throw new InputError(`${file} is damaged (it holds no keys): restore it, or begin a new run`)
    return { run, config: config as Record<string, unknown> }
  }

  /**
   * Opens a run to resume it: as `open`, and this process owns it until `release`.
   * @throws as `open`; UsageError if another process owns the run
   */
  static async resume(folder: string): Promise<{ run: RunFolder; config: Record<string, unknown> }> {
    const { run, config } = await RunFolder.open(folder)
    await run.#own()
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
    await mkdir(path.dirname(file), { recursive: true }).catch(error => {
      throw cannotBeWritten(file, error)
    })
    await writeFileWhole(file, data)
  }

  /** A file's bytes; null if it is not there. Throws InputError if it cannot be read. */
  async read(name: string): Promise<Buffer | null> {
    return readFile(this.file(name)).catch(error => {
      if (errorCode(error) === 'ENOENT') return null
      throw new InputError(`${this.file(name)} cannot be read (${errorCode(error)}): check its permissions`)
    })
  }

  /** Appends to the event log, which is for people: nothing depends on it. */
  async log(...events: RunEvent[]): Promise<void> {
    const lines = events.map(event => `${JSON.stringify(event)}\n`).join('')
    await appendFile(this.file('events.jsonl'), lines).catch(error => {
      throw cannotBeWritten(this.file('events.jsonl'), error)
    })
  }

  /** What the results may depend on besides the configuration; null if that file is missing or damaged. */
  async environment(): Promise<Record<string, string> | null> {
    const bytes = await this.read('environment.json')
    try {
      return bytes && (JSON.parse(bytes.toString('utf8')) as Record<string, string>)
    } catch {
      return null
    }
  }

  /** Writes the configuration; false if there is one already. */
  async #begin(text: string): Promise<boolean> {
    try {
      await mkdir(this.path, { recursive: true })
      await writeFile(this.file('config.yaml'), text, { flag: 'wx' })
      return true
    } catch (error) {
      if (errorCode(error) === 'EEXIST') return false
      throw cannotBeWritten(this.path, error)
    }
  }

  async #own(): Promise<void> {
    const file = this.file('owner.lease')
    this.#owner = await LeaseFile.create(file, STALE_SECONDS).catch(error => {
      throw cannotBeWritten(file, error)
    })
    if (this.#owner) return
    const watch = new LeaseWatch(file, STALE_SECONDS)
    const seen = await watch.look()
    this.#owner = seen ? await watch.takeOverIfStale() : await LeaseFile.create(file, STALE_SECONDS)
    if (this.#owner) return
    const { pid = 'unknown', host = 'unknown' } = seen?.holder ?? {}
    throw new UsageError(
      `${this.path} is being worked on by process ${pid} on ${host}: wait for it, or stop it first`,
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

function digestOfText(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
