import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { decodePredictions, decodeTrainingLog, encodePredictions, encodeTrainingLog } from '@ageb/lab'
import { FolderStore, RunFolder, resumeRun } from '@ageb/workbench'
import { sealedJson } from '@ageb/workbench/testing'
import { type Choices, changeJson, damaged, edges, fuzz } from 'onnxgrad/testing'
import { writePictures } from '../cli/write-report.js'
import { filesUnder, makeFinishedRun } from './tiny-runs.js'

/*
 * Reads mutants of a run's folder and prints a FuzzReport: node --expose-gc fuzz-run-folders.js MUTANTS. In most of them
 * the checksums fit: a folder may come from anybody.
 */

const root = mkdtempSync(path.join(tmpdir(), 'ageb-fuzz-'))
process.once('exit', () => rmSync(root, { recursive: true, force: true }))
const here = (...names: string[]) => path.join(root, ...names)
await makeFinishedRun(here)
const run = here('finished', 'run')
await writePictures((await RunFolder.open(run)).run, 'backdoor')
const store = new FolderStore(here('store'))
const sound = new Map(
  filesUnder(run)
    .filter(name => !name.includes('model/'))
    .map(name => [name, readFileSync(path.join(run, name))]),
)
const bytesOf = (name: string) => Uint8Array.from(sound.get(name)!)
const json = (name: string): Record<string, unknown> => JSON.parse(sound.get(name)!.toString('utf8'))
const predictions = await decodePredictions(bytesOf('predictions.parquet'), 'there')
const log = await decodeTrainingLog(bytesOf('training-clean.parquet'), 'there')

/** A table with some values that it should not have, or rows left out, and the record with its checksum. */
async function otherTable({ int, of }: Choices): Promise<Map<string, string | Uint8Array>> {
  const change = <T extends object>(table: T): T => {
    const columns = Object.entries(table) as [string, Int32Array | Float32Array][]
    const [chosen] = of(columns)
    const rows = int(4) === 0 ? int(columns[0]![1].length + 1) : columns[0]![1].length
    const changed = columns.map(([name, values]) => {
      const copy = values.slice(0, rows)
      if (name === chosen && rows > 0) copy[int(rows)] = of([...edges, Number.NaN, Number.POSITIVE_INFINITY])
      return [name, copy]
    })
    return Object.fromEntries(changed) as T
  }
  const isLog = int(3) === 0
  const name = isLog ? 'training-clean.parquet' : 'predictions.parquet'
  const bytes = isLog ? encodeTrainingLog(change(log)) : encodePredictions(change(predictions), ['a', 'b'])
  const before = createHash('sha256').update(sound.get(name)!).digest('hex')
  const after = createHash('sha256').update(bytes).digest('hex')
  const { sha256: _, ...record } = json('record.json')
  const text = sealedJson(JSON.parse(JSON.stringify(record).replaceAll(before, after)))
  return new Map<string, string | Uint8Array>([
    [name, bytes],
    ['record.json', text],
  ])
}

async function mutant(choices: Choices): Promise<ReadonlyMap<string, string | Uint8Array>> {
  const { int, of } = choices
  if (int(3) === 0) return otherTable(choices)
  const name = of(
    int(3) === 0 ? [...sound.keys()] : ['record.json', 'record.json', 'timing.json', 'environment.json'],
  )
  if (!name.endsWith('.json') || name === 'metrics.json' || int(6) === 0)
    return new Map([[name, damaged(bytesOf(name), choices)]])
  const { sha256: _, ...plain } = json(name)
  const changed = changeJson(plain, choices)
  return new Map([
    [name, sealedJson(typeof changed === 'object' && changed !== null ? changed : { changed })],
  ])
}

let dirty: string[] = []
let read = 0
const report = await fuzz({
  mutants: Number(process.argv[2]),
  mutant,
  naming: run,
  async attempt(made) {
    for (const name of dirty) writeFileSync(path.join(run, name), sound.get(name)!)
    const files = await made
    dirty = [...files.keys(), 'metrics.json', 'report.html']
    for (const [name, data] of files) writeFileSync(path.join(run, name), data)
    const { figures } = await resumeRun(run, { store })
    for (const [name, value] of Object.entries(figures))
      if (typeof value === 'number' && Number.isNaN(value)) throw new Error(`${name} is no number`)
    // To draw takes long, and what can be read is drawn alike.
    if (read++ % 8 > 0) return
    await writePictures((await RunFolder.open(run)).run, 'backdoor')
    const html = readFileSync(path.join(run, 'report.html'), 'utf8')
    if (/>\s*(undefined|NaN)/.test(html)) throw new Error('the report shows a value that is none')
    if (html.length > 10 * sound.get('report.html')!.length) throw new Error('the report is very large')
  },
})
console.log(JSON.stringify(report))
