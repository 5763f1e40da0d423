import type { Device, Runtime } from 'onnxgrad'
import { runtimeVersion } from 'onnxgrad/node'

/** What decides the last bits of all that models compute, besides their inputs. */
export type MachineKey = {
  readonly device: string
  readonly threads: number
  readonly onnxruntime: string
  /** Operating system and architecture. */
  readonly platform: string
}

/** This machine as the keys of stages have it. */
export function machineKey({ device, threads }: { device: Device; threads: number }): MachineKey {
  return {
    device,
    threads,
    onnxruntime: runtimeVersion ?? 'unknown',
    platform: `${process.platform} ${process.arch}`,
  }
}

/** A runtime together with what its results depend on. */
export interface Engine {
  readonly runtime: Runtime
  readonly machine: MachineKey
}
