import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openSealedJson, sealedJson } from '../files/sealed-json.js'
import { writeFileWhole } from '../files/write-file.js'
import { FolderStore } from './folder-store.js'
import { runStage } from './run-stage.js'
import { entryId, type Stage } from './stage.js'
import { listener, type Place, place, sum } from './test-stages.js'

let here: Place
beforeEach(() => {
  here = place('stage')
})
afterEach(() => here.remove())

/** Runs the sum with a store of its own, as another process would. */
async function run(to: number, store = new FolderStore(here.root)) {
  const monitor = listener()
  const result = await runStage(sum, { to, log: here.log }, { store, monitor })
  return { ...result, lines: monitor.lines, folder: join(here.root, 'sum', result.key) }
}

/** Everything in the store's folder of the stage. */
const names = () => readdirSync(join(here.root, 'sum')).sort()

describe('runStage', () => {
  it('does the work once and then reuses it, with seconds and machine of whoever did it', async () => {
    const first = await run(4)
    expect(first).toMatchObject({ output: 10, reused: false, lines: [] })
    expect(first.machine).toMatch(/^\d+ cores, ./)
    const again = await run(4)
    expect(again).toEqual({ ...first, reused: true })
    expect(here.steps()).toHaveLength(4)
    expect(names()).toEqual([first.key])
    expect(await run(5)).toMatchObject({ output: 15, reused: false })
  })

  it('writes an entry that tells what it is', async () => {
    const { folder, key } = await run(3)
    const entry = JSON.parse(readFileSync(join(folder, 'entry.json'), 'utf8'))
    expect(entry).toMatchObject({ stage: 'sum', version: 1, key, parts: { to: 3 } })
    expect(entry.files.map(({ name, bytes }: { name: string; bytes: number }) => [name, bytes])).toEqual([
      ['parts/last.txt', 1],
      ['sum.txt', 1],
    ])
    // echo -n 6 | sha256sum
    expect(entry.files[1].sha256).toBe('e7f6c011776e8db7cd330b54174fd76f7d0216b612387a5ffcfb81e6f0919683')
  })

  it('shares one computation among concurrent requests of a process', async () => {
    const store = new FolderStore(here.root)
    const results = await Promise.all([run(4, store), run(4, store), run(4, store)])
    expect(results.map(({ output }) => output)).toEqual([10, 10, 10])
    expect(results.map(({ reused }) => reused)).toEqual([false, true, true])
    expect(here.steps()).toHaveLength(4)
  })

  it('also with stores of their own', async () => {
    const results = await Promise.all([run(4), run(4)])
    expect(results.map(({ output }) => output)).toEqual([10, 10])
    expect(here.steps()).toHaveLength(4)
  })

  it('goes on for others when the one that began is stopped', async () => {
    const store = new FolderStore(here.root)
    const stop = new AbortController()
    const input = { to: 6, log: here.log, pause: 5 }
    const stopped = runStage(sum, input, { store, signal: stop.signal })
    const other = runStage(sum, input, { store })
    const impatient = new AbortController()
    const gone = runStage(sum, input, { store, signal: impatient.signal })
    impatient.abort(new Error('no patience'))
    await expect(gone).rejects.toThrow('no patience')
    stop.abort(new Error('stopped by a person'))
    await expect(stopped).rejects.toThrow('stopped by a person')
    expect((await other).output).toBe(21)
  })

  it('resumes stopped work and counts the seconds of both parts', async () => {
    const store = new FolderStore(here.root)
    const stop = new AbortController()
    const input = { to: 5, log: here.log, pause: 20 }
    const stopped = runStage(sum, input, { store, signal: stop.signal })
    while (here.steps().length < 3) await new Promise(resolve => setTimeout(resolve, 5))
    stop.abort(new Error('stopped'))
    await expect(stopped).rejects.toThrow('stopped')
    const { key } = entryId('sum', 1, { to: 5 })
    expect(names()).toEqual([`${key}.scratch`])
    const effort = JSON.parse(readFileSync(join(here.root, 'sum', `${key}.scratch`, 'effort.json'), 'utf8'))
    const { seconds, output } = await run(5)
    expect(output).toBe(15)
    expect(here.steps().map(({ step }) => step)).toEqual([1, 2, 3, 4, 5])
    expect(seconds).toBeGreaterThan(effort.seconds)
    expect(names()).toEqual([key])
  })

  it('keeps nothing of failed work that left nothing in its scratch, and gives the error', async () => {
    const failing: Stage<null, null> = {
      ...sum,
      key: () => ({}),
      run: async (_, { folder }) => {
        writeFileSync(join(folder, 'half.txt'), 'half')
        throw new Error('the stage failed')
      },
      open: () => null,
    }
    await expect(runStage(failing, null, { store: new FolderStore(here.root) })).rejects.toThrow(
      'the stage failed',
    )
    expect(names()).toEqual([])
  })

  it('refuses names and keys that are no names of folders, and numbers that JSON cannot hold', async () => {
    expect(() => entryId('../sum', 1, {})).toThrow('cannot be named')
    expect(() => entryId('sum', 1, { rate: [Number.NaN] })).toThrow('finite')
    const odd = (write: (folder: string) => void): Stage<null, null> => ({
      name: 'odd',
      version: 1,
      key: () => ({}),
      run: async (_, { folder }) => write(folder),
      open: () => null,
    })
    const attempt = (stage: Stage<null, null>) => runStage(stage, null, { store: new FolderStore(here.root) })
    await expect(attempt(odd(folder => symlinkSync('/etc', join(folder, 'link'))))).rejects.toThrow('neither')
    await expect(attempt(odd(folder => writeFileSync(join(folder, 'entry.json'), '')))).rejects.toThrow(
      'names',
    )
    expect(readdirSync(join(here.root, 'odd'))).toEqual([])
  })

  it('says in one sentence that the store is no folder', async () => {
    writeFileSync(here.root, 'a file')
    await expect(run(2)).rejects.toThrow(/^\S+ cannot be written: /)
  })
})

