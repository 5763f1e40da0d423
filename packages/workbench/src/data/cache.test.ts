import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { readAll } from '@ageb/lab'
import { afterAll, describe, expect, it } from 'vitest'
import { openSplit } from './dataset.js'
import { listener, writeSplit } from './test-data.js'

const folder = mkdtempSync(join(tmpdir(), 'ageb-cache-'))
afterAll(() => rmSync(folder, { recursive: true }))
const file = (...path: string[]) => join(folder, ...path)
const names = ['a', 'b']

describe('the cache', () => {
  const dataset = file('cached')
  const inCache = (ending: string) => {
    const found = readdirSync(process.env.AGEB_CACHE!).filter(name => name.endsWith(ending))
    expect(found).toHaveLength(1)
    return join(process.env.AGEB_CACHE!, found[0]!)
  }
  const load = async () => readAll(await openSplit({ dataset, split: 'test', size: 6 }))
  const flip = (path: string, at: number) => {
    const bytes = readFileSync(path)
    bytes[at]! ^= 1
    writeFileSync(path, bytes)
  }

  it('is mended when it is cut short, altered or partly gone', async () => {
    await writeSplit(join(dataset, 'test.parquet'), [0, 1, 0], { names, first: 70 })
    process.env.AGEB_CACHE = file('damaged')
    const set = await load()
    const harms = {
      'pixels cut': () => truncateSync(inCache('.pixels'), 10),
      'a pixel altered': () => flip(inCache('.pixels'), 120),
      'a checksum altered': () => flip(inCache('.sums'), 9),
      'checksums cut': () => truncateSync(inCache('.sums'), 9),
      'pixels gone': () => rmSync(inCache('.pixels')),
      'checksums gone': () => rmSync(inCache('.sums')),
      'an image altered, encoded': () => {
        rmSync(inCache('.sums'))
        flip(inCache('.bin'), 30)
      },
      'encoded images cut': () => {
        rmSync(inCache('.sums'))
        truncateSync(inCache('.bin'), 30)
      },
      'the index altered': () => {
        rmSync(inCache('.sums'))
        flip(inCache('.index'), 8)
      },
      'the index gone': () => {
        rmSync(inCache('.sums'))
        rmSync(inCache('.index'))
      },
      everything: () => rmSync(process.env.AGEB_CACHE!, { recursive: true }),
    }
    for (const [harm, act] of Object.entries(harms)) {
      act()
      expect((await load()).pixels, harm).toEqual(set.pixels)
      expect(readFileSync(inCache('.pixels')).equals(set.pixels), harm).toBe(true)
    }
    expect(readdirSync(process.env.AGEB_CACHE!).filter(name => name.endsWith('.part'))).toEqual([])
  })

  it('is done without where it cannot be written, which is said once', async () => {
    const uncached = file('uncached')
    await writeSplit(join(uncached, 'test.parquet'), [0, 1], { names, first: 70 })
    await writeSplit(join(uncached, 'train.parquet'), [1, 0], { names, first: 80 })
    writeFileSync(file('no-folder'), '')
    process.env.AGEB_CACHE = file('no-folder', 'cache')
    const monitor = listener()
    for (const split of ['test', 'train']) {
      const source = await openSplit({ dataset: uncached, split, monitor })
      expect((await readAll(source)).pixels[0]).toBe(split === 'test' ? 70 : 80)
    }
    expect(monitor.said).toHaveLength(1)
    expect(monitor.said[0]).toContain('Decoded images are not kept')
  })

  it('is removed of what ended processes left', async () => {
    process.env.AGEB_CACHE = file('orphans')
    await load()
    const index = inCache('.index')
    // No process has this number.
    const orphan = `${index}.${hostname()}.99999999.0123abcd.part`
    const others = `${index}.elsewhere.99999999.0123abcd.part`
    const running = `${index}.${hostname()}.${process.pid}.0123abcd.part`
    for (const path of [orphan, others, running]) writeFileSync(path, '')
    rmSync(index)
    rmSync(inCache('.sums'))
    await load()
    const left = readdirSync(process.env.AGEB_CACHE!).filter(name => name.endsWith('.part'))
    expect(left.map(name => join(process.env.AGEB_CACHE!, name)).toSorted()).toEqual(
      [others, running].toSorted(),
    )
  })

  it('serves reads that overlap, each image decoded once', async () => {
    process.env.AGEB_CACHE = file('overlapping')
    const source = await openSplit({ dataset, split: 'test', size: 6 })
    const size = 3 * 36
    const wanted = [
      [0, 1],
      [1, 2, 1],
      [2, 0],
      [0, 1, 2],
    ]
    const read = await Promise.all(
      wanted.map(async indices => {
        const out = new Uint8Array(indices.length * size)
        await source.read(indices, out)
        return indices.map((_, i) => out[i * size])
      }),
    )
    expect(read).toEqual(wanted.map(indices => indices.map(index => 70 + index)))
    await expect(source.read([3], new Uint8Array(size))).rejects.toThrow(RangeError)
    await expect(source.read([0], new Uint8Array(size + 1))).rejects.toThrow(RangeError)
  })
})
