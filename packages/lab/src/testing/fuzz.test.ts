import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { FuzzReport } from 'onnxgrad/testing'
import { expect, it } from 'vitest'

// As for ONNX files (onnxgrad's from-onnx-fuzz.test.ts): whatever is in a file, it is read or refused.
it.each([
  ['checkpoints', 'fuzz-checkpoints.js', 200],
  ['files of torch.save', 'fuzz-torch.js', 100],
  ['tables', 'fuzz-tables.js', 200],
])(
  'mutants of %s are read or refused in a sentence, without a crash, a hang or growth',
  async (_, file, read) => {
    const program = fileURLToPath(new URL(file, import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', program, '5000'])
    const { faults, slowestMs, usedMiB, peakRssMiB, ...counts }: FuzzReport = JSON.parse(stdout)
    console.log(
      `${JSON.stringify(counts)}, slowest ${slowestMs.toFixed(0)} ms, peak ${peakRssMiB.toFixed(0)} MiB`,
    )
    expect(faults.slice(0, 3)).toEqual([])
    expect(counts.mutants).toBe(5000)
    expect(counts.read).toBeGreaterThan(read)
    expect(counts.refused).toBeGreaterThan(2000)
    expect(usedMiB[1]).toBeLessThan(1.05 * usedMiB[0] + 2)
  },
  300_000,
)
