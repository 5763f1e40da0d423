import {
  Graph,
  GraphError,
  gradients,
  InputError,
  reduceSum,
  sizeOf,
  type Tensor,
  type Value,
} from 'onnxgrad'
import { importedModel } from '../models/imported.js'
import { type HeadTerm, linearHeads } from '../models/linear-heads.js'
import { type Initializer, initialValues, type Model } from '../models/model.js'
import { rng } from '../random/rng.js'
import type { Checkpoint } from './checkpoint.js'
import { exportWithFreeBatch } from './export-hint.js'
import type { FitOptions } from './fit-options.js'
import type { ImportedCheckpoint } from './imported-checkpoint.js'

/** Images of the graph that is built to look at; unlike 1, the batch can be told apart from other lengths. */
const PROBE = 2

/** Names of tensors that mean something else in a saved state. */
const RESERVED = /^(__metadata__$|log\/)/

/**
 * `fit` for a model that was read from ONNX: its initializers are trained, and its head is made anew in its file.
 *
 * @throws InputError if the file takes another image size or several images at once, an operator between its weights
 * and the logits has no gradient, or a new head is needed and the old one cannot be found.
 */
export function fitImported(
  checkpoint: ImportedCheckpoint,
  { classNames, imageSize, seed }: FitOptions,
): Checkpoint {
  const { model, weights, provenance } = checkpoint
  const side = imageSize ?? model.imageSize
  const sameClasses = classNames.join('\0') === model.classNames.join('\0')
  const { channels, mean, std } = model
  if (model.fixedBatch !== undefined && model.fixedBatch > 1)
    throw new InputError(
      `this ONNX file takes exactly ${model.fixedBatch} images a run, so it cannot be fine-tuned: ${exportWithFreeBatch}`,
    )
  const sized = side === model.imageSize ? model : resized(model, side)
  const heads = trainableHeads(sized)
  if (sameClasses && side === model.imageSize) {
    // Training tells classes apart by a softmax, whatever they were before.
    const { problemType, ...single } = checkpoint
    return problemType ? single : checkpoint
  }
  const head = sameClasses ? {} : newHead(sized, heads, classNames.length, seed)
  const task = { classNames, channels, mean, std }
  const fitted = built(`a new head for ${classNames.length} classes`, () =>
    importedModel(model.file.replace(head), task, side),
  )
  const adapted = Object.keys(fitted.parameters).map((name): [string, Float32Array] => [
    name,
    (Object.hasOwn(head, name) ? (head[name]!.data as Float32Array) : weights[name])!,
  ])
  return { provenance, model: fitted, weights: Object.fromEntries(adapted) }
}

/** The model for images of another size, where the file leaves it free. */
function resized({ file, imageSize, ...task }: ImportedCheckpoint['model'], side: number): Model {
  const [, , height, width] = file.inputs[0]!.shape
  if (typeof height === 'number' || typeof width === 'number')
    throw new InputError(
      `this ONNX file takes images of ${imageSize}×${imageSize}, not of ${side}×${side}: export it for that size, or leave out imageSize`,
    )
  return built(`images of ${side}×${side}`, () => importedModel(file, task, side))
}

function built<T>(what: string, build: () => T): T {
  try {
    return build()
  } catch (error) {
    if (error instanceof InputError)
      throw new InputError(`this ONNX file cannot be given ${what}: ${error.message}`, { cause: error })
    throw error
  }
}

/** Something that a head has for each class, as an initializer. */
interface HeadTensor {
  readonly name: string
  readonly role: HeadTerm['role']
  readonly axis: number
}

/**
 * The initializers of the model's heads.
 * @returns undefined if it does not end in linear layers of initializers.
 * @throws InputError if the logits have no gradient at the weights, naming the operator.
 */
function trainableHeads(model: Model): HeadTensor[] | undefined {
  const names = Object.keys(model.parameters)
  if (names.length === 0)
    throw new InputError(
      'this ONNX file cannot be fine-tuned: none of its initializers is a weight between the images and the logits',
    )
  const taken = names.find(name => RESERVED.test(name))
  if (taken !== undefined)
    throw new InputError(
      `this ONNX file cannot be fine-tuned: its initializer '${taken}' has a name that saved states use themselves; rename it`,
    )
  const graph = new Graph()
  const parameters = Object.fromEntries(
    names.map(name => [name, graph.input(`weights.${name}`, 'float32', model.parameters[name]!.shape)]),
  )
  const side = model.imageSize
  const images = graph.input('images', 'float32', [model.fixedBatch ?? PROBE, 3, side, side])
  const { logits } = model.forward(parameters, images)
  const named = new Map(Object.entries(parameters).map(([name, value]) => [value, name]))
  const terms = linearHeads(logits, images)?.flatMap(head => head.terms)
  const tensors = terms?.map(term => initializerOf(term, named))
  assertDifferentiable(logits, parameters)
  return tensors?.every(tensor => tensor !== undefined) ? tensors : undefined
}

function assertDifferentiable(logits: Value, parameters: Readonly<Record<string, Value>>): void {
  const sum = reduceSum(logits, [0, 1])
  try {
    gradients([{ value: sum }], Object.values(parameters))
  } catch (error) {
    if (!(error instanceof GraphError)) throw error
    throw new InputError(`this ONNX file cannot be fine-tuned: ${error.message}`, { cause: error })
  }
}

/** Follows a value through what only lays it out anew to the initializer that it is. */
function initializerOf(
  { role, value, axis }: HeadTerm,
  named: ReadonlyMap<Value, string>,
): HeadTensor | undefined {
  const name = named.get(value)
  if (name !== undefined) return { name, role, axis }
  const { producer } = value
  const from = producer?.inputs[0]
  if (!producer || !from) return undefined
  switch (producer.definition.name) {
    case 'Transpose': {
      const perm = producer.attributes.perm as number[] | undefined
      return initializerOf({ role, value: from, axis: perm?.[axis] ?? from.shape.length - 1 - axis }, named)
    }
    case 'Reshape':
    case 'Squeeze':
    case 'Unsqueeze': {
      const behind = ({ shape }: Value, i: number) => sizeOf(shape.slice(i + 1))
      const before = from.shape.findIndex(
        (length, i) => length === value.shape[axis] && behind(from, i) === behind(value, axis),
      )
      return before < 0 ? undefined : initializerOf({ role, value: from, axis: before }, named)
    }
    default:
      return undefined
  }
}

const first: Readonly<Record<HeadTerm['role'], Initializer>> = {
  weights: { normal: 0.02 },
  shift: 'zeros',
  scale: 'ones',
}

/** The tensors of the head for another number of classes, with first values. */
function newHead(
  { file, classNames }: Model,
  heads: readonly HeadTensor[] | undefined,
  classes: number,
  seed: number,
): Record<string, Tensor> {
  if (!heads)
    throw new InputError(
      'this ONNX file cannot be given a head for other classes: it does not end in a linear layer that makes logits ' +
        'of one vector an image; export the model with a linear head for the classes of the data',
    )
  return Object.fromEntries(
    heads.map(({ name, role, axis }) => {
      const old = file!.parameters[name]!.shape
      if (old[axis] !== classNames.length) throw new Error(`'${name}' has no axis of classes`)
      const shape = old.with(axis, classes)
      const data = initialValues({ shape, init: first[role] }, rng(seed, 'head', name))
      return [name, { dtype: 'float32', shape, data }]
    }),
  )
}
