import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { removeUnfinished, temporaryName, writeFileWhole } from './write-file.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ageb-write-file-'))
})
afterAll(() => rm(folder, { recursive: true }))

it('what a killed process left of its files is removed, and nothing else', async () => {
  await mkdir(path.join(folder, 'gallery'))
  const whole = ['a.json', path.join('gallery', '0-1.png'), 'my.part', 'b.12-thesis.part']
  for (const name of whole) await writeFileWhole(path.join(folder, name), name)
  await writeFile(temporaryName(path.join(folder, 'a.json')), 'half')
  await writeFile(temporaryName(path.join(folder, 'gallery', '0-2.png')), 'half')
  await removeUnfinished(folder)
  expect((await readdir(folder, { recursive: true })).sort()).toEqual([...whole, 'gallery'].sort())
})
