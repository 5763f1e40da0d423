import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RuntimeOptions } from '../../device.js'
import { browserMissing, browserProgram, type OpenPage, openTestPage } from '../../testing/browser.js'
import { type DeviceReport, relativeDifference, trainTinyViT } from '../../testing/tiny-vit.js'
import { startRuntime } from '../node/index.js'

if (!browserProgram) console.log(`skipped: training in a browser (${browserMissing})`)
describe.skipIf(!browserProgram)('in a browser', () => {
  let opened: OpenPage
  let node: DeviceReport
  beforeAll(async () => {
    const runtime = startRuntime({ threads: 1 })
    node = await trainTinyViT(runtime)
    await runtime.close()
    opened = await openTestPage()
  })
  afterAll(() => opened?.close())

  const train = (options: RuntimeOptions) =>
    opened.page.evaluate<DeviceReport, RuntimeOptions>(trainHere, options)

  it.each([1, 2])('trains on WebAssembly with %i threads as Node does', async threads => {
    const browser = await train({ device: 'cpu', threads })
    expect(browser.device).toBe('cpu')
    expect(browser.losses.length).toBe(20)
    expect(relativeDifference(node.losses, browser.losses)).toBeLessThan(1e-3)
    expect(relativeDifference(node.head, browser.head)).toBeLessThan(1e-2)
  })

  it('trains on WebGPU as Node does on the processor', async () => {
    const browser = await train({ device: 'webgpu', threads: 1 })
    expect(browser.device).toBe('webgpu')
    expect(browser.losses.length).toBe(20)
    expect(relativeDifference(node.losses, browser.losses)).toBeLessThan(1e-3)
    expect(relativeDifference(node.head, browser.head)).toBeLessThan(1e-2)
  })

  it.runIf(process.platform === 'linux')(
    "takes WebAssembly for 'auto' where WebGPU is only software",
    async () => {
      expect((await train({ device: 'auto', threads: 1 })).device).toBe('cpu')
    },
  )

  it('says of a device that browsers do not have where it can be had', async () => {
    await expect(train({ device: 'cuda', threads: 1 })).rejects.toThrow(
      "InputError: the device 'cuda' is not available (it is not offered here): no browser has it, so use Node",
    )
  })
})

/** Runs in the page. */
function trainHere(options: RuntimeOptions): Promise<DeviceReport> {
  return (globalThis as unknown as { train(options: RuntimeOptions): Promise<DeviceReport> }).train(options)
}
