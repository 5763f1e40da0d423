import { Graph, InputError, type OnnxModel, type Tensor, type Value } from 'onnxgrad'
import { normalizationOf, normalize } from './image-input.js'
import { headInput } from './linear-heads.js'
import type { AttentionMap, Model, ModelParameter, Task } from './model.js'
import { parameterRoles } from './parameter-roles.js'
import { patchAttention } from './patches.js'

/** Tokens in front of the patches: class, distillation, registers. With more, it is no grid with a few tokens before. */
const MOST_LEADING = 8
/** Images of the graph that is built to look at, where the file leaves their number free; unlike 1, it can be told apart. */
const PROBE = 2

/** A model that was read from a file. */
export interface ImportedModel extends Model {
  /** The file gives each class a probability of its own: it ends in a sigmoid. */
  readonly endsInSigmoid: boolean
}

/**
 * An image classifier that another program wrote, as a model: normalization is put before it, its attention is found.
 *
 * Attention is a softmax over the last axis of square matrices (N · windows, heads, tokens, tokens). Its tokens are
 * taken for a square of patches behind at most eight others. Where there is none, the last values in the shape of
 * feature maps count as the last stage's activations.
 *
 * @param file takes float32 (N, 3, H, H), gives logits or probabilities (N, classes).
 * @param task without class names, they are numbered.
 * @param imageSize where the file leaves H free.
 * @throws InputError if the file is no such classifier.
 */
export function importedModel(
  file: OnnxModel,
  task: Omit<Task, 'classNames'> & { readonly classNames?: readonly string[] | undefined },
  imageSize?: number,
): ImportedModel {
  const { input, fixedBatch, side } = pixelInput(file, imageSize)
  const normalization = normalizationOf({ ...task, classNames: [] })
  const build = (parameters: Readonly<Record<string, Value>>, pixels: Value) => {
    const { outputs, values } = file.apply(
      pixels.graph,
      { [input]: normalize(pixels, normalization) },
      parameters,
    )
    const { logits, last } = logitsOf(outputs)
    const feeding = ancestors(logits)
    return {
      logits,
      last,
      features: headInput(logits, pixels),
      inner: [...new Set(values.values())].filter(value => feeding.has(value)),
    }
  }
  const probe = new Graph()
  const pixels = probe.input('pixels', 'float32', [fixedBatch ?? PROBE, 3, side, side])
  const candidates = candidatesOf(file, probe)
  const found = build(valuesOf(candidates), pixels)
  const classes = found.logits.shape[1]!
  const classNames = task.classNames ?? Array.from({ length: classes }, (_, i) => `LABEL_${i}`)
  if (classNames.length !== classes)
    throw new InputError(`the file tells ${classes} classes apart, but ${classNames.length} names are given`)
  const roles = parameterRoles(candidates, pixels, found.logits)
  const leadingTokens = leadingOf(found.inner.filter(isAttention).at(-1), fixedBatch ?? PROBE)
  return {
    modelType: 'onnx',
    config: {},
    imageSize: side,
    ...(fixedBatch !== undefined && { fixedBatch }),
    classNames,
    endsInSigmoid: found.last === 'Sigmoid',
    parameters: Object.fromEntries(
      [...roles].map(([name, role]): [string, ModelParameter] => [
        name,
        { shape: file.parameters[name]!.shape, decay: role === 'matrix', init: 'zeros' },
      ]),
    ),
    file,
    branches: 0,
    blocks: [],
    leadingTokens,
    ...normalization,
    forward(parameters, pixels) {
      const { logits, features, inner } = build(parameters, pixels)
      const batch = pixels.shape[0]!
      const attention = inner.filter(isAttention).map(value => mapOf(value, batch))
      const activations = attention.length > 0 ? undefined : inner.filter(isFeatureMap).at(-1)
      return {
        logits,
        hidden: [],
        attention,
        ...(features && { features }),
        ...(activations && { activations }),
      }
    },
  }
}

/** What could be a weight, as an input of a graph. */
interface Candidate {
  readonly value: Value
  readonly tensor: Tensor
}

function candidatesOf({ parameters }: OnnxModel, graph: Graph): Record<string, Candidate> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, tensor]) => [
      name,
      { value: graph.input(`weights.${name}`, tensor.dtype, tensor.shape), tensor },
    ]),
  )
}

