import { createHash } from 'node:crypto'
import {
  assertFits,
  type BackdoorEvaluation,
  type Checkpoint,
  evaluateBackdoor,
  type ImageSource,
  imagesInMemory,
  loadTrigger,
  poison,
  predict,
  SSIM_WINDOW,
  type Weights,
} from '@ageb/lab'
import { InputError, type Runtime } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { loadCheckpoint, saveCheckpoint } from '../checkpoints/checkpoint-folder.js'
import { type BackdoorRunConfig, backdoorRunConfig } from '../configuration/backdoor-config.js'
import { check, UsageError } from '../configuration/resolve.js'
import type { BackdoorRunResult } from './backdoor-run-result.js'
import { fitted } from './fitted.js'
import type { Monitor } from './monitor.js'
import { warnIfPoisoned } from './provenance.js'
import type { RunFolder } from './run-folder.js'
import { splitsOf } from './splits.js'
import { trackedTraining } from './tracked-training.js'
import { trainingSpeed } from './training-speed.js'

const BATCH = 100

/**
 * A backdoor experiment, end to end: triggers from the surrogate's attention gradients, the victim fine-tuned on
 * poisoned data, its clean twin fine-tuned alike without poison, and the figures of both on the test split.
 */
export async function backdoorRun(
  run: RunFolder,
  plain: Record<string, unknown>,
  monitor: Monitor,
  signal: AbortSignal,
): Promise<BackdoorRunResult> {
  const startedAt = new Date()
  const config = check(backdoorRunConfig, plain, run.file('config.yaml'))
  const surrogate = await loadCheckpoint(config.surrogate)
  const loaded = await loadCheckpoint(config.victim, { withoutClassifier: true })
  warnIfPoisoned(monitor, config.surrogate, surrogate)
  warnIfPoisoned(monitor, config.victim, loaded)
  const { train, test } = await splitsOf(config, { size: loaded.model.imageSize, monitor, signal })
  const { classNames } = train
  const victim = fitted(monitor, config.victim, loaded, { classNames, seed: config.seed })
  assertFits(victim.model, train)
  assertFits(surrogate.model, train)
  if (Math.min(test.height, test.width) < SSIM_WINDOW) {
    throw new InputError(
      `${test.name} has ${test.width}×${test.height} images, but SSIM needs ${SSIM_WINDOW} pixels a side`,
    )
  }

  const runtime = startRuntime(config)
  try {
    const { poisoned, triggered } = await triggerImages(runtime, config, surrogate, train, test, monitor)
    const fineTune = (phase: string, data: ImageSource) =>
      trackedTraining({
        run,
        monitor,
        phase,
        runtime,
        model: victim.model,
        from: victim.weights,
        data,
        config: config.training,
        seed: config.seed,
        signal,
      })
    const recipe = recipeOf(config, victim, train)
    const twin = (await knownTwin(config, recipe)) ?? (await fineTune('clean', train))
    const backdoored = await fineTune('poisoned', poisoned.set)

    const call = (weights: Weights, images: ImageSource) =>
      predict(runtime, victim.model, weights, images, BATCH)
    const triggeredTest = imagesInMemory({ ...test, split: test.split, pixels: triggered })
    const evaluation = await evaluateBackdoor(
      test,
      triggeredTest,
      {
        twinClean: await call(twin, test),
        twinTriggered: await call(twin, triggeredTest),
        victimClean: await call(backdoored, test),
        victimTriggered: await call(backdoored, triggeredTest),
      },
      config.poisoning,
    )
    await saveModels(run, config, victim, { twin, backdoored }, train, recipe)
    await run.write('poisoned-indices.json', `${JSON.stringify([...poisoned.indices])}\n`)
    const speed = await trainingSpeed(
      runtime,
      victim.model,
      config.training,
      train,
      (await run.events()).filter(event => event.phase === 'poisoned'),
    )
    const finishedAt = new Date()
    await run.finish(figuresOf(config, evaluation, train, poisoned.indices.length), {
      seconds: (finishedAt.getTime() - startedAt.getTime()) / 1000,
      speed,
      startedAt: startedAt.toISOString(),
      finishedAt: finishedAt.toISOString(),
    })
    return (await run.result<BackdoorRunResult>())!
  } finally {
    await runtime.close()
  }
}

