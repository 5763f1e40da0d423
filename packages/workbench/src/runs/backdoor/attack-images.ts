import type { ImageSource, PoisonPlan } from '@ageb/lab'
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
import { type GalleryImage, galleryStage } from '../../stages/gallery-stage.js'
import type { StageLog } from '../../stages/stage-log.js'
import { assertLabelsFit } from '../../triggers/assert-labels-fit.js'

/** Test images in the gallery of a report. */
const GALLERY = 8

export interface AttackedImages {
  readonly plan: PoisonPlan
  /** The test images with the trigger. */
  readonly triggered: ImageSource
  readonly gallery: readonly GalleryImage[]
}

/** Prepares an attack, poisons training images and triggers test images. */
export async function attackImages(
  stages: StageLog,
  subject: AttackSubject,
  { train, test, goal }: { train: ImageSource; test: ImageSource; goal: Int32Array },
  { poisoning }: Pick<BackdoorRunConfig, 'poisoning'>,
): Promise<AttackedImages> {
  const { engine, plugin } = subject
  const prepared = (await stages.run('preparation', preparationStage, subject)).output
  const program = subject.attack.trigger(triggerContext(subject), prepared)
  assertLabelsFit(program, subject.surrogate?.model, train.classNames)
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
  const triggered = (await stages.run('triggers', triggerStage, { ...common, images: test })).output
  const chosen = [...test.labels.keys()].filter(i => test.labels[i] !== goal[i]).slice(0, GALLERY)
  const gallery = (await stages.run('gallery', galleryStage, { ...common, images: test, chosen })).output
  return { plan, triggered, gallery }
}
