import path from 'node:path'
import { attackSettings, type Monitor, triggerImage, writeTriggerPictures } from '@ageb/workbench'
import type { AttackFlags, MachineFlags } from '../../cli/options.js'
import { type Outcome, table } from '../../cli/output.js'

export interface TriggerFlags extends AttackFlags, MachineFlags {
  readonly out: string
  readonly label?: string
  readonly size?: number
}

/** Adds the trigger to one image, and writes the triggered image and a strip of the stages. */
export async function triggered(
  image: string,
  { out, config, set, model, plugin, label, size, threads, device }: TriggerFlags,
  monitor: Monitor,
): Promise<Outcome> {
  const chosen = await attackSettings({ config, set, surrogate: model, plugins: plugin })
  const options = { label, side: size, threads, device, monitor }
  const { pixels, ...figures } = await triggerImage(image, chosen, options)
  const files = await writeTriggerPictures(out, path.parse(image).name, pixels)
  const { psnr, ssim, linf, classBefore, classAfter } = figures
  return {
    data: { image, ...files, ...figures },
    text: table([
      ['triggered image', files.triggered],
      ['stages', files.strip],
      ['PSNR', `${psnr.toFixed(2)} dB`],
      ['SSIM', ssim === null ? '–' : ssim.toFixed(4), ssim === null ? 'image too small' : ''],
      ['L∞', `${linf}/255`],
      ['surrogate predicts', `${classBefore} → ${classAfter}`],
    ]),
  }
}
