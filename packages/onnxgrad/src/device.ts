/**
 * Where sessions run, by the name of ONNX Runtime's execution provider. 'cpu' is the processor: native code in Node,
 * WebAssembly in a browser. 'webgpu' is any graphics processor, 'cuda' NVIDIA's under Linux, 'coreml' Apple's
 * accelerators, 'dml' DirectML under Windows.
 */
export const devices = ['cpu', 'webgpu', 'cuda', 'coreml', 'dml'] as const
export type Device = (typeof devices)[number]

/** A device, or the best one that is there: cuda, webgpu, dml, coreml, cpu in this order. */
export const deviceChoices = [...devices, 'auto'] as const
export type DeviceChoice = (typeof deviceChoices)[number]

/** What a runtime runs on. */
export interface RuntimeOptions {
  /** Threads of the processor. Results are bit-identical only for equal device and thread count. */
  readonly threads: number
  readonly device: DeviceChoice
}

/** What a runtime is asked to run on; what is undefined takes its default. */
export type RuntimeChoice = { readonly [key in keyof RuntimeOptions]?: RuntimeOptions[key] | undefined }
