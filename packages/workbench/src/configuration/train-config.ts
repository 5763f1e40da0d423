import { modelConfig, trainingConfig } from '@ageb/lab'
import { deviceChoices } from 'onnxgrad'
import { z } from 'zod'

/** What holds for every kind of run. */
export const common = {
  seed: z.int().min(0).default(1).describe('decides everything that is drawn at random'),
  threads: z.int().positive().optional().describe('threads of the runtime; default: all cores'),
  device: z
    .enum(deviceChoices)
    .default('cpu')
    .describe('where models run; results are bit-identical only for equal device and threads'),
  dataset: z
    .string()
    .default('cifar10-subset')
    .describe('a bundled data set, a folder, or owner/name on the hub'),
  columns: z
    .strictObject({
      image: z.string().optional().describe('column of the images, where a data set has several'),
      label: z.string().optional().describe('column of the labels, where a data set has several'),
    })
    .prefault({}),
}

/** Configuration of `ageb train`. */
export const trainRunConfig = z.strictObject({
  kind: z.literal('train').default('train'),
  ...common,
  model: modelConfig.prefault({}),
  from: z
    .string()
    .optional()
    .describe(
      'checkpoint to start from in place of `model`: a folder, a bundled name or owner/name on the hub; if its classes are not those of the data, its head is made anew',
    ),
  imageSize: z
    .int()
    .positive()
    .optional()
    .describe(
      "with `from`: side of the model's input in pixels, position embeddings are interpolated; default: the checkpoint's",
    ),
  training: trainingConfig.prefault({}),
})
export type TrainRunConfig = z.infer<typeof trainRunConfig>
