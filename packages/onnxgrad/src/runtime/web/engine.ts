import type { Device, RuntimeOptions } from '../../device.js'
import { chooseEngine, type Platform } from '../choose-device.js'
import type { Engine } from '../session-host.js'

/** What is used of the worker's global scope. */
declare const self: {
  readonly crossOriginIsolated: boolean
  readonly navigator: {
    readonly gpu?: {
      requestAdapter(): Promise<{ readonly info: { readonly isFallbackAdapter?: boolean } } | null>
    }
  }
}

/** onnxruntime-web, set up for the device that was asked for. Throws InputError if it is not there. */
export async function engineFor({ threads, device }: RuntimeOptions): Promise<Engine> {
  const native = 'no browser has it, so use Node'
  const adapter = await self.navigator.gpu?.requestAdapter()
  // WebGPU that is itself computed by the processor is much slower than WebAssembly: it must be asked for.
  const webgpu = adapter && !(device === 'auto' && adapter.info.isFallbackAdapter)
  const platform: Platform = {
    listed: new Set(webgpu ? ['cpu', 'webgpu'] : ['cpu']),
    advice: {
      cpu: 'it is always there',
      webgpu: 'use a browser and a graphics driver with WebGPU, over https or from localhost',
      cuda: native,
      coreml: native,
      dml: native,
    },
    engine: one => engine(one, threads),
  }
  return chooseEngine(platform, device)
}

async function engine(device: Device, threads: number): Promise<Engine> {
  // Two builds: that for the processor is half the size, and the other one is only needed with WebGPU.
  const ort = await (device === 'webgpu' ? import('onnxruntime-web/webgpu') : import('onnxruntime-web/wasm'))
  ort.env.logLevel = 'fatal'
  ort.env.wasm.numThreads = self.crossOriginIsolated ? threads : 1
  return {
    InferenceSession: ort.InferenceSession,
    Tensor: ort.Tensor,
    device,
    sessionOptions: { executionProviders: [device === 'cpu' ? 'wasm' : device], logSeverityLevel: 3 },
    state: device === 'webgpu' ? 'on-device' : 'in-memory',
  }
}
