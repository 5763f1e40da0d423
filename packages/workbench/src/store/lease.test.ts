import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FolderStore } from './folder-store.js'
import { LeaseFile, LeaseWatch, lookAtLease } from './lease-file.js'
import { newHolder, vitality } from './process-identity.js'
import { runStage } from './run-stage.js'
import { entryId } from './stage.js'
import { type Child, listener, type Place, place, sum, until } from './test-stages.js'

let here: Place
beforeEach(() => {
  here = place('lease')
})
afterEach(() => here.remove())

const keyOf = (to: number) => entryId('sum', 1, { to }).key
const leaseOf = (to: number) => join(here.root, 'sum', `${keyOf(to)}.lease`)

/** Writes the lease of a process that is not there. */
function plant(to: number, change: object = {}): void {
  mkdirSync(join(here.root, 'sum'), { recursive: true })
  writeFileSync(leaseOf(to), JSON.stringify({ ...newHolder(), ...change }))
}

async function killed(child: Child, steps: number): Promise<void> {
  await until(() => here.steps().length >= steps)
  child.process.kill('SIGKILL')
  await child.ended
}

describe('processes', () => {
  it('that start at once do the work once', async () => {
    const children = [1, 2].map(() => here.start({ to: 4, pause: 30 }))
    const results = await Promise.all(children.map(({ result }) => result))
    expect(results.map(({ output }) => output)).toEqual([10, 10])
    expect(here.steps().map(({ step }) => step)).toEqual([1, 2, 3, 4])
    const maker = results.find(({ reused }) => !reused)!
    const waiter = results.find(({ reused }) => reused)!
    expect(waiter.seconds).toBe(maker.seconds)
    // Unless it started so late that it never waited.
    const told = `sum ${keyOf(4).slice(0, 12)}: waiting for process ${maker.pid} on ${hostname()}`
    for (const line of waiter.lines) expect(line).toContain(told)
    expect(readdirSync(join(here.root, 'sum'))).toEqual([keyOf(4)])
  })

  it('resume at once what a killed one left', async () => {
    const first = here.start({ to: 6, pause: 40 })
    await killed(first, 3)
    const left = readdirSync(join(here.root, 'sum')).map(name => name.split('.').at(-1))
    expect(left.sort()).toEqual(['lease', 'part', 'scratch'])
    const done = here.steps().length
    // It does not wait until the lease has been silent for so long.
    const { output, reused } = await here.start({ to: 6 }, { staleSeconds: 1e6 }).result
    expect({ output, reused }).toEqual({ output: 21, reused: false })
    const steps = here.steps()
    expect(steps.slice(0, done).every(({ pid }) => pid === first.pid)).toBe(true)
    // The killed one may have saved a step without writing it into the log.
    expect(new Set(steps.map(({ step }) => step)).size).toBe(steps.length)
    expect(steps.length).toBeGreaterThanOrEqual(5)
    expect(readdirSync(join(here.root, 'sum'))).toEqual([keyOf(6)])
  })

  it('that wait for one that is killed do the work once', async () => {
    const first = here.start({ to: 6, pause: 40 })
    await until(() => here.steps().length >= 1)
    const waiters = [1, 2, 3].map(() => here.start({ to: 6 }))
    await sleep(300)
    first.process.kill('SIGKILL')
    const results = await Promise.all(waiters.map(({ result }) => result))
    expect(results.map(({ output }) => output)).toEqual([21, 21, 21])
    expect(results.filter(({ reused }) => !reused).length).toBeLessThanOrEqual(1)
    const steps = here.steps().map(({ step }) => step)
    expect(new Set(steps).size).toBe(steps.length)
    expect(readdirSync(join(here.root, 'sum'))).toEqual([keyOf(6)])
  })
})

