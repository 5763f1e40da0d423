import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startRuntime } from 'onnxgrad/node'
import { softwareVulkan, softwareVulkanMissing } from 'onnxgrad/testing'
import { describe, expect, it } from 'vitest'
import { type PooledTraining, trainPooled } from '../testing/train-pooled.js'

const vulkan = softwareVulkan()
if (!vulkan) console.log(`skipped: max pooling on WebGPU (${softwareVulkanMissing})`)

describe.skipIf(!vulkan)('models with max pooling, on WebGPU with a software driver', () => {
  it('are trained as on the processor', async () => {
    const runtime = startRuntime({ threads: 1 })
    const expected = await trainPooled(runtime)
    await runtime.close()
    const script = fileURLToPath(new URL('../testing/train-on-device.js', import.meta.url))
    const env = { ...process.env, ...vulkan }
    const { stdout } = await promisify(execFile)(process.execPath, [script, 'webgpu'], { env })
    const { device, trainings } = JSON.parse(stdout) as {
      device: string
      trainings: Record<string, PooledTraining>
    }
    expect(device).toBe('webgpu')
    for (const [name, { losses, stem, moved }] of Object.entries(expected)) {
      const got = trainings[name]!
      expect(got.losses.length, name).toBe(4)
      losses.forEach((loss, i) => {
        expect(got.losses[i]! / loss, name).toBeCloseTo(1, 4)
      })
      // Far more than what the devices may differ in.
      expect(moved, name).toBeGreaterThan(0.01)
      expect(Math.max(...stem.map((x, i) => Math.abs(x - got.stem[i]!))), name).toBeLessThan(moved / 100)
    }
  })
})
