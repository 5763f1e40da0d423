import { mkdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import {
  linf,
  type Model,
  needsOf,
  PSNR_CAP,
  pixelsInMemory,
  predict,
  psnr,
  renderStages,
  SSIM_WINDOW,
  type StagedImage,
  ssim,
  surrogateOf,
} from '@ageb/lab'
import type { Monitor } from '@ageb/workbench'
import {
  amplifiedDifference,
  decodeRgb,
  loadCheckpoint,
  stagePicture,
  strip,
  toPng,
  UsageError,
  warnIfPoisoned,
  writeFileWhole,
} from '@ageb/workbench'
import { type DeviceChoice, InputError } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { type Outcome, table } from '../../cli/output.js'
import { type AttackFlags, attackSettings } from '../../cli/settings.js'

export interface TriggerFlags extends AttackFlags {
  readonly out: string
  readonly label?: string
  readonly device?: DeviceChoice
}

/** Images of the strip are enlarged to about this many pixels. */
const STRIP_SIDE = 160

/** Adds the trigger to one image, and writes the triggered image and a strip of the stages. */
export async function triggerImage(image: string, flags: TriggerFlags, terminal: Monitor): Promise<Outcome> {
  const { settings, attack } = await attackSettings(flags)
  const surrogate = await loadCheckpoint(settings.surrogate)
  warnIfPoisoned(terminal, settings.surrogate, surrogate)
  const { model, weights } = surrogate
  const side = model.imageSize
  const size = { height: side, width: side }
  const clean = await decode(image, size)

  // One thread is enough for one image, and gives the same bits on every machine of a kind.
  const runtime = startRuntime({ threads: 1, device: flags.device ?? settings.device })
  try {
    const { seed } = settings
    const context = {
      ...{ seed, ...size, classes: model.classNames.length },
      ...(attack.needs.surrogate && { surrogate: surrogateOf(surrogate) }),
    }
    const program = attack.trigger(context, await attack.prepare({ ...context, runtime }))
    const labels = Int32Array.of(labelOf(flags.label, model, needsOf(program).labels))
    const one = { ...pixelsInMemory(clean, size), labels }
    const [result] = await renderStages(runtime, program, one, { seed })
    const { image: triggered } = result!
    const [before] = await predict(runtime, model, weights, one, 1)
    const [after] = await predict(runtime, model, weights, pixelsInMemory(triggered, size), 1)
    const files = await writePictures(flags.out, path.parse(image).name, size, clean, result!)
    const data = {
      image,
      ...files,
      attack: settings.attack,
      surrogate: settings.surrogate,
      psnr: Math.min(psnr(clean, triggered), PSNR_CAP),
      ssim: side >= SSIM_WINDOW ? ssim(clean, triggered, size) : null,
      linf: linf(clean, triggered),
      classBefore: model.classNames[before!]!,
      classAfter: model.classNames[after!]!,
    }
    return {
      data,
      text: table([
        ['triggered image', data.triggered],
        ['stages', data.strip],
        ['PSNR', `${data.psnr.toFixed(2)} dB`],
        [
          'SSIM',
          data.ssim === null ? '–' : data.ssim.toFixed(4),
          data.ssim === null ? 'image too small' : '',
        ],
        ['L∞', `${data.linf}/255`],
        ['surrogate predicts', `${data.classBefore} → ${data.classAfter}`],
      ]),
    }
  } finally {
    await runtime.close()
  }
}

async function decode(image: string, size: { height: number; width: number }): Promise<Uint8Array> {
  const bytes = await readFile(image).catch((error: NodeJS.ErrnoException) => {
    throw new InputError(`the image ${image} cannot be read (${error.code}): check the path`)
  })
  try {
    return (await decodeRgb(bytes, size)).pixels
  } catch (error) {
    const reason = (error as Error).message.split('\n')[0]
    throw new InputError(`${image} cannot be decoded (${reason}): give a PNG, JPEG or WebP file`)
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

async function writePictures(
  folder: string,
  name: string,
  size: { height: number; width: number },
  clean: Uint8Array,
  { image: triggered, stages }: StagedImage,
): Promise<{ triggered: string; strip: string }> {
  await mkdir(folder, { recursive: true })
  const files = {
    triggered: path.join(folder, `${name}-triggered.png`),
    strip: path.join(folder, `${name}-strip.png`),
  }
  const pictures: [string, Uint8Array][] = [
    ['clean', clean],
    ...stages.map(({ name, kind, data }): [string, Uint8Array] => [name, stagePicture(kind, data)]),
    ['triggered', triggered],
    ['10×|Δ|', amplifiedDifference(clean, triggered)],
  ]
  await writeFileWhole(files.triggered, await toPng(triggered, size))
  await writeFileWhole(
    files.strip,
    await strip(
      pictures.map(([, data]) => data),
      {
        ...size,
        scale: Math.max(1, Math.round(STRIP_SIDE / size.width)),
        labels: pictures.map(([label]) => label),
      },
    ),
  )
  return files
}