/** Digest of all that decides the clean twin's weights. */
function recipeOf(
  { training, seed, threads, device }: BackdoorRunConfig,
  victim: Checkpoint,
  train: ImageSource,
): string {
  const digest = createHash('sha256').update(JSON.stringify({ training, seed, threads, device }))
  for (const name of Object.keys(victim.model.parameters)) digest.update(victim.weights[name]!)
  return digest.update(train.id).digest('hex')
}

/** The weights of the clean twin that the configuration names. Throws UsageError if it was made otherwise. */
async function knownTwin({ cleanTwin }: BackdoorRunConfig, recipe: string): Promise<Weights | null> {
  if (cleanTwin === undefined) return null
  const { weights, provenance } = await loadCheckpoint(cleanTwin)
  if (provenance.recipe === recipe) return weights
  throw new UsageError(
    `cleanTwin: ${cleanTwin} was not fine-tuned from this victim with this data, training, seed, device and thread count: leave it out`,
  )
}

/** Poisons the training set and triggers the test images. */
async function triggerImages(
  runtime: Runtime,
  config: BackdoorRunConfig,
  surrogate: Checkpoint,
  train: ImageSource,
  test: ImageSource,
  monitor: Monitor,
) {
  const trigger = await loadTrigger(runtime, { attack: config.attack, surrogate })
  const count = Math.round(config.poisoning.rate * train.count)
  const bar = monitor.progress('triggers', count + test.count)
  try {
    const poisoned = await poison(train, config.poisoning, trigger, config.seed, done => bar.update(done))
    const triggered = await trigger.apply(test, done => bar.update(count + done))
    return { poisoned, triggered }
  } finally {
    bar.stop()
    await trigger.release()
  }
}

/** Saves both fine-tuned models; the backdoored one says so in its own files. */
async function saveModels(
  run: RunFolder,
  { attack, poisoning, seed }: BackdoorRunConfig,
  victim: Checkpoint,
  { twin, backdoored }: { twin: Weights; backdoored: Weights },
  train: ImageSource,
  recipe: string,
): Promise<void> {
  const note = `fine-tuned by ageb on the train split of ${train.name}`
  await saveCheckpoint(run.file('clean-model'), {
    ...victim,
    weights: twin,
    provenance: { poisoned: false, seed, recipe, note },
  })
  await saveCheckpoint(run.file('backdoored-model'), {
    ...victim,
    weights: backdoored,
    provenance: {
      poisoned: true,
      attack: attack.name,
      parameters: JSON.stringify(attack),
      target: poisoning.mode === 'all-to-all' ? 'the next class' : train.classNames[poisoning.target]!,
      poisonRate: poisoning.rate,
      seed,
      note: `${note}, deliberately backdoored: for research on defenses only`,
    },
  })
}

/** What the configuration decides: no times, no paths. */
function figuresOf(
  config: BackdoorRunConfig,
  evaluation: BackdoorEvaluation,
  train: ImageSource,
  poisonCount: number,
): Omit<BackdoorRunResult, 'run' | 'seconds' | 'speed' | 'startedAt' | 'finishedAt'> {
  const { attack, dataset, poisoning, seed } = config
  const { rates, cleanCda, cleanAsr, stealth } = evaluation
  const figures = { cleanCda, ...rates, cleanAsr, ...stealth }
  const value = (name: keyof typeof figures) => figures[name].value
  return {
    report: 'report.html',
    attack: attack.name,
    dataset,
    poisonRate: poisoning.rate,
    poisonCount,
    cleanCda: value('cleanCda'),
    cda: value('cda'),
    cdaDrop: value('cleanCda') - value('cda'),
    asr: value('asr'),
    cleanAsr: value('cleanAsr'),
    baseRate: value('baseRate'),
    ra: value('ra'),
    psnr: value('psnr'),
    ssim: value('ssim'),
    linf: value('linf'),
    meanAbs: value('meanAbs'),
    nTrain: train.count,
    nTest: cleanCda.n,
    evaluatedOn: config.heldOut > 0 ? 'held-out training images' : 'test split',
    seed,
    intervals: Object.fromEntries(
      Object.entries(figures).map(([name, { low, high, n }]) => [name, { low, high, n }]),
    ),
    evaluation,
  }
}
