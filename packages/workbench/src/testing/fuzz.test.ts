import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { FuzzReport } from 'onnxgrad/testing'
import { expect, it } from 'vitest'

// As for ONNX files (onnxgrad's from-onnx-fuzz.test.ts): data and configurations of strangers are read or refused.
it.each([
  ['data sets in Parquet', 'fuzz-parquet.js', 50],
  ['pictures', 'fuzz-pictures.js', 300],
  ["CIFAR's binary files", 'fuzz-cifar.js', 300],
  ['configurations', 'fuzz-configurations.js', 200],
])(
  'mutants of %s are read or refused in a sentence that names them, without a crash, a hang or growth',
  async (_, file, read) => {
    const program = fileURLToPath(new URL(file, import.meta.url))
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--expose-gc', program, '2000'])
    expect(stderr).toBe('')
    const { faults, slowestMs, usedMiB, peakRssMiB, ...counts }: FuzzReport = JSON.parse(stdout)
    console.log(
      `${JSON.stringify(counts)}, slowest ${slowestMs.toFixed(0)} ms, peak ${peakRssMiB.toFixed(0)} MiB`,
    )
    expect(faults.slice(0, 3)).toEqual([])
    expect(counts.mutants).toBe(2000)
    expect(counts.read).toBeGreaterThan(read)
    expect(counts.refused).toBeGreaterThan(500)
    expect(usedMiB[1]).toBeLessThan(1.05 * usedMiB[0] + 2)
  },
  300_000,
)