describe('a damaged entry', () => {
  /** Also makes the checksum anew. */
  const edit = (folder: string, change: (entry: Record<string, unknown>) => object) => {
    const path = join(folder, 'entry.json')
    writeFileSync(path, sealedJson(change(openSealedJson(readFileSync(path, 'utf8')))))
  }
  const damages: [string, (folder: string) => void | Promise<void>, RegExp][] = [
    ['a missing file', folder => rmSync(join(folder, 'sum.txt')), /lacks sum\.txt/],
    [
      'a file cut short',
      folder => truncateSync(join(folder, 'sum.txt'), 1),
      /1 bytes in sum\.txt instead of 2/,
    ],
    ['a longer file', folder => appendFileSync(join(folder, 'sum.txt'), '0'), /3 bytes/],
    ['a changed file', folder => writeFileSync(join(folder, 'sum.txt'), '11'), /other bytes in sum\.txt/],
    [
      'a folder instead of a file',
      folder => {
        rmSync(join(folder, 'sum.txt'))
        mkdirSync(join(folder, 'sum.txt'))
      },
      /no file sum\.txt/,
    ],
    [
      'a link instead of a file',
      folder => {
        rmSync(join(folder, 'sum.txt'))
        symlinkSync('parts/last.txt', join(folder, 'sum.txt'))
      },
      /no file sum\.txt/,
    ],
    ['no entry.json', folder => rmSync(join(folder, 'entry.json')), /no entry\.json/],
    ['half an entry.json', folder => truncateSync(join(folder, 'entry.json'), 50), /not whole/],
    [
      'other seconds in entry.json',
      folder => {
        const path = join(folder, 'entry.json')
        writeFileSync(path, readFileSync(path, 'utf8').replace(/"seconds": /, '"seconds": 1'))
      },
      /not whole/,
    ],
    ['an empty entry.json', folder => truncateSync(join(folder, 'entry.json'), 0), /not whole/],
    ['a huge entry.json', folder => truncateSync(join(folder, 'entry.json'), 2 ** 33), /cannot be read/],
    ['a foreign key', folder => edit(folder, entry => ({ ...entry, key: 'a'.repeat(64) })), /another entry/],
    [
      'foreign parameters',
      folder => edit(folder, entry => ({ ...entry, parts: { to: 9 } })),
      /another entry/,
    ],
    ['another version', folder => edit(folder, entry => ({ ...entry, version: 2 })), /another entry/],
    [
      'a path that leaves the folder',
      folder =>
        edit(folder, entry => ({ ...entry, files: [{ name: '../../../log', bytes: 0, sha256: '' }] })),
      /not whole/,
    ],
  ]

  it.each(damages)('with %s is noticed, told once and made again', async (_, damage, told) => {
    const { folder, output } = await run(4)
    await damage(folder)
    const again = await run(4)
    expect(again).toMatchObject({ output, reused: false })
    expect(again.lines).toHaveLength(1)
    expect(again.lines[0]).toMatch(told)
    expect(await run(4)).toMatchObject({ output, reused: true, lines: [] })
    expect(here.steps()).toHaveLength(8)
    expect(names()).toEqual([again.key])
  })

  it('is told again when it is damaged again', async () => {
    const store = new FolderStore(here.root)
    const { folder } = await run(4, store)
    for (let times = 0; times < 2; times++) {
      rmSync(join(folder, 'sum.txt'))
      expect((await run(4, store)).lines).toHaveLength(1)
    }
  })

  it('is also noticed by a store that found it whole before', async () => {
    const store = new FolderStore(here.root)
    const { folder } = await run(4, store)
    expect(await run(4, store)).toMatchObject({ reused: true })
    writeFileSync(join(folder, 'sum.txt'), '11')
    utimesSync(join(folder, 'sum.txt'), 1e9, 1e9)
    expect(await run(4, store)).toMatchObject({ output: 10, reused: false })
  })

  it('is no damage if a stage cannot open what is whole', async () => {
    const { folder } = await run(4)
    const newer: Stage<{ to: number; log: string }, number> = {
      ...sum,
      open: () => {
        throw new Error('not the format that I know')
      },
    }
    const options = { store: new FolderStore(here.root) }
    await expect(runStage(newer, { to: 4, log: here.log }, options)).rejects.toThrow('not the format')
    expect(existsSync(join(folder, 'sum.txt'))).toBe(true)
  })
})

