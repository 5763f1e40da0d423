import { modelConfig, trainingConfig } from '@ageb/lab'
import { deviceChoices } from 'onnxgrad'
import { z } from 'zod'

/** The keys of every kind of run. */
export const common = {
  seed: z.int().min(0).default(1).describe('seed of all random numbers'),
  threads: z
    .int()
    .positive()
    .optional()
    .describe('threads of the runtime; results depend on their number; default: all cores'),
  device: z
    .enum(deviceChoices)
    .default('cpu')
    .describe(
      'where models run; results are equal bit for bit only with the same device and number of threads',
    ),
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
      'checkpoint to fine-tune, instead of a new `model`: a folder, an ONNX file, a bundled name or owner/name on the hub; if its classes are not those of the data, it gets a new head',
    ),
  imageSize: z
    .int()
    .positive()
    .optional()
    .describe(
      "with `from`: side of the model's input in pixels; position embeddings are interpolated to it; default: the checkpoint's",
    ),
  training: trainingConfig.prefault({}),
})
export type TrainRunConfig = z.infer<typeof trainRunConfig>
