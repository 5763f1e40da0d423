import { InputError, sizeOf } from 'onnxgrad'
import { z } from 'zod'
import { batchCounters } from '../models/batch-norm.js'
import type { Model } from '../models/model.js'
import type { Checkpoint, CheckpointFiles } from './checkpoint.js'
import { familyOf } from './configuration.js'
import { preprocessorOf } from './preprocessing.js'
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
 * @throws InputError if the model is of no family, or a weight is too large for float16.
 */
export function toHuggingFace(
  { model, weights, provenance, problemType, preprocessing }: Checkpoint,
  { dtype = 'float32' }: WriteOptions = {},
): CheckpointFiles {
  const family = familyOf(model)
  if (!family) throw new InputError('a model that was read from ONNX cannot be written in another format')
  const entries = model.classNames.map((name, i) => [String(i), name] as const)
  const config = {
    architectures: [family.architectures[0]],
    model_type: model.modelType,
    ...model.config,
    attention_probs_dropout_prob: 0,
    hidden_dropout_prob: 0,
    id2label: Object.fromEntries(entries),
    label2id: Object.fromEntries(entries.map(([i, name]) => [name, Number(i)])),
    ...(problemType && { problem_type: problemType }),
    dtype,
    ageb: provenance,
  }
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
    'config.json': `${withFloats(JSON.stringify(config, null, 2), family.config)}\n`,
    'preprocessor_config.json': `${JSON.stringify(preprocessing?.file ?? preprocessorOf(model), null, 2)}\n`,
    'model.safetensors': writeSafetensors([...counters, ...tensors], {
      format: 'pt',
      ageb: JSON.stringify(provenance),
    }),
  }
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
