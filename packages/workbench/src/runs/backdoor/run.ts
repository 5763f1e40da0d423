import {
  assertTrainable,
  goals,
  type ImageSource,
  poisonable,
  poisonedSet,
  resolveAttack,
  SSIM_WINDOW,
} from '@ageb/lab'
import { InputError } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import type { BackdoorRunConfig } from '../../configuration/backdoor-config.js'
import { attacksOf, pluginOf } from '../../plugins/plugin.js'
import type { AttackSubject } from '../../stages/attack-stages.js'
import { type Engine, machineKey } from '../../stages/machine.js'
import { predictionStage } from '../../stages/prediction-stage.js'
import { stealthStage } from '../../stages/stealth-stage.js'
import { surrogateFor } from '../../triggers/surrogate-for.js'
import { assertAttackable } from '../assert-attackable.js'
import { fitted } from '../fitted.js'
import { assertSameInputs, inputsOf } from '../inputs.js'
import { describedModel, loadModel } from '../loaded-model.js'
import type { OnMachine, RunContext } from '../run-kind.js'
import { splitsOf } from '../splits.js'
import { trainThroughStore } from '../train-through-store.js'
import { attackImages, triggerFor } from './attack-images.js'
import { recordBackdoor } from './record.js'

/**
 * A backdoor experiment, end to end: the attack's poison and triggers, the victim fine-tuned on poisoned data, its
 * clean twin fine-tuned alike without poison, and what both predict for every test image. What the store has already
 * is not done again. Record and models are written into the run's folder.
 */
export async function backdoorRun(context: RunContext, config: OnMachine<BackdoorRunConfig>) {
  const { monitor, signal, stages, folder } = context
  const attack = resolveAttack(config.attack, attacksOf(context.plugins))
  const plugin = pluginOf(attack.name, context.plugins)
  const surrogate = attack.needs.surrogate ? await loadModel(config.surrogate, monitor) : undefined
  const loaded = await loadModel(config.victim, monitor, { withoutClassifier: true })
  const { imageSize: size, classNames: known } = loaded.checkpoint.model
  const { train, test } = await splitsOf(config, { size, classNames: known, monitor, signal })
  const { classNames } = train
  const victim = describedModel(
    fitted(monitor, loaded.name, loaded.checkpoint, { classNames, seed: config.seed }),
    loaded,
  )
  const { model, weights } = victim.checkpoint
  assertTrainable(model, config.training, train)
  poisonable(train, config.poisoning)
  assertAttackable(test, config.poisoning)
  assertComparable(test)
  const goal = goals(test.labels, config.poisoning, classNames.length)
  const attacked = {
    attack,
    plugin,
    seed: config.seed,
    height: train.height,
    width: train.width,
    classes: classNames.length,
    surrogate: surrogate && surrogateFor(surrogate.checkpoint, surrogate.name, train, monitor),
  }
  // With nothing to prepare, it is known now whether there is a trigger for these images.
  if (!attack.prepares) triggerFor(attacked, {}, classNames)
  await assertSameInputs(folder, inputsOf(config.dataset, { train, test }, { surrogate, victim }))

  const runtime = startRuntime(config)
  try {
    const engine: Engine = { runtime, machine: machineKey(config) }
    const subject: AttackSubject = { engine, ...attacked }
    const { plan, triggered, effects, gallery } = await attackImages(
      stages,
      subject,
      { train, test, goal },
      config,
      monitor,
    )
    const fineTune = (name: string, label: string, data: ImageSource) =>
      trainThroughStore(stages, name, {
        label,
        engine,
        model,
        weights,
        digest: victim.digest,
        data,
        config: config.training,
        seed: config.seed,
      })
    const twin = await fineTune('clean-twin', 'clean twin', train)
    const backdoored = await fineTune('victim', 'victim', poisonedSet(train, plan))
    const predict = async ({ output, key }: typeof twin, images: ImageSource) => {
      const input = { engine, model, weights: output.weights, digest: key, images }
      return (await stages.run('predictions', predictionStage, input)).output
    }
    await recordBackdoor(folder, config, {
      attack,
      plugin,
      surrogate: surrogate && { ...surrogate, resampling: attacked.surrogate?.resizing?.resampling },
      victim,
      train,
      test,
      plan,
      twin: twin.output,
      backdoored: backdoored.output,
      predictions: {
        index: Int32Array.from(test.labels.keys()),
        label: test.labels,
        goal,
        twinClean: await predict(twin, test),
        twinTriggered: await predict(twin, triggered),
        victimClean: await predict(backdoored, test),
        victimTriggered: await predict(backdoored, triggered),
      },
      stealth: (await stages.run('stealth', stealthStage, { clean: test, changed: triggered })).output,
      effects,
      gallery,
    })
    return { pace: backdoored.output.pace }
  } finally {
    await runtime.close()
  }
}

/** Images that SSIM cannot compare are refused before hours of work. */
function assertComparable({ name, height, width }: ImageSource): void {
  if (Math.min(height, width) >= SSIM_WINDOW) return
  throw new InputError(
    `${name} has ${width}×${height} images, but SSIM needs ${SSIM_WINDOW} pixels a side: use a model of larger images`,
  )
}
