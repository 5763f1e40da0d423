import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import type { FuzzReport } from '../testing/fuzz.js'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const names = ['vit-script', 'vit-dynamo', 'swin-dynamo', 'convnext-dynamo', 'resnet-eval']
const fixtures = names.map(name => here(`../../fixtures/${name}.onnx`))

// A file may come from anybody: 5,000 that are damaged, in their bytes or in what these mean.
it('mutants of ONNX files are read or refused in a sentence, without a crash, a hang or growth', async () => {
  const program = here('../testing/fuzz-onnx.js')
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--expose-gc',
    program,
    '5000',
    ...fixtures,
  ])
  const { faults, slowestMs, usedMiB, peakRssMiB, ...counts }: FuzzReport = JSON.parse(stdout)
  console.log(
    `${JSON.stringify(counts)}, slowest ${slowestMs.toFixed(0)} ms, peak ${peakRssMiB.toFixed(0)} MiB`,
  )
  expect(faults.slice(0, 3)).toEqual([])
  expect(counts.mutants).toBe(5000)
  // Both must come about, or the mutants are too tame or too wild to find anything.
  expect(counts.read).toBeGreaterThan(200)
  expect(counts.refused).toBeGreaterThan(2000)
  expect(usedMiB[1]).toBeLessThan(1.05 * usedMiB[0] + 2)
}, 300_000)
