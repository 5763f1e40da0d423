import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import type { DamageReport } from '../../testing/damaged-runs.js'

// Some of all damages; `node packages/ageb/dist/testing/damaged-runs.js 50` tries many of every file.
it('a damaged file of a run, the store or the cache changes no result: it is named, or what it held is made again', async () => {
  const program = fileURLToPath(new URL('../../testing/damaged-runs.js', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [program, '1', '6'])
  const { faults, ...counts }: DamageReport = JSON.parse(stdout)
  console.log(JSON.stringify(counts))
  expect(faults).toEqual([])
  expect(counts.cases).toBeGreaterThan(40)
  // Both must come about, or nothing was damaged where it matters.
  expect(counts.same).toBeGreaterThan(20)
  expect(counts.named).toBeGreaterThan(10)
}, 300_000)
