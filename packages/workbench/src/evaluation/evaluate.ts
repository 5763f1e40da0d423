import {
  accuracy,
  assertFits,
  backdoorRates,
  type Checkpoint,
  confusion,
  effectOf,
  goals,
  type ImageSource,
  type Provenance,
  predict,
  type Rate,
  rate,
  renderToMemory,
  subsetOf,
} from '@ageb/lab'
import type { Runtime, RuntimeChoice } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { openCheckpoint } from '../checkpoints/open-checkpoint.js'
import type { AttackSettings } from '../configuration/attack-settings.js'
import type { BackdoorRunConfig } from '../configuration/backdoor-config.js'
import { UsageError } from '../configuration/resolve.js'
import { abortable } from '../data/abortable.js'
import { openSplit } from '../data/dataset.js'
import type { ColumnChoice } from '../data/parquet-schema.js'
import { silent, type WatchOptions } from '../runs/monitor.js'
import { assertLabelsFit } from '../triggers/assert-labels-fit.js'
import { preparedTrigger } from '../triggers/prepared-trigger.js'
import { sayEffect } from '../triggers/say-effect.js'
import { surrogateFor } from '../triggers/surrogate-for.js'

/** What is not given is the attack's: data set, columns, threads and device of its configuration. */
export interface EvaluateOptions extends WatchOptions, RuntimeChoice {
  /** The attack under which the checkpoint is evaluated, besides clean. Default: none. */
  readonly attack?: AttackSettings | undefined
  /** A bundled data set, a folder, or `owner/name` on the hub. Default without an attack: `cifar10-subset`. */
  readonly dataset?: string | undefined
  readonly columns?: ColumnChoice | undefined
  /** Default: `test`. */
  readonly split?: string | undefined
}

/** How well a checkpoint does on a split. Rates are from 0 to 1, with 95 % intervals. */
export interface Evaluation extends Partial<AttackEvaluation> {
  /** As it was given. */
  readonly model: string
  readonly dataset: string
  /** The split that was read: `validation` may stand for `test`. */
  readonly split: string
  readonly n: number
  /** Accuracy on the images as they are. */
  readonly cda: Rate
  /** Null for a class of which there is no image. */
  readonly perClass: readonly { readonly class: string; readonly accuracy: Rate | null }[]
  readonly provenance: Provenance
}

/** How well an attack does on a checkpoint: `docs/metrics.md` defines the rates, null if there is no image for one. */
export interface AttackEvaluation {
  readonly attack: BackdoorRunConfig['attack']
  readonly poisoning: BackdoorRunConfig['poisoning']
  /** Name of the checkpoint with which triggers are computed, if the attack needs one. */
  readonly surrogate?: string
  /** Images that count for the attack but that the trigger leaves as they are. */
  readonly unchanged: number
  readonly asr: Rate | null
  readonly ra: Rate | null
  readonly baseRate: Rate | null
}

const BATCH = 100

/**
 * Measures a checkpoint on a split: clean, and under an attack if one is given.
 *
 * @example
 * const { cda } = await evaluate('vit-cifar10', { dataset: 'uoft-cs/cifar10' })
 * const run = 'runs/demo-20250131-142501'
 * const { asr } = await evaluate(`${run}/backdoored-model`, { attack: await attackSettings({ run }) })
 * @param model a folder, an ONNX file, a bundled name, or `owner/name` on the hub
 * @throws InputError if data or a model is amiss; UsageError if the attack's target is no class of the data
 */
export async function evaluate(
  model: string,
  { attack, split = 'test', monitor = silent, signal, ...options }: EvaluateOptions = {},
): Promise<Evaluation> {
  const checkpoint = await openCheckpoint(model, monitor)
  const { imageSize: size, classNames } = checkpoint.model
  const settings = attack?.settings
  const dataset = options.dataset ?? settings?.dataset ?? 'cifar10-subset'
  const columns = options.columns ?? settings?.columns
  const opened = await openSplit({ dataset, columns, split, size, classNames, monitor, signal })
  const images = abortable(opened, signal)
  assertFits(checkpoint.model, images)

  const runtime = startRuntime({
    threads: options.threads ?? settings?.threads,
    device: options.device ?? settings?.device,
  })
  try {
    const clean = await predict(runtime, checkpoint.model, checkpoint.weights, images, BATCH)
    const matrix = confusion(images.labels, clean, classNames.length)
    const perClass = classNames.map((label, i) => {
      const n = matrix[i]!.reduce((sum, count) => sum + count, 0)
      return { class: label, accuracy: n > 0 ? rate(matrix[i]![i]!, n) : null }
    })
    return {
      model,
      dataset,
      split: images.split,
      n: images.count,
      cda: accuracy(images.labels, clean),
      perClass,
      provenance: checkpoint.provenance,
      ...(attack && (await underAttack(runtime, checkpoint, images, clean, attack, { monitor, signal }))),
    }
  } finally {
    await runtime.close()
  }
}

async function underAttack(
  runtime: Runtime,
  { model, weights }: Checkpoint,
  images: ImageSource,
  clean: Int32Array,
  chosen: AttackSettings,
  { monitor = silent, signal }: WatchOptions,
): Promise<AttackEvaluation> {
  const { attack, surrogate: surrogateName, poisoning, seed } = chosen.settings
  const classes = model.classNames.length
  if (poisoning.target >= classes) {
    throw new UsageError(
      `poisoning.target is ${poisoning.target}, but ${images.name} has the classes 0 to ${classes - 1}`,
    )
  }
  const surrogate = chosen.attack.needs.surrogate
    ? surrogateFor(await openCheckpoint(surrogateName, monitor), surrogateName, images, monitor)
    : undefined
  const { labels } = images
  const bar = monitor.progress('triggers', images.count)
  try {
    const trigger = await preparedTrigger(runtime, chosen, images, classes, surrogate)
    assertLabelsFit(trigger, surrogate?.model, images.classNames)
    const pixels = await renderToMemory(runtime, trigger, images, {
      seed,
      ...(signal && { signal }),
      progress: done => bar.update(done),
    })
    const triggered = await predict(runtime, model, weights, abortable(pixels, signal), BATCH)
    const wanted = goals(labels, poisoning, classes)
    const attacked = [...labels.keys()].filter(i => labels[i] !== wanted[i])
    const effect = await effectOf(subsetOf(images, attacked), subsetOf(pixels, attacked))
    sayEffect(effect, 'triggered images', monitor)
    const { asr, ra, baseRate } = backdoorRates({
      labels,
      goals: wanted,
      clean,
      triggered,
    })
    return {
      attack,
      poisoning,
      ...(surrogate && { surrogate: surrogateName }),
      unchanged: effect.unchanged,
      asr,
      ra,
      baseRate,
    }
  } finally {
    bar.stop()
  }
}
