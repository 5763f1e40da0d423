import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { digestOf } from '@ageb/lab'
import { packageOf, regularFile } from './find-module.js'

/** A relative path in quotes: an import, or data beside the code (`new URL('./pattern.bin', import.meta.url)`). */
const RELATIVE = /(['"`])(\.{1,2}\/[^'"`\n?#]+)[^'"`\n]*\1/g
/** A package that is imported. */
const PACKAGE = /\b(?:from|import)\s*\(?\s*(['"])([@\w][^'"\n]*)\1/g

/**
 * The digest of what a module is made of, as far as its text shows it: its file, the files that it names by relative
 * paths, what those name in turn, and name and version of the packages that they import. A file counts if its name is
 * in quotes anywhere: too much rather than too little. Names that are put together at run time are not seen.
 *
 * The folder that the files lie in does not count.
 */
export async function moduleDigest(entry: string): Promise<string> {
  const files = new Map<string, string>()
  const packages = new Map<string, string>()
  const found = [entry]
  for (const file of found) {
    if (files.has(file)) continue
    files.set(file, await fileDigest(file))
    if (!/\.[cm]?[jt]s$/.test(file)) continue
    const text = await readFile(file, 'utf8')
    const folder = path.dirname(file)
    for (const [, , name] of text.matchAll(RELATIVE)) {
      const named = path.resolve(folder, name!)
      const there = (await regularFile(named)) ?? (await regularFile(`${named}.js`))
      if (there) found.push(there)
    }
    for (const [, , name] of text.matchAll(PACKAGE)) {
      const installed = await packageOf(name!, folder)
      if (installed) packages.set(installed.name, installed.version)
    }
  }
  const nameOf = (file: string) => path.relative(path.dirname(entry), file).replaceAll(path.sep, '/')
  return digestOf(
    'plugin',
    sorted([...files].map(([file, digest]) => [nameOf(file), digest])),
    sorted([...packages]),
  )
}

async function fileDigest(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file)) hash.update(chunk)
  return hash.digest('hex')
}

const sorted = (pairs: [string, string][]) => pairs.sort(([a], [b]) => (a < b ? -1 : 1))
