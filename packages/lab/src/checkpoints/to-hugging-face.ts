import { InputError, sizeOf } from 'onnxgrad'
import { z } from 'zod'
import { batchCounters } from '../models/batch-norm.js'
import type { Model } from '../models/model.js'
import type { Checkpoint, CheckpointFiles } from './checkpoint.js'
import { familyOf } from './configuration.js'
import { isImported } from './imported-checkpoint.js'
import { preprocessorOf } from './preprocessing.js'
import { toOnnxClassifier } from './to-onnx-classifier.js'
import { type WritableTensor, writeSafetensors } from './write-safetensors.js'

/** The largest float16. */
const LARGEST_HALF = 65504

export interface WriteOptions {
  /** How weights are stored. Default: float32. */
  readonly dtype?: 'float32' | 'float16'
}

/** What `transformers` has no class for; undefined if it can read such a model. */
export function notInTransformers(model: Model): string | undefined {
  const family = familyOf(model)
  return family?.notInTransformers?.(family.config.parse(model.config))
}

/**
 * Files that `transformers` reads, if the model is of a family that it has.
 * @throws InputError if the model was read from ONNX, or a weight is too large for float16.
 */
export function toHuggingFace(
  checkpoint: Checkpoint,
  { dtype = 'float32' }: WriteOptions = {},
): CheckpointFiles {
  const { model, weights, provenance } = checkpoint
  const family = familyOf(model)
  if (!family)
    throw new InputError(
      'transformers has no class for a model that was read from ONNX: write it as ONNX (--format onnx)',
    )
  const counters = batchCounters(model.parameters).map((name): [string, WritableTensor] => [
    name,
    { dtype: 'I64', shape: [], data: BigInt64Array.of(0n) },
  ])
  const idle = Object.entries(family.idleTensors?.(family.config.parse(model.config)) ?? {})
  const stored = [
    ...Object.entries(model.parameters).map(([name, { shape }]) => ({ name, shape, data: weights[name]! })),
    ...idle.map(([name, shape]) => ({ name, shape, data: new Float32Array(sizeOf(shape)) })),
  ]
  const tensors = stored.map(({ name, shape, data }): [string, WritableTensor] => {
    if (dtype === 'float32') return [name, { dtype: 'F32', shape, data }]
    const large = data.find(value => Math.abs(value) > LARGEST_HALF)
    if (large !== undefined)
      throw new InputError(`'${name}' holds ${large}, beyond float16's ${LARGEST_HALF}: store float32`)
    return [name, { dtype: 'F16', shape, data }]
  })
  return {
    ...configurationFiles(checkpoint, { dtype }),
    'model.safetensors': writeSafetensors([...counters, ...tensors], {
      format: 'pt',
      ageb: JSON.stringify(provenance),
    }),
  }
}

/**
 * What describes a checkpoint, beside its weights. Of a model that was read from ONNX, config.json has only what its
 * file does not say itself.
 */
export function configurationFiles(
  { model, provenance, problemType, preprocessing }: Checkpoint,
  { dtype = 'float32' }: WriteOptions = {},
): Pick<CheckpointFiles, 'config.json' | 'preprocessor_config.json'> {
  const entries = model.classNames.map((name, i) => [String(i), name] as const)
  const common = {
    id2label: Object.fromEntries(entries),
    label2id: Object.fromEntries(entries.map(([i, name]) => [name, Number(i)])),
    ...(problemType && { problem_type: problemType }),
  }
  const family = familyOf(model)
  const config = family
    ? {
        architectures: [family.architectures[0]],
        model_type: model.modelType,
        ...model.config,
        attention_probs_dropout_prob: 0,
        hidden_dropout_prob: 0,
        ...common,
        dtype,
        ageb: provenance,
      }
    : {
        image_size: model.imageSize,
        ...common,
        // Said in any case: a file that ends in a sigmoid would otherwise be taken for one of several labels an image.
        problem_type: problemType ?? 'single_label_classification',
        ageb: provenance,
      }
  const text = JSON.stringify(config, null, 2)
  return {
    'config.json': `${family ? withFloats(text, family.config) : text}\n`,
    'preprocessor_config.json': `${JSON.stringify(preprocessing?.file ?? preprocessorOf(model), null, 2)}\n`,
  }
}

/**
 * The files in which a checkpoint is kept, by name: those of `toHuggingFace`, or if it was read from ONNX a `model.onnx` with
 * what describes it.
 */
export function checkpointFiles(
  checkpoint: Checkpoint,
  options?: WriteOptions,
): Readonly<Record<string, string | Uint8Array>> {
  if (!isImported(checkpoint)) return { ...toHuggingFace(checkpoint, options) }
  return { ...configurationFiles(checkpoint), 'model.onnx': toOnnxClassifier(checkpoint) }
}

/**
 * The text of a configuration with `1.0` in place of `1` where a key is of a float: `transformers` 5 takes no whole
 * number there.
 */
function withFloats(text: string, { shape }: z.ZodObject): string {
  const floats = Object.keys(shape).filter(key => isFloat(shape[key]))
  return floats.reduce(
    (all, key) => all.replace(new RegExp(`^(  "${key}": -?\\d+)(,?)$`, 'm'), '$1.0$2'),
    text,
  )
}

function isFloat(schema: unknown): boolean {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodNullable || schema instanceof z.ZodOptional)
    return isFloat(schema.unwrap())
  return schema instanceof z.ZodNumber && !schema.isInt
}