describe('a store that cannot be written', () => {
  it('is read, and other results are made in a temporary folder', async context => {
    // A process of root ignores permissions: the one that is tried belongs to nobody.
    const uid = process.getuid?.() === 0 ? 65534 : undefined
    await run(3)
    chmodSync(here.folder, 0o755)
    chmodSync(here.root, 0o555)
    chmodSync(join(here.root, 'sum'), 0o555)
    chmodSync(here.log, 0o666)
    const present = await here.start({ to: 3 }, { uid: uid as number }).result.catch((error: Error) => error)
    if (present instanceof Error && /EACCES.*(dist|test-child)|Cannot find module/s.test(present.message)) {
      console.log('skipped: the built files cannot be read by another user')
      return context.skip()
    }
    expect(present).toMatchObject({ output: 6, reused: true, lines: [] })
    const absent = await here.start({ to: 4 }, { uid: uid as number }).result
    expect(absent).toMatchObject({ output: 10, reused: false })
    expect(absent.lines).toHaveLength(1)
    expect(absent.lines[0]).toMatch(/cannot be written \(EACCES\): results are kept in a temporary folder/)
    chmodSync(here.root, 0o755)
    chmodSync(join(here.root, 'sum'), 0o755)
    expect(names()).toHaveLength(1)
  })
})

describe('a full disk', () => {
  it('ends the work with one sentence and leaves nothing half-written', async context => {
    if (!existsSync('/dev/full')) {
      console.log('skipped: the system has no /dev/full, which is a full disk')
      return context.skip()
    }
    const large: Stage<null, null> = {
      ...sum,
      key: () => ({}),
      run: async (_, { folder }) => {
        writeFileSync(join(folder, 'first.txt'), 'fits')
        writeFileSync('/dev/full', 'does not')
      },
      open: () => null,
    }
    const attempt = runStage(large, null, { store: new FolderStore(here.root) })
    await expect(attempt).rejects.toThrow(`${here.root} cannot be written: the disk is full: free some space`)
    expect(names()).toEqual([])
  })
})

describe('writeFileWhole', () => {
  it('does not mix what is written to one file at once', async () => {
    const path = join(here.folder, 'file')
    const texts = ['a', 'b', 'c', 'd'].map(letter => letter.repeat(1e6))
    await Promise.all(texts.map(text => writeFileWhole(path, text)))
    expect(texts).toContain(readFileSync(path, 'utf8'))
    expect(readdirSync(here.folder).sort()).toEqual(['file', 'log'])
  })

  it('says where it cannot write', async () => {
    await expect(writeFileWhole(join(here.folder, 'absent', 'file'), '')).rejects.toThrow('cannot be written')
  })
})
