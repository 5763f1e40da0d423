import { runtimeVersion } from 'onnxgrad/node'
import { version } from '../files/version.js'

/** What a record says of the machine: what decides the last bits besides the configuration. */
export function environmentNoteOf({ device, threads }: { device: string; threads: number }) {
  return { ageb: version(), onnxruntime: runtimeVersion ?? 'unknown', device, threads }
}
