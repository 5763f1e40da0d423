import { rmSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { FolderStore, runStage, type Stage } from '@ageb/workbench'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { json, scratch } from '../../cli/test-kit.js'

const here = scratch('store')
const root = here.file('store')
const store = (...words: string[]) => here.ageb(['store', ...words], { env: { AGEB_STORE: root } })
afterAll(() => here.remove())

/** Writes as many bytes as it is told. */
const fill: Stage<number, null> = {
  name: 'fill',
  version: 1,
  key: bytes => ({ bytes }),
  run: async (bytes, { folder }) => writeFileSync(path.join(folder, 'zeros.bin'), new Uint8Array(bytes)),
  open: () => null,
}

const folders: Record<number, string> = {}
beforeAll(async () => {
  for (const bytes of [1000, 2000, 3000]) {
    const { key } = await runStage(fill, bytes, { store: new FolderStore(root) })
    folders[bytes] = path.join(root, 'fill', key)
    const then = Date.now() / 1000 - bytes * 3600
    utimesSync(path.join(folders[bytes], 'entry.json'), then, then)
  }
})

const parts = (data: Record<string, unknown>) =>
  (data.entries as { parts: { bytes: number } }[]).map(entry => entry.parts.bytes)

describe('ageb store', () => {
  it('lists, for people and for programs', async () => {
    const people = await store('list')
    expect(people).toMatchObject({ code: 0, stderr: '' })
    expect(people.stdout.split('\n')[0]).toMatch(
      /^fill [0-9a-f]{12} {2}1000 bytes, took 0 s, used 41 days ago/,
    )
    expect(people.stdout).toContain('{"bytes":3000}')
    const data = json(await store('list', '--json'))
    expect(data).toMatchObject({ store: root, bytes: 6000, unfinished: [] })
    expect(parts(data)).toEqual([1000, 2000, 3000])
    expect(json(await store('list', '--json', '--stage', 'other'))).toMatchObject({ bytes: 0, entries: [] })
  })

  it('prunes what it is told, and nothing with --dry-run', async () => {
    const dry = json(await store('prune', '--older-than', '100', '--dry-run', '--json'))
    expect(dry).toMatchObject({ dryRun: true, freed: 3000, kept: 3000 })
    expect(parts(json(await store('list', '--json')))).toHaveLength(3)
    const wet = json(await store('prune', '--older-than', '100', '--json'))
    expect(wet).toMatchObject({ dryRun: false, freed: 3000, kept: 3000 })
    expect(parts(json(await store('prune', '--max-size', '1kB', '--json')))).toEqual([2000])
    expect(parts(json(await store('list', '--json')))).toEqual([1000])
  })

  it('verifies', async () => {
    expect(json(await store('verify', '--json'))).toMatchObject({ entries: 1, damaged: [] })
    rmSync(path.join(folders[1000]!, 'zeros.bin'))
    const found = await store('verify')
    expect(found.code).toBe(0)
    expect(found.stdout).toMatch(/^fill [0-9a-f]{12} {2}removed +it lacks zeros\.bin/)
    expect(json(await store('list', '--json'))).toMatchObject({ entries: [] })
  })

  it.each([
    [['prune', '--max-size', '20'], /a number with a unit/],
    [['prune', '--max-size', '20 apples'], /a number with a unit/],
    [['prune', '--older-than', 'long'], /whole number/],
    [['shrink'], /unknown command/],
  ])('refuses %j', async (words, told) => {
    const ended = await store(...words)
    expect(ended).toMatchObject({ code: 2, stdout: '' })
    expect(ended.stderr).toMatch(told)
  })
})
