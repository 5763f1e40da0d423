import type { RuntimeOptions } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/web'
import { type DeviceReport, trainTinyViT } from './tiny-vit.js'

/** Trains in this page; called from outside. */
async function train(options: RuntimeOptions): Promise<DeviceReport> {
  const runtime = startRuntime(options)
  try {
    return await trainTinyViT(runtime)
  } finally {
    await runtime.close()
  }
}

Object.assign(globalThis, { train })
