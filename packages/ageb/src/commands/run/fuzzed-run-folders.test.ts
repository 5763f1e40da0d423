import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { FuzzReport } from 'onnxgrad/testing'
import { expect, it } from 'vitest'

it('mutants of a run folder are read or refused in a sentence that names them, without a crash, a hang or growth', async () => {
  const program = fileURLToPath(new URL('../../testing/fuzz-run-folders.js', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', program, '2000'])
  const { faults, slowestMs, usedMiB, peakRssMiB, ...counts }: FuzzReport = JSON.parse(stdout)
  console.log(
    `${JSON.stringify(counts)}, slowest ${slowestMs.toFixed(0)} ms, peak ${peakRssMiB.toFixed(0)} MiB`,
  )
  expect(faults.slice(0, 3)).toEqual([])
  expect(counts.read).toBeGreaterThan(300)
  expect(counts.refused).toBeGreaterThan(500)
  expect(usedMiB[1]).toBeLessThan(1.05 * usedMiB[0] + 4)
}, 300_000)
