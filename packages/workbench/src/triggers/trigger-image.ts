import {
  type ImageSize,
  linf,
  type Model,
  needsOf,
  PSNR_CAP,
  pixelsInMemory,
  predict,
  psnr,
  renderStages,
  resampleInGraph,
  SSIM_WINDOW,
  type StagedImage,
  type Surrogate,
  ssim,
} from '@ageb/lab'
import type { RuntimeChoice } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import type { AttackSettings } from '../configuration/attack-settings.js'
import type { BackdoorRunConfig } from '../configuration/backdoor-config.js'
import { UsageError } from '../configuration/resolve.js'
import { decodeRgb } from '../data/decode.js'
import { readPicture } from '../pictures/read-picture.js'
import { type Monitor, silent } from '../runs/monitor.js'
import { preparedTrigger } from './prepared-trigger.js'
import { surrogateFor } from './surrogate-for.js'
import { triggerSubject } from './trigger-subject.js'

/** Threads and device that are not given are the configuration's; threads that neither names are 1. */
export interface TriggerOptions extends RuntimeChoice {
  /** The image's true class, name or index, if the attack computes its loss with it. */
  readonly label?: string | undefined
  /** Side of the image that gets the trigger, pixels. Default: that of the victim, as in a run. */
  readonly side?: number | undefined
  readonly monitor?: Monitor | undefined
}

/** How visible a trigger is in one image, and what it does to the surrogate's prediction. */
export interface TriggeredImage {
  readonly attack: BackdoorRunConfig['attack']
  /** Name of the checkpoint. */
  readonly surrogate: string
  /** Decibels, at most `PSNR_CAP`. */
  readonly psnr: number
  /** Null if the image is too small. */
  readonly ssim: number | null
  /** The largest change of a value, in 1/255. */
  readonly linf: number
  /** What the surrogate predicts for the image without the trigger, and with it. */
  readonly classBefore: string
  readonly classAfter: string
  readonly pixels: TriggerPixels
}

/** The image before and after, resized to the size that the trigger is for, and the stages of the trigger. */
export interface TriggerPixels extends ImageSize, StagedImage {
  /** uint8, 3 × height × width, as is `image`, which has the trigger. */
  readonly clean: Uint8Array
}

/**
 * Adds a trigger to one image.
 *
 * @example
 * const { psnr, pixels } = await triggerImage('cat.png', await attackSettings({ set: ['attack=badnets'] }))
 * await writeTriggerPictures('pictures', 'cat', pixels)
 * @param image a PNG, JPEG, WebP, … file
 * @throws InputError if the image or the surrogate is amiss; UsageError if the attack needs a label that is not given
 */
export async function triggerImage(
  image: string,
  chosen: AttackSettings,
  { label, side, threads, device, monitor = silent }: TriggerOptions = {},
): Promise<TriggeredImage> {
  const { settings } = chosen
  const { size, classes, surrogate: checkpoint } = await triggerSubject(chosen, side, monitor)
  const surrogate = surrogateFor(checkpoint, settings.surrogate, size, monitor)
  const model = modelOf(surrogate)
  const { pixels: clean } = await readPicture(image, 'image', bytes => decodeRgb(bytes, size))

  // One thread is enough for one image, and gives the same bits on every machine of a kind.
  const runtime = startRuntime({
    threads: threads ?? settings.threads ?? 1,
    device: device ?? settings.device,
  })
  try {
    const needed = chosen.attack.needs.surrogate ? surrogate : undefined
    const program = await preparedTrigger(runtime, chosen, size, classes, needed)
    const labels = Int32Array.of(labelOf(label, model, needsOf(program).labels))
    const one = { ...pixelsInMemory(clean, size), labels }
    const [result] = await renderStages(runtime, program, one, { seed: settings.seed })
    const { image: triggered } = result!
    if (linf(clean, triggered) === 0) monitor.say(`the trigger changes nothing in ${image}`)
    const [before] = await predict(runtime, model, checkpoint.weights, one, 1)
    const [after] = await predict(runtime, model, checkpoint.weights, pixelsInMemory(triggered, size), 1)
    return {
      attack: settings.attack,
      surrogate: settings.surrogate,
      psnr: Math.min(psnr(clean, triggered), PSNR_CAP),
      ssim: size.height >= SSIM_WINDOW ? ssim(clean, triggered, size) : null,
      linf: linf(clean, triggered),
      classBefore: model.classNames[before!]!,
      classAfter: model.classNames[after!]!,
      pixels: { ...size, clean, ...result! },
    }
  } finally {
    await runtime.close()
  }
}

/** A surrogate as a model of the images that it is given, which are squares. */
function modelOf({ model, resizing }: Surrogate): Model {
  if (!resizing) return model
  const { imageSize: side } = model
  return {
    ...model,
    imageSize: resizing.from.height,
    forward: (parameters, pixels) =>
      model.forward(parameters, resampleInGraph(pixels, { height: side, width: side }, resizing)),
  }
}

/** The index of the class that is given by name or index. If the attack does not need it, it may be missing. */
function labelOf(label: string | undefined, { classNames }: Model, needed: boolean): number {
  if (label === undefined) {
    if (!needed) return 0
    throw new UsageError('this attack computes its loss with the true class of the image: give --label')
  }
  const index = classNames.includes(label)
    ? classNames.indexOf(label)
    : /^\d+$/.test(label)
      ? Number(label)
      : -1
  if (index >= 0 && index < classNames.length) return index
  throw new UsageError(`--label: there is no class '${label}': choose one of ${classNames.join(', ')}`)
}
