import { type Device, forDevice, toOnnx } from 'onnxgrad'
import type { ConfiguredAttack } from './define-attack.js'
import { type BatchShape, type ImageProgram, programGraph } from './image-program.js'

/**
 * A trigger as an ONNX model that any ONNX Runtime runs, and that says what it is. Inputs and output: see
 * `programGraph`.
 */
export function triggerModel(
  attack: ConfiguredAttack,
  program: ImageProgram,
  size: BatchShape,
  device: Device = 'cpu',
): Uint8Array {
  const { name, citation, url, parameters } = attack
  return toOnnx(forDevice(programGraph(program, size).graph, device), {
    name: `${name}-trigger`,
    doc: `Backdoor trigger of ${name} (${citation}, ${url}), for research on defenses.`,
    metadata: {
      attack: JSON.stringify({ name, ...parameters }),
      purpose: 'research on backdoor defenses',
    },
  })
}
