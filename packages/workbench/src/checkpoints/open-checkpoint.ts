import type { ReadCheckpoint } from '@ageb/lab'
import type { Monitor } from '../runs/monitor.js'
import { warnIfPoisoned } from '../runs/provenance.js'
import { type LoadOptions, loadCheckpoint } from './checkpoint-folder.js'

/** `loadCheckpoint` with a monitor, which is also warned if the checkpoint says of itself that it was poisoned. */
export async function openCheckpoint(
  name: string,
  monitor: Monitor,
  options?: LoadOptions,
): Promise<ReadCheckpoint> {
  const checkpoint = await loadCheckpoint(name, { ...options, warn: monitor.say })
  warnIfPoisoned(monitor, name, checkpoint)
  return checkpoint
}
