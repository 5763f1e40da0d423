import { InputError } from 'onnxgrad'
import { z } from 'zod'
import type { ModelFamily } from '../models/define-family.js'
import type { Model } from '../models/model.js'
import { families } from '../models/registry.js'
import { type ProblemType, type Provenance, problemType, provenance } from './checkpoint.js'
import { exportFromTransformers } from './export-hint.js'
import { labels, namesOf } from './labels.js'
import { inputSide, type Preprocessing } from './preprocessing.js'
import { checkJson } from './read-json.js'
import { quote } from './safetensors-format.js'

/** Classes of which names are made up if the file has none; more are a fault of the file. */
const MOST_CLASSES = 1_000_000

const familyName = z.enum(Object.keys(families) as (keyof typeof families)[])
/** What config.json has for every family. */
const commonConfig = z.object({
  model_type: familyName,
  architectures: z.array(z.string()).nullish(),
  id2label: labels.nullish(),
  // Read where `id2label` is missing; elsewhere it may hold anything.
  label2id: z.unknown().optional(),
  // As `transformers` has it: a configuration that names no classes is of two.
  num_labels: z.int().positive().max(MOST_CLASSES).default(2),
  problem_type: problemType.nullish(),
  ageb: provenance.optional(),
})

const numbered = z.record(z.string(), z.union([z.int().nonnegative(), z.string().regex(/^\d+$/)]))

/** An object of JSON. */
export const plainObject = z.record(z.string(), z.unknown())
export type PlainObject = z.infer<typeof plainObject>

/** What a config.json says, checked. */
export interface Configuration {
  readonly family: ModelFamily
  readonly classNames: readonly string[]
  readonly provenance: Provenance
  readonly problemType: ProblemType | undefined
  readonly remarks: readonly string[]
  /** The model for some classes. Throws InputError if sizes do not go together. */
  build(classNames: readonly string[]): Model
}

/** The family that a model is of; undefined if it was not built from a configuration. */
export function familyOf({ modelType }: Model): ModelFamily | undefined {
  const known = familyName.safeParse(modelType)
  return known.success ? families[known.data] : undefined
}

/**
 * Reads a config.json of any family.
 * @param file its name, for messages.
 * @throws InputError naming the file and the key that is wrong.
 */
export function readConfiguration(
  plain: PlainObject,
  preprocessing: Preprocessing | undefined,
  file: string,
): Configuration {
  assertKnownFamily(plain, file)
  const common = checkJson(plain, commonConfig, file)
  const family: ModelFamily = families[common.model_type]
  const { architectures, ...others } = plain
  // Classes without a classifier, such as ViTModel, say nothing about which head is to come.
  const known = common.architectures?.find(name => family.architectures.includes(name))
  const side = family.anyImageSize && preprocessing ? inputSide(preprocessing) : undefined
  const keys: PlainObject = {
    ...family.absentKeys,
    ...others,
    ...(known !== undefined && { architectures: [known] }),
    ...(side !== undefined && { image_size: side }),
  }
  for (const key of ['image_size', 'patch_size']) if (key in keys) keys[key] = sideOf(keys[key], key, file)
  const config = checkJson(keys, family.config, file)
  const { channels, mean, std } = preprocessing ?? {}
  return {
    family,
    classNames: classNamesOf(common, file),
    provenance: common.ageb ?? { poisoned: false, note: 'unknown origin' },
    problemType: common.problem_type ?? undefined,
    remarks: otherSize(others.image_size, side, file),
    build(classNames) {
      try {
        return family.build(config, { classNames, channels, mean, std })
      } catch (error) {
        throw new InputError(`${file}: ${(error as Error).message}`)
      }
    },
  }
}

/** Throws InputError that says what came, and how such a model can be used, if it is of no family here. */
function assertKnownFamily({ model_type, architectures }: PlainObject, file: string): void {
  if (typeof model_type !== 'string' || familyName.safeParse(model_type).success) return
  const [architecture] = Array.isArray(architectures) ? architectures : []
  const named = typeof architecture === 'string' ? ` (${quote(architecture)})` : ''
  throw new InputError(
    `${file}: 'model_type' ${quote(model_type)}${named} is not supported, only ${familyName.options.join(', ')} are; ` +
      `if it classifies images, ${exportFromTransformers(folderOf(file))}`,
  )
}

const folderOf = (file: string) => file.replace(/\/[^/]*$/, '')

/** Says that the preprocessor's size, where there is one, was taken rather than another one in config.json. */
export function otherSize(configured: unknown, taken: number | undefined, file: string): string[] {
  if (taken === undefined || typeof configured !== 'number' || configured === taken) return []
  return [
    `${file} says 'image_size' ${configured}, but preprocessor_config.json makes pictures of ${taken}×${taken}: ` +
      `images of ${taken}×${taken} are taken`,
  ]
}

/** A size that may be written as height and width. */
function sideOf(value: unknown, key: string, file: string): unknown {
  if (!Array.isArray(value) || value.length !== 2) return value
  const [height, width] = value
  if (height === width) return height
  throw new InputError(`${file}: '${key}' is ${height}×${width}, and only squares are supported`)
}

function classNamesOf(
  { id2label, label2id, num_labels }: z.infer<typeof commonConfig>,
  file: string,
): string[] {
  if (!id2label && label2id) {
    const numbers = checkJson(label2id, numbered, `${file}: 'label2id'`)
    return namesOf(Object.fromEntries(Object.entries(numbers).map(([name, i]) => [i, name])), file)
  }
  if (!id2label) return Array.from({ length: num_labels }, (_, i) => `LABEL_${i}`)
  return namesOf(id2label, file)
}
