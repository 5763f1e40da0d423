import { env, InferenceSession, listSupportedBackends, Tensor } from 'onnxruntime-node'
import { type Device, devices, type RuntimeOptions } from '../../device.js'
import { chooseEngine, type Platform } from '../choose-device.js'
import type { Engine } from '../session-host.js'

// What fails is thrown; the runtime's own log would only say it a second time, in other words.
env.logLevel = 'fatal'

const listed = new Set<string>(listSupportedBackends().map(({ name }) => name))

/** onnxruntime-node, set up for the device that was asked for. Throws InputError if it is not there. */
export function engineFor({ threads, device }: RuntimeOptions): Promise<Engine> {
  const platform: Platform = {
    listed: new Set(devices.filter(one => listed.has(one))),
    advice: {
      cpu: 'it is always there',
      webgpu: 'install a driver of the graphics processor (under Linux one of Vulkan, with libvulkan1)',
      cuda: "under Linux x64 install NVIDIA's driver, CUDA 12 and cuDNN 9, then run 'ONNXRUNTIME_NODE_INSTALL=1 npm rebuild onnxruntime-node --ignore-scripts=false'",
      coreml: 'CoreML is part of macOS alone',
      dml: 'DirectML is part of Windows alone',
    },
    engine: async one => engine(one, threads),
  }
  return chooseEngine(platform, device)
}

function engine(device: Device, threads: number): Engine {
  return {
    InferenceSession,
    Tensor,
    device,
    sessionOptions: {
      executionProviders: [device],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      // The planned block would come on top of the arena that the first run has filled: nearly twice the memory.
      enableMemPattern: false,
      logSeverityLevel: 3,
    },
    state: device === 'webgpu' ? 'on-device' : 'in-memory',
  }
}
