import { existsSync, mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FolderStore } from './folder-store.js'
import { listEntries, listUnfinished } from './listing.js'
import { pruneStore, verifyStore } from './maintain.js'
import { newHolder } from './process-identity.js'
import { runStage } from './run-stage.js'
import { type Place, place, sum, until } from './test-stages.js'

let here: Place
beforeEach(() => {
  here = place('maintain')
})
afterEach(() => here.remove())

/** Makes an entry that was used last so many days ago. Its files hold the sum and the number. */
async function make(to: number, daysAgo = 0): Promise<string> {
  const { key } = await runStage(sum, { to, log: here.log }, { store: new FolderStore(here.root) })
  const folder = join(here.root, 'sum', key)
  const then = Date.now() / 1000 - daysAgo * 24 * 3600
  utimesSync(join(folder, 'entry.json'), then, then)
  return folder
}

const sums = async () => (await listEntries(here.root)).map(({ record }) => record?.parts.to)

describe('listEntries', () => {
  it('tells what there is, most recently used first', async () => {
    await make(3, 5)
    await make(4, 9)
    await make(5, 1)
    const entries = await listEntries(here.root)
    expect(entries.map(({ record }) => record?.parts)).toEqual([{ to: 5 }, { to: 3 }, { to: 4 }])
    expect(entries[0]).toMatchObject({ stage: 'sum', bytes: 3, damage: undefined })
    expect(await listEntries(here.root, { stage: 'other' })).toEqual([])
    expect(await listEntries(here.root, { stage: '../store' })).toEqual([])
    expect(await listEntries(join(here.root, 'absent'))).toEqual([])
  })

  it('puts what is used again to the front', async () => {
    await make(3, 5)
    await make(4, 2)
    await runStage(sum, { to: 3, log: here.log }, { store: new FolderStore(here.root) })
    expect(await sums()).toEqual([3, 4])
  })

  it('passes over what is not of the store, and tells of what is damaged', async () => {
    const folder = await make(3)
    writeFileSync(join(here.root, 'notes.txt'), 'mine')
    mkdirSync(join(here.root, 'sum', 'UPPER'))
    rmSync(join(folder, 'sum.txt'))
    expect(await listEntries(here.root)).toEqual([
      expect.objectContaining({ damage: expect.stringContaining('lacks sum.txt') }),
    ])
  })
})

describe('verifyStore', () => {
  it('removes what is damaged, and only that', async () => {
    const [changed, bare, whole] = [await make(4), await make(5), await make(6)]
    writeFileSync(join(changed, 'sum.txt'), '11')
    rmSync(join(bare, 'entry.json'))
    const { entries, damaged } = await verifyStore(here.root)
    expect(entries).toBe(3)
    expect(damaged.map(({ damage }) => damage).sort()).toEqual([
      'has no entry.json',
      'has other bytes in sum.txt than were written',
    ])
    expect(existsSync(whole)).toBe(true)
    expect(readdirSync(join(here.root, 'sum'))).toHaveLength(1)
    expect((await verifyStore(here.root)).damaged).toEqual([])
  })

  it('leaves alone what a process works on', async () => {
    const folder = await make(4)
    rmSync(join(folder, 'entry.json'))
    writeFileSync(`${folder}.lease`, JSON.stringify({ ...newHolder(), space: 'another machine' }))
    expect((await verifyStore(here.root)).damaged).toEqual([])
    expect(existsSync(folder)).toBe(true)
  })
})

describe('pruneStore', () => {
  it('removes nothing that it is not told to', async () => {
    await make(3, 1000)
    expect(await pruneStore(here.root)).toMatchObject({ entries: [], leftovers: { count: 0 }, kept: 2 })
    expect(await sums()).toEqual([3])
    expect(await pruneStore(join(here.root, 'absent'))).toMatchObject({ entries: [], kept: 0 })
  })

  it('removes what was not used for long', async () => {
    await make(3, 40)
    await make(4, 20)
    expect((await pruneStore(here.root, { olderThanDays: 30, dryRun: true })).entries).toHaveLength(1)
    expect(await sums()).toEqual([4, 3])
    expect(await pruneStore(here.root, { olderThanDays: 30 })).toMatchObject({ kept: 3 })
    expect(await sums()).toEqual([4])
    expect(readdirSync(join(here.root, 'sum'))).toHaveLength(1)
  })

  it('removes the least recently used first until little enough is left', async () => {
    await make(4, 1)
    await make(5, 3)
    await make(6, 2)
    expect(await pruneStore(here.root, { maxBytes: 6 })).toMatchObject({ kept: 6 })
    expect(await sums()).toEqual([4, 6])
    await pruneStore(here.root, { maxBytes: 5.5, stage: 'other' })
    expect(await sums()).toEqual([4, 6])
    await pruneStore(here.root, { maxBytes: 0 })
    expect(await sums()).toEqual([])
  })

  it.each([
    ['of this machine', {}],
    ['of another machine', { space: 'another machine' }],
  ])('never removes what a process %s works on', async (_, change) => {
    const folder = await make(4, 40)
    const child = here.start({ to: 50, pause: 100 })
    await until(() => here.steps().some(({ pid }) => pid === child.pid))
    const [other] = await listUnfinished(here.root)
    expect(other?.holder?.pid).toBe(child.pid)
    writeFileSync(`${folder}.lease`, JSON.stringify({ ...newHolder(), ...change }))
    const everything = { olderThanDays: 0, maxBytes: 0, unfinished: true }
    for (const dryRun of [true, false]) {
      const { entries, unfinished, leftovers } = await pruneStore(here.root, { ...everything, dryRun })
      expect({ entries, unfinished, leftovers }).toEqual({
        entries: [],
        unfinished: [],
        leftovers: { count: 0, bytes: 0 },
      })
    }
    const left = readdirSync(join(here.root, 'sum')).map(name =>
      name.replace(/^[^.]*/, '').replace(/\..*\./, '.'),
    )
    expect(left.sort()).toEqual(['', '.lease', '.lease', '.part', '.scratch'])
  })

  it('removes what a killed process left, but not what its work resumes from', async () => {
    const child = here.start({ to: 50, pause: 20 })
    await until(() => here.steps().length >= 2)
    child.process.kill('SIGKILL')
    await child.ended
    const folder = join(here.root, 'sum')
    mkdirSync(join(folder, `${'a'.repeat(64)}.some-token.trash`))
    expect((await pruneStore(here.root, { dryRun: true })).leftovers.count).toBe(3)
    expect((await pruneStore(here.root)).leftovers.count).toBe(3)
    expect(readdirSync(folder)).toEqual([expect.stringMatching(/\.scratch$/)])
    expect((await listUnfinished(here.root)).map(({ holder }) => holder)).toEqual([undefined])
    expect((await pruneStore(here.root, { unfinished: true, olderThanDays: 1 })).unfinished).toEqual([])
    expect((await pruneStore(here.root, { unfinished: true })).unfinished).toHaveLength(1)
    expect(readdirSync(folder)).toEqual([])
  })
})
