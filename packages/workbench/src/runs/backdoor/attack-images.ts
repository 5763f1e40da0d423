import {
  type Effect,
  type ImageProgram,
  type ImageSource,
  type PoisonPlan,
  type Prepared,
  subsetOf,
} from '@ageb/lab'
import { InputError } from 'onnxgrad'
import type { BackdoorRunConfig } from '../../configuration/backdoor-config.js'
import {
  type AttackSubject,
  type GetMaps,
  mapStage,
  poisonStage,
  preparationStage,
  triggerContext,
  triggerStage,
} from '../../stages/attack-stages.js'
import { effectStage } from '../../stages/effect-stage.js'
import { type GalleryImage, galleryStage } from '../../stages/gallery-stage.js'
import type { StageLog } from '../../stages/stage-log.js'
import { assertLabelsFit } from '../../triggers/assert-labels-fit.js'
import { assertEffect, sayEffect } from '../../triggers/say-effect.js'
import type { Monitor } from '../monitor.js'

/** Test images in the gallery of a report. */
const GALLERY = 8

export interface AttackedImages {
  readonly plan: PoisonPlan
  /** The test images with the trigger. */
  readonly triggered: ImageSource
  readonly effects: AttackEffects
  readonly gallery: readonly GalleryImage[]
}

/** On how many images the attack had an effect. */
export interface AttackEffects {
  /** Of the poisoned training images. */
  readonly poison: Effect
  /** Of the triggered test images whose class is not the goal yet. */
  readonly test: Effect
}

/**
 * The trigger of an attack for images of the subject's size.
 * @throws InputError if its parameters or its surrogate do not fit the images or their classes
 */
export function triggerFor(
  subject: Omit<AttackSubject, 'engine'>,
  prepared: Prepared,
  classNames: readonly string[],
): ImageProgram {
  const program = subject.attack.trigger(triggerContext(subject), prepared)
  assertLabelsFit(program, subject.surrogate?.model, classNames)
  return program
}

/**
 * Prepares an attack, poisons training images and triggers test images.
 * @throws InputError if it poisons nothing, or changes none of the poisoned or of the test images
 */
export async function attackImages(
  stages: StageLog,
  subject: AttackSubject,
  { train, test, goal }: { train: ImageSource; test: ImageSource; goal: Int32Array },
  { poisoning }: Pick<BackdoorRunConfig, 'poisoning'>,
  monitor: Monitor,
): Promise<AttackedImages> {
  const { engine, plugin } = subject
  const prepared = (await stages.run('preparation', preparationStage, subject)).output
  triggerFor(subject, prepared, train.classNames)
  const maps: GetMaps = async (program, images) => {
    const found: Awaited<ReturnType<GetMaps>> = {}
    for (const [name, map] of Object.entries(program.maps ?? {}))
      found[name] = (
        await stages.run(name, mapStage, { engine, label: name.replaceAll('-', ' '), map, plugin, images })
      ).output
    return found
  }
  const common = { subject, prepared, maps }
  const plan = (await stages.run('poison', poisonStage, { ...common, images: train, poisoning })).output
  const poisoned = [...plan.items.keys()].filter(i => plan.items[i]!.role === 'poison')
  if (poisoned.length === 0)
    throw new InputError(`${subject.attack.name} poisons no image: raise poisoning.rate`)
  const poison = await effect('poisoned images', {
    clean: subsetOf(
      train,
      poisoned.map(i => plan.items[i]!.index),
    ),
    triggered: subsetOf(plan.pixels, poisoned),
  })
  const triggered = (await stages.run('triggers', triggerStage, { ...common, images: test })).output
  const attacked = [...test.labels.keys()].filter(i => test.labels[i] !== goal[i])
  const testEffect = await effect('triggered test images', {
    clean: subsetOf(test, attacked),
    triggered: subsetOf(triggered, attacked),
  })
  const chosen = attacked.slice(0, GALLERY)
  const gallery = (await stages.run('gallery', galleryStage, { ...common, images: test, chosen })).output
  return { plan, triggered, effects: { poison, test: testEffect }, gallery }

  async function effect(
    images: string,
    pair: { clean: ImageSource; triggered: ImageSource },
  ): Promise<Effect> {
    const { output } = await stages.run('effect', effectStage, pair)
    assertEffect(output, images)
    sayEffect(output, images, monitor)
    return output
  }
}
