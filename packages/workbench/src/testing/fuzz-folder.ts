import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A folder for files that are to be read by their path; it goes with the process, and so does the cache in it. */
export function fuzzFolder(): (...names: string[]) => string {
  const folder = mkdtempSync(join(tmpdir(), 'ageb-fuzz-'))
  process.env.AGEB_CACHE = join(folder, 'cache')
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  return (...names) => join(folder, ...names)
}