describe('the lease', () => {
  it('of a dead process is taken over by just one of many', async () => {
    const dead = here.start({ to: 2 })
    await dead.ended
    for (let round = 0; round < 20; round++) {
      const path = join(here.folder, `round-${round}`)
      writeFileSync(path, JSON.stringify({ ...newHolder(), pid: dead.pid, started: '1' }))
      const taken = await Promise.all(
        Array.from({ length: 8 }, async () => {
          const watch = new LeaseWatch(path, 30)
          await watch.look()
          return watch.takeOverIfStale()
        }),
      )
      const winners = taken.filter(lease => lease !== undefined)
      expect(winners).toHaveLength(1)
      expect((await lookAtLease(path))?.holder?.token).toBe(winners[0]!.holder.token)
      await winners[0]!.release()
    }
    expect(readdirSync(here.folder).filter(name => name.startsWith('round'))).toEqual([])
  })

  it('is known by the start of its process, not by the number alone', () => {
    const own = newHolder()
    expect(vitality({ ...own, pid: process.ppid })).not.toBe('alive')
    expect(vitality({ ...own, space: 'another machine' })).toBe('unknown')
    if (own.started === '') return console.log('skipped in part: the system tells no start of a process')
    expect(vitality({ ...own, started: '1' })).toBe('dead')
  })

  it.each([
    ['of another machine', { space: 'another machine', host: 'elsewhere' }],
    ['of which nothing can be read', undefined],
  ])('%s is taken over when it has not changed for long', async (_, change) => {
    plant(3, change)
    if (!change) writeFileSync(leaseOf(3), '')
    // The clock of the other machine does not count.
    const monitor = listener()
    const store = new FolderStore(here.root, { staleSeconds: 0.6 })
    const { output } = await runStage(sum, { to: 3, log: here.log }, { store, monitor })
    expect(output).toBe(6)
    expect(monitor.lines).toEqual([
      expect.stringContaining(change ? `on ${change.host}` : 'an unknown process'),
    ])
    expect(readdirSync(join(here.root, 'sum'))).toEqual([keyOf(3)])
  })

  it('of another machine is left alone while it changes', async () => {
    plant(3, { space: 'another machine' })
    const stop = new AbortController()
    const store = new FolderStore(here.root, { staleSeconds: 0.4 })
    const waiting = runStage(sum, { to: 3, log: here.log }, { store, signal: stop.signal })
    for (let beat = 0; beat < 12; beat++) {
      await sleep(100)
      writeFileSync(leaseOf(3), readFileSync(leaseOf(3)))
    }
    expect(here.steps()).toEqual([])
    stop.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
  })

  it('is touched while the work goes on', async () => {
    const store = new FolderStore(here.root, { staleSeconds: 0.3 })
    const work = runStage(sum, { to: 8, log: here.log, pause: 50 }, { store })
    await until(() => here.steps().length >= 1)
    const before = statSync(leaseOf(8)).mtimeMs
    // A second store that gives up after 0.3 s of silence waits, and is given the entry.
    const other = runStage(
      sum,
      { to: 8, log: here.log },
      { store: new FolderStore(here.root, { staleSeconds: 0.3 }) },
    )
    await until(() => here.steps().length >= 6)
    expect(statSync(leaseOf(8)).mtimeMs).toBeGreaterThan(before)
    expect(await work).toMatchObject({ reused: false })
    expect(await other).toMatchObject({ reused: true, output: 36 })
    expect(here.steps()).toHaveLength(8)
  })

  it('that was lost stops the work and waits for the result of the other', async () => {
    const monitor = listener()
    const store = new FolderStore(here.root, { staleSeconds: 0.3 })
    const work = runStage(sum, { to: 30, log: here.log, pause: 30 }, { store, monitor })
    await until(() => here.steps().length >= 2)
    // As after a long standstill: another machine has taken the lease over.
    plant(30, { space: 'another machine', host: 'elsewhere' })
    await until(() => monitor.lines.length >= 2)
    expect(monitor.lines[0]).toContain('another process took the work over')
    expect(monitor.lines[1]).toContain('on elsewhere')
    // The other is silent in turn.
    expect((await work).output).toBe(465)
    const steps = here.steps().map(({ step }) => step)
    expect(new Set(steps).size).toBe(steps.length)
  })

  it('is not given back twice: a lease that another holds stays', async () => {
    const path = join(here.folder, 'some')
    const mine = (await LeaseFile.create(path, 30))!
    expect(await LeaseFile.create(path, 30)).toBeUndefined()
    const text = JSON.stringify(newHolder())
    writeFileSync(path, text)
    expect(await mine.check()).toBe(false)
    expect(mine.lost.aborted).toBe(true)
    await mine.release()
    expect(readFileSync(path, 'utf8')).toBe(text)
  })
})
