import type { ImageProgram, ImageSize, Surrogate } from '@ageb/lab'
import type { Runtime } from 'onnxgrad'
import type { AttackSettings } from '../configuration/attack-settings.js'

/**
 * The trigger of an attack, whose preparation is made for images of one size.
 *
 * @param surrogate for images of that size; may be missing if the attack needs none
 */
export async function preparedTrigger(
  runtime: Runtime,
  { settings, attack }: AttackSettings,
  { height, width }: ImageSize,
  classes: number,
  surrogate: Surrogate | undefined,
): Promise<ImageProgram> {
  const context = {
    ...{ seed: settings.seed, height, width, classes },
    ...(surrogate && { surrogate }),
  }
  return attack.trigger(context, await attack.prepare({ ...context, runtime }))
}
