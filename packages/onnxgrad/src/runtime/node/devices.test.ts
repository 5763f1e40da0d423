import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { InputError } from '../../errors.js'
import { Graph } from '../../graph/graph.js'
import { toOnnx } from '../../onnx/to-onnx.js'
import { tanh } from '../../ops/activation.js'
import { softwareVulkan, softwareVulkanMissing } from '../../testing/software-vulkan.js'
import { type DeviceReport, relativeDifference, trainTinyViT } from '../../testing/tiny-vit.js'
import { type Fallback, fallbacks, startRuntime } from './index.js'

/** One whole training, beside a second runtime at work, in a process with these environment variables. */
async function trainApart(device: string, env: Record<string, string>) {
  const script = fileURLToPath(new URL('../../testing/train-on-device.js', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [script, device], {
    env: { ...process.env, ...env },
  })
  return JSON.parse(stdout) as DeviceReport & { fallbacks: Fallback[] }
}

const furthest = (a: readonly number[], b: readonly number[]) =>
  Math.max(...a.map((x, i) => Math.abs(x - b[i]!)))

describe('a device', () => {
  const runtime = startRuntime({ threads: 1 })
  afterAll(() => runtime.close())

  it('is the processor unless another is asked for', async () => {
    expect(await runtime.device()).toBe('cpu')
  })

  it('has no fallbacks if it is the processor', async () => {
    const graph = new Graph()
    const x = graph.input('x', 'float32', [2])
    graph.output('y', tanh(x))
    const feeds = { x: { dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) } } as const
    expect(await fallbacks(runtime, toOnnx(graph), feeds)).toEqual([])
  })

  it('that the platform cannot have ends in one sentence that says where it can be had', async () => {
    const [device, home] =
      process.platform === 'darwin' ? (['dml', 'Windows'] as const) : (['coreml', 'macOS'] as const)
    const missing = startRuntime({ threads: 1, device })
    const failure = await missing.device().catch(error => error)
    expect(failure).toBeInstanceOf(InputError)
    expect(failure.message).toMatch(
      new RegExp(`^the device '${device}' is not available .*${home} alone, or choose cpu$`),
    )
    await expect(missing.load(new Uint8Array())).rejects.toThrow(failure.message)
    await missing.close()
  })

  it('that does not exist is answered with those that do', async () => {
    const wrong = startRuntime({ threads: 1, device: 'gpu' as never })
    await expect(wrong.device()).rejects.toThrow(
      "there is no device 'gpu': choose one of cpu, webgpu, cuda, coreml, dml, auto",
    )
    await wrong.close()
  })

  const vulkan = softwareVulkan()
  if (!vulkan) console.log(`skipped: WebGPU in Node (${softwareVulkanMissing})`)
  describe.skipIf(!vulkan)('webgpu, on a software driver', () => {
    it('gives the losses and the parameters of the processor, and says which nodes it left to that', async () => {
      const cpu = await trainTinyViT(runtime)
      const webgpu = await trainApart('webgpu', vulkan!)
      expect(cpu.losses.at(-1)).toBeLessThan(cpu.losses[0]! / 2)
      expect(webgpu.device).toBe('webgpu')
      expect(webgpu.losses.length).toBe(20)
      expect(relativeDifference(cpu.losses, webgpu.losses)).toBeLessThan(1e-3)
      expect(furthest(cpu.head, webgpu.head)).toBeLessThan(1e-3)
      expect(furthest(cpu.headBefore, webgpu.headBefore)).toBeLessThan(1e-3)
      expect(furthest(cpu.headBefore, cpu.head)).toBeGreaterThan(0.01)
      expect(new Set(webgpu.fallbacks.map(({ op }) => op))).toEqual(
        new Set(['Equal', 'LogSoftmax', 'Reshape']),
      )
      expect(webgpu.fallbacks.every(({ provider }) => provider === 'CPUExecutionProvider')).toBe(true)
    })

    it("is what 'auto' takes where nothing better is there", async () => {
      const module = new URL('./index.js', import.meta.url)
      const ask = `import('${module}').then(async ({ startRuntime }) => {
        const runtime = startRuntime({ device: 'auto' })
        console.log(await runtime.device())
        await runtime.close()
      })`
      const auto = async (env: Record<string, string>) =>
        (
          await promisify(execFile)(process.execPath, ['-e', ask], {
            env: { ...process.env, ...env },
          })
        ).stdout.trim()
      expect(['cuda', 'webgpu']).toContain(await auto(vulkan!))
      expect(['cuda', 'cpu']).toContain(await auto({ VK_DRIVER_FILES: '/', VK_ICD_FILENAMES: '/' }))
    })
  })
})
