import type { ImageSource } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import type { LoadedModel } from './loaded-model.js'
import type { RunFolder } from './run-folder.js'

const FILE = 'inputs.json'

/** What a run works on: the digest of each thing, by the name by which a person knows it. */
export type Inputs = Readonly<Record<string, string>>

/** @param models by what they are in the configuration */
export function inputsOf(
  dataset: string,
  splits: Readonly<Record<string, ImageSource>>,
  models: Readonly<Record<string, LoadedModel | undefined>>,
): Inputs {
  return Object.fromEntries([
    ...Object.values(splits).map(({ split, id }) => [`${dataset} (${split})`, id]),
    ...Object.entries(models).flatMap(([part, model]) =>
      model ? [[`${model.name} (${part})`, model.digest]] : [],
    ),
  ])
}

/**
 * Notes what a run works on, or sees that it is what the run began with: a data set or a model may have been replaced
 * since, and then the resumed run would be two halves of different experiments.
 *
 * @throws InputError naming what was replaced, or the note if that is damaged
 */
export async function assertSameInputs(folder: RunFolder, inputs: Inputs): Promise<void> {
  const remedy = 'delete it, if data and models are those that the run began with; otherwise begin a new run'
  const noted = await folder.readSealed(FILE, remedy)
  if (!noted) return folder.writeSealed(FILE, inputs)
  for (const [name, digest] of Object.entries(inputs)) {
    if (noted[name] !== digest)
      throw new InputError(
        `${name}: this is not what ${folder.path} began with: restore it, or begin a new run`,
      )
  }
}