const valuesOf = (candidates: Readonly<Record<string, Candidate>>): Record<string, Value> =>
  Object.fromEntries(Object.entries(candidates).map(([name, { value }]) => [name, value]))

/** The one input, and the lengths of its axes. */
function pixelInput({ inputs }: OnnxModel, imageSize: number | undefined) {
  const shown = inputs.map(({ name, dtype, shape }) => `'${name}' ${dtype}[${shape.join(', ')}]`).join(', ')
  const [input, another] = inputs
  const refuse = (why: string) => new InputError(`the file takes ${shown || 'nothing'}: ${why}`)
  if (!input || another || input.dtype !== 'float32' || input.shape.length !== 4)
    throw refuse('a model here takes one input, images as float32[batch, 3, height, width]')
  const [batch, channels, height, width] = input.shape as [
    number | string,
    number | string,
    number | string,
    number | string,
  ]
  if (typeof channels === 'number' && channels !== 3)
    throw refuse('images must have their 3 channels in the second axis')
  const sides = [height, width].filter(length => typeof length === 'number')
  const side = sides[0] ?? imageSize
  if (side === undefined)
    throw refuse("their size is free: write 'image_size' into a config.json beside the file")
  if (sides.some(length => length !== side)) throw refuse('only squares are supported')
  return { input: input.name, side, fixedBatch: typeof batch === 'number' ? batch : undefined }
}

/** How transformers calls outputs that are no logits. */
const FEATURES = new Set(['last_hidden_state', 'pooler_output', 'image_embeds', 'hidden_states'])

/**
 * The output called logits, or the first that could be. If it is that of a softmax or a sigmoid, what this is computed
 * from.
 */
function logitsOf(outputs: Readonly<Record<string, Value>>): { logits: Value; last: string | undefined } {
  const { logits } = outputs
  const encoder = Object.keys(outputs).some(name => FEATURES.has(name))
  const possible = Object.values(outputs).find(
    ({ dtype, shape }) => !encoder && dtype === 'float32' && shape.length === 2,
  )
  const found = logits ?? possible
  if (found?.shape.length !== 2) {
    const names = Object.entries(outputs).map(([name, { shape }]) => `${name} [${shape.join(', ')}]`)
    const advice = encoder
      ? '; export the model with its classifier, or fine-tune the checkpoint that it was exported from'
      : ''
    throw new InputError(
      `the file gives ${names.join(', ')}: a classifier gives logits [batch, classes]${advice}`,
    )
  }
  const last = found.producer?.definition.name
  return { logits: last === 'Softmax' || last === 'Sigmoid' ? found.producer!.inputs[0]! : found, last }
}

/** Everything that a value is computed from, with itself. */
function ancestors(of: Value): Set<Value> {
  const seen = new Set([of])
  for (const value of seen) for (const input of value.producer?.inputs ?? []) if (input) seen.add(input)
  return seen
}

function isAttention({ producer, shape }: Value): boolean {
  return (
    producer?.definition.name === 'Softmax' && shape.length === 4 && shape[2] === shape[3] && shape[3]! > 1
  )
}

function isFeatureMap({ producer, dtype, shape }: Value): boolean {
  return (
    producer !== null && dtype === 'float32' && shape.length === 4 && shape[2]! > 1 && shape[2] === shape[3]
  )
}

function mapOf(probabilities: Value, batch: number): AttentionMap {
  const [rows, , , tokens] = probabilities.shape as [number, number, number, number]
  const leading = leadingOf(probabilities, batch)
  if (rows === batch && leading <= MOST_LEADING) return patchAttention(probabilities, leading)
  return {
    probabilities,
    toGrid() {
      const what = rows === batch ? `of ${tokens} tokens` : 'within windows'
      throw new InputError(
        `this ONNX file does not tell where the tokens of its attention (${what}) lie: take the gradient at pixel`,
      )
    },
  }
}

/** Tokens in front of the largest square; none within windows. */
function leadingOf(attention: Value | undefined, batch: number): number {
  if (attention?.shape[0] !== batch) return 0
  const tokens = attention.shape[3]!
  return tokens - Math.floor(Math.sqrt(tokens)) ** 2
}
