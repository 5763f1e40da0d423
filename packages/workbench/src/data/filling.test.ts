import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ImageSource, imageSize, readAll, rng } from '@ageb/lab'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checksumBytes } from './cache.js'
import { openSplit } from './dataset.js'
import { residentBytes } from './split-source.js'
import { writeColumns } from './test-data.js'

const folder = mkdtempSync(join(tmpdir(), 'ageb-filling-'))
const dataset = join(folder, 'noise')
const count = 160
const size = 40
afterAll(() => rmSync(folder, { recursive: true }))

let expected: Uint8Array
beforeAll(async () => {
  const random = rng(1, 'filling')
  const images = await Promise.all(
    Array.from({ length: count }, () =>
      sharp(
        Uint8Array.from({ length: 3 * 64 }, () => random.int(256)),
        { raw: { width: 8, height: 8, channels: 3 } },
      )
        .png()
        .toBuffer(),
    ),
  )
  writeColumns(join(dataset, 'train.parquet'), [
    { name: 'image', type: 'image', data: images },
    { name: 'label', type: 'number', data: images.map((_, i) => i % 2) },
  ])
  process.env.AGEB_CACHE = join(folder, 'expected')
  expected = (await readAll(await openSplit({ dataset, split: 'train', size }))).pixels
})

/** A process that reads all images in an order of its own, in small pieces, and ends. */
function filler(cache: string, seed: number): { process: ChildProcess; ended: Promise<number | null> } {
  const module = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)
  const program = `
    import { openSplit } from ${module('./dataset.js')}
    import { rng } from '@ageb/lab'
    const source = await openSplit({ dataset: ${JSON.stringify(dataset)}, split: 'train', size: ${size} })
    const order = rng(${seed}, 'order').permutation(source.count)
    for (let at = 0; at < order.length; at += 4) {
      const part = order.subarray(at, at + 4)
      await source.read(part, new Uint8Array(part.length * ${3 * size * size}))
      console.log(at)
    }`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    env: { ...process.env, AGEB_CACHE: cache },
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return { process: child, ended: new Promise(resolve => child.on('exit', resolve)) }
}

function sumsIn(cache: string): { there: number } {
  const name = existsSync(cache) ? readdirSync(cache).find(one => one.endsWith('.sums')) : undefined
  const bytes = name === undefined ? Buffer.alloc(0) : readFileSync(join(cache, name))
  let there = 0
  for (let at = 0; at < bytes.length; at += checksumBytes)
    if (bytes.subarray(at, at + checksumBytes).some(byte => byte !== 0)) there++
  return { there }
}

async function check(source: ImageSource): Promise<void> {
  expect(Buffer.compare((await readAll(source)).pixels, expected)).toBe(0)
}

describe('a file of decoded images', () => {
  it('is filled by two processes at once, to the same bytes', async () => {
    const cache = join(folder, 'two')
    const both = [filler(cache, 1), filler(cache, 2)]
    expect(await Promise.all(both.map(({ ended }) => ended))).toEqual([0, 0])
    expect(sumsIn(cache).there).toBe(count)
    process.env.AGEB_CACHE = cache
    await check(await openSplit({ dataset, split: 'train', size }))
    const pixels = readdirSync(cache).find(one => one.endsWith('.pixels'))!
    expect(Buffer.compare(readFileSync(join(cache, pixels)), expected)).toBe(0)
  })

  it('survives that its process is killed at any moment, and keeps what was decoded', async () => {
    const cache = join(folder, 'killed')
    process.env.AGEB_CACHE = cache
    let there = 0
    for (const pieces of [1, 3, 10]) {
      const { process: child, ended } = filler(cache, pieces)
      let lines = 0
      child.stdout!.on('data', (text: Buffer) => {
        lines += text.toString().split('\n').length - 1
        if (lines >= pieces) child.kill('SIGKILL')
      })
      await ended
      const now = sumsIn(cache).there
      expect(now).toBeGreaterThanOrEqual(there)
      there = now
    }
    expect(there).toBeGreaterThanOrEqual(10)
    await check(await openSplit({ dataset, split: 'train', size }))
    expect(sumsIn(cache).there).toBe(count)
  })

  it('gives what another process has put there meanwhile, without decoding it', async () => {
    const cache = join(folder, 'meanwhile')
    process.env.AGEB_CACHE = cache
    const source = await openSplit({ dataset, split: 'train', size })
    const out = new Uint8Array(imageSize(source))
    await source.read([0], out)
    expect(await filler(cache, 3).ended).toBe(0)
    // The encoded images are not needed any more.
    for (const name of readdirSync(cache)) if (name.startsWith('encoded-')) rmSync(join(cache, name))
    await check(source)
    await check(await openSplit({ dataset, split: 'train', size }))
    expect(readdirSync(cache).filter(name => name.startsWith('encoded-'))).toEqual([])
  })

  it('is read in pieces where it is large, each image decoded once', async () => {
    const cache = join(folder, 'large')
    process.env.AGEB_CACHE = cache
    const side = 768
    const source = await openSplit({ dataset, split: 'train', size: side })
    expect(residentBytes(count, source)).toBe(0)
    const values = imageSize(source)
    const read = async (indices: number[], from = source) => {
      const out = new Uint8Array(indices.length * values)
      await from.read(indices, out)
      return indices.map((_, i) => out.subarray(i * values, (i + 1) * values))
    }
    const first = await read([150, 3, 4, 5, 3])
    expect(sumsIn(cache).there).toBe(4)
    expect(first[4]).toEqual(first[1])
    for (const name of readdirSync(cache)) if (name.startsWith('encoded-')) rmSync(join(cache, name))
    // From the file, in another order, partly in one piece, here and in a source opened anew.
    for (const from of [source, await openSplit({ dataset, split: 'train', size: side })]) {
      const again = await read([3, 4, 5, 150, 3], from)
      for (const [i, j] of [1, 2, 3, 0, 1].entries()) expect(Buffer.compare(again[i]!, first[j]!)).toBe(0)
    }
    expect(sumsIn(cache).there).toBe(4)
  })

  it('is held in memory only where it is small', () => {
    expect(residentBytes(1000, { height: 32, width: 32 })).toBe(1000 * 3072)
    expect(residentBytes(50_000, { height: 32, width: 32 })).toBe(50_000 * 3072)
    expect(residentBytes(50_000, { height: 224, width: 224 })).toBe(0)
  })
})
