import { type Monitor, type Prediction, percent, predictPictures, type Row } from '@ageb/workbench'
import type { MachineFlags } from '../../cli/options.js'
import { type Outcome, table } from '../../cli/output.js'

export interface PredictFlags extends MachineFlags {
  readonly top: number
}

/** Predicts the classes of pictures. */
export async function predicted(
  model: string,
  pictures: readonly string[],
  { top, threads, device }: PredictFlags,
  monitor: Monitor,
): Promise<Outcome> {
  const predictions = await predictPictures(model, pictures, { top, threads, device, monitor })
  return {
    data: { model, ...(predictions.length === 1 && predictions[0]), predictions },
    text: table(predictions.flatMap(rows)),
  }
}

function rows({ image, top }: Prediction): Row[] {
  return top.map(({ label, probability }, i) => [i === 0 ? image : '', label, percent(probability)])
}
