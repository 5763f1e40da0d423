import {
  accuracy,
  assertFits,
  backdoorRates,
  type Checkpoint,
  confusion,
  goals,
  type ImageSource,
  predict,
  type Rate,
  rate,
  renderToMemory,
  surrogateOf,
} from '@ageb/lab'
import type { Monitor } from '@ageb/workbench'
import {
  intervalNote,
  loadCheckpoint,
  openSplit,
  percent,
  type Row,
  UsageError,
  warnIfPoisoned,
} from '@ageb/workbench'
import type { Runtime } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { type ColumnFlags, columnsOf, type MachineFlags, type PluginFlags } from '../../cli/options.js'
import { type Outcome, table } from '../../cli/output.js'
import { attackSettings } from '../../cli/settings.js'

export interface EvalFlags extends MachineFlags, ColumnFlags, PluginFlags {
  readonly data?: string
  readonly split: string
  readonly run?: string
  readonly config?: string
  readonly set?: readonly string[]
}

const BATCH = 100

/** Measures a checkpoint on a split: clean, and under an attack if the flags name one. */
export async function evaluate(name: string, flags: EvalFlags, terminal: Monitor): Promise<Outcome> {
  const described = await attackOf(flags)
  const settings = described?.settings
  const checkpoint = await loadCheckpoint(name)
  const { model, weights, provenance } = checkpoint
  warnIfPoisoned(terminal, name, checkpoint)
  const dataset = flags.data ?? settings?.dataset ?? 'cifar10-subset'
  const { columns } = { ...settings, ...columnsOf(flags, settings ?? {}) }
  const images = await openSplit({
    dataset,
    columns,
    split: flags.split,
    size: model.imageSize,
    classNames: model.classNames,
    monitor: terminal,
  })
  assertFits(model, images)

  const runtime = startRuntime({
    threads: flags.threads ?? settings?.threads,
    device: flags.device ?? settings?.device,
  })
  try {
    const clean = await predict(runtime, model, weights, images, BATCH)
    const matrix = confusion(images.labels, clean, model.classNames.length)
    const cda = accuracy(images.labels, clean)
    const perClass = model.classNames.map((label, i) => {
      const n = matrix[i]!.reduce((sum, count) => sum + count, 0)
      return { class: label, accuracy: n > 0 ? rate(matrix[i]![i]!, n) : null }
    })
    const attack = described && (await underAttack(runtime, checkpoint, images, clean, described, terminal))
    return {
      data: {
        model: name,
        dataset,
        split: images.split,
        n: images.count,
        cda,
        perClass,
        provenance,
        ...attack,
      },
      text: table([
        ['model', name, provenance.poisoned ? 'backdoored on purpose' : ''],
        ['data', `${dataset}, ${images.split}, ${images.count} images`],
        share('clean data accuracy (CDA)', cda),
        ...perClass.map(({ class: label, accuracy }) => share(`  ${label}`, accuracy)),
        ...(attack
          ? [
              share('attack success rate (ASR)', attack.asr),
              share('… without the trigger (base rate)', attack.baseRate),
              share('robust accuracy (RA)', attack.ra),
            ]
          : []),
      ]),
    }
  } finally {
    await runtime.close()
  }
}

/** The attack that the flags describe, or undefined if no flag describes one. */
async function attackOf({ run, config, set, plugin }: EvalFlags) {
  if (run !== undefined && config !== undefined) throw new UsageError('give either --run or --config')
  if (run !== undefined || config !== undefined || set !== undefined)
    return attackSettings({
      ...(run !== undefined && { run }),
      ...(config !== undefined && { config }),
      ...(set && { set }),
      ...(plugin && { plugin }),
    })
  if (plugin) throw new UsageError('--plugin only brings attacks: choose one with --set attack=<name>')
  return undefined
}

async function underAttack(
  runtime: Runtime,
  { model, weights }: Checkpoint,
  images: ImageSource,
  clean: Int32Array,
  { settings, attack: configured }: Awaited<ReturnType<typeof attackSettings>>,
  terminal: Monitor,
) {
  const { attack, surrogate: surrogateName, poisoning, seed } = settings
  const classes = model.classNames.length
  if (poisoning.target >= classes) {
    throw new UsageError(
      `poisoning.target is ${poisoning.target}, but ${images.name} has the classes 0 to ${classes - 1}`,
    )
  }
  const surrogate = configured.needs.surrogate ? await loadCheckpoint(surrogateName) : undefined
  if (surrogate) {
    warnIfPoisoned(terminal, surrogateName, surrogate)
    assertFits(surrogate.model, images)
  }
  const { height, width, labels } = images
  const context = { seed, height, width, classes, ...(surrogate && { surrogate: surrogateOf(surrogate) }) }
  const bar = terminal.progress('triggers', images.count)
  try {
    const prepared = await configured.prepare({ ...context, runtime })
    const pixels = await renderToMemory(runtime, configured.trigger(context, prepared), images, {
      seed,
      progress: done => bar.update(done),
    })
    const triggered = await predict(runtime, model, weights, pixels, BATCH)
    const { asr, ra, baseRate } = backdoorRates({
      labels,
      goals: goals(labels, poisoning, classes),
      clean,
      triggered,
    })
    return { attack, poisoning, ...(surrogate && { surrogate: surrogateName }), asr, ra, baseRate }
  } finally {
    bar.stop()
  }
}

function share(label: string, value: Rate | null): Row {
  return value ? [label, percent(value.value), intervalNote(value)] : [label, '–', 'no images']
}
