import { type Checkpoint, type ImageProgram, type ImageSize, surrogateOf } from '@ageb/lab'
import type { Runtime } from 'onnxgrad'
import type { AttackSettings } from '../configuration/attack-settings.js'

/**
 * The trigger of an attack, whose preparation is made for images of one size.
 *
 * @param surrogate may be missing if the attack needs none
 */
export async function preparedTrigger(
  runtime: Runtime,
  { settings, attack }: AttackSettings,
  { height, width }: ImageSize,
  classes: number,
  surrogate: Checkpoint | undefined,
): Promise<ImageProgram> {
  const context = {
    ...{ seed: settings.seed, height, width, classes },
    ...(surrogate && attack.needs.surrogate && { surrogate: surrogateOf(surrogate) }),
  }
  return attack.trigger(context, await attack.prepare({ ...context, runtime }))
}
