import { appendFile, mkdir, readFile, rm } from 'node:fs/promises'
import { availableParallelism, cpus, totalmem } from 'node:os'
import path from 'node:path'
import { parseSafetensors, safetensorsParts, type TrainingState, type WritableTensor } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import { runtimeVersion } from 'onnxgrad/node'
import { parse, stringify } from 'yaml'
import { UsageError } from '../configuration/resolve.js'
import { version } from '../files/version.js'
import { writeFileWhole } from '../files/write-file.js'

/** One line of a run's event log. */
export interface RunEvent {
  readonly type: string
  /** The training that a step belongs to. */
  readonly phase?: string
  readonly step?: number
  readonly [key: string]: unknown
}

/**
 * A run on disk: `config.yaml` (resolved), `environment.json`, `events.jsonl`, `state/` (what an interrupted run
 * goes on from), and whatever the run makes. Everything in it can be derived again from config.yaml.
 */
export class RunFolder {
  readonly path: string
  private constructor(folder: string) {
    this.path = folder
  }

  /** Makes a new run. Throws UsageError if the folder holds a run already. */
  static async create(folder: string, config: Readonly<Record<string, unknown>>): Promise<RunFolder> {
    const taken = await readFile(path.join(folder, 'config.yaml')).then(
      () => true,
      () => false,
    )
    if (taken)
      throw new UsageError(
        `${folder} holds a run already: go on with --resume ${folder}, or choose another --out`,
      )
    await mkdir(path.join(folder, 'state'), { recursive: true })
    const run = new RunFolder(folder)
    await run.write('config.yaml', stringify(config))
    await run.write('environment.json', `${JSON.stringify(environment(String(config.device)), null, 2)}\n`)
    return run
  }

  /** Opens a run to go on with. Throws UsageError if there is none. */
  static async open(folder: string): Promise<{ run: RunFolder; config: Record<string, unknown> }> {
    const text = await readFile(path.join(folder, 'config.yaml'), 'utf8').catch(() => {
      throw new UsageError(`${folder} holds no run (no config.yaml): check the path`)
    })
    return { run: new RunFolder(folder), config: parse(text) as Record<string, unknown> }
  }

  file(...names: string[]): string {
    return path.join(this.path, ...names)
  }

  async write(name: string, data: string | Iterable<Uint8Array>): Promise<void> {
    await mkdir(path.dirname(this.file(name)), { recursive: true })
    await writeFileWhole(this.file(name), data)
  }

  /** Appends to the event log. */
  async log(...events: RunEvent[]): Promise<void> {
    await appendFile(
      this.file('events.jsonl'),
      events.map(event => `${JSON.stringify(event)}\n`).join(''),
    ).catch(error => {
      throw new InputError(
        `${this.file('events.jsonl')} cannot be written (${error.code}): free some space, then go on with --resume`,
      )
    })
  }

  /** All events, a half-written last line left out. */
  async events(): Promise<RunEvent[]> {
    const text = await readFile(this.file('events.jsonl'), 'utf8').catch(() => '')
    return text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as RunEvent)
  }

  /** Drops the events of a training beyond a step: they will happen again. */
  async rewind(phase: string, step: number): Promise<void> {
    const kept = (await this.events()).filter(event => event.phase !== phase || (event.step ?? 0) <= step)
    await this.write('events.jsonl', kept.map(event => `${JSON.stringify(event)}\n`).join(''))
  }

  /** Saves what a training needs to go on. */
  async saveState(phase: string, state: TrainingState): Promise<void> {
    const tensors = Object.entries(state.tensors).map(([name, { shape, data }]): [string, WritableTensor] => [
      name,
      { dtype: 'F32', shape, data: data as Float32Array },
    ])
    await this.write(`state/${phase}.safetensors`, safetensorsParts(tensors, { step: String(state.step) }))
  }

  /** The state saved last, or null. */
  async loadState(phase: string): Promise<TrainingState | null> {
    const file = this.file('state', `${phase}.safetensors`)
    const bytes = await readFile(file).catch(() => null)
    if (!bytes) return null
    const { tensors, metadata } = parseSafetensors(bytes, file, { finite: true })
    return {
      step: Number(metadata.step),
      tensors: Object.fromEntries(
        [...tensors].map(([name, { shape, data }]) => [
          name,
          { dtype: 'float32' as const, shape, data: Float32Array.from(data as Float32Array) },
        ]),
      ),
    }
  }

  /**
   * Marks the run as finished. `metrics.json` holds what the configuration decides, to the last byte;
   * `timing.json` what it does not.
   */
  async finish(metrics: object, timing: object): Promise<void> {
    await this.write('timing.json', `${JSON.stringify(timing, null, 2)}\n`)
    await this.write('metrics.json', `${JSON.stringify(metrics, null, 2)}\n`)
  }

  /** What `finish` was given, joined, with the folder as `run`; null if the run is not finished. */
  async result<T>(): Promise<(T & { run: string }) | null> {
    const read = (name: string) => readFile(this.file(name), 'utf8').catch(() => null)
    const [metrics, timing] = [await read('metrics.json'), await read('timing.json')]
    if (metrics === null || timing === null) return null
    return { run: this.path, ...(JSON.parse(metrics) as T), ...(JSON.parse(timing) as T) }
  }

  /** Deletes the saved states: the run is complete. */
  async clearStates(): Promise<void> {
    await rm(this.file('state'), { recursive: true, force: true })
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
