import { InputError } from '../errors.js'
import { bytesOf } from '../graph/tensor.js'
import { tensorMessage } from './graph-message.js'
import { type EntryMessage, type ModelMessage, modelType } from './schema.js'
import type { Parts } from './separate-initializers.js'

/** Bytes that a message of protobuf can have. */
const MOST_BYTES = 2 ** 31 - 1

/**
 * A file that was read, as bytes again: its nodes as they are, other initializers, weights that were kept in other files
 * inside. Notes that change nothing of what it computes (shapes of inner values, source lines) are left out.
 *
 * @param parts what takes the place of its nodes and initializers.
 * @param properties go before the file's own metadata of the same name.
 * @param reshaped whether initializers have other shapes than in the file: the lengths of outputs are then left open.
 * @throws InputError if it is too large for one file.
 */
export function writeFile(
  model: ModelMessage,
  { nodes, initializers }: Parts,
  properties: Readonly<Record<string, string>>,
  reshaped: boolean,
): Uint8Array {
  const size = [...initializers.values()].reduce((sum, tensor) => sum + bytesOf(tensor), 0)
  if (size > MOST_BYTES)
    throw new InputError(`the weights make ${size} bytes, and one ONNX file holds no more than 2 GiB`)
  const { graph, metadataProps } = model
  const kept = metadataProps.filter(({ key }) => !Object.hasOwn(properties, key))
  const added = Object.entries(properties).map(([key, value]): EntryMessage => ({ key, value }))
  return modelType
    .encode({
      ...model,
      metadataProps: [...kept, ...added],
      graph: {
        ...graph,
        node: nodes,
        initializer: [...initializers].map(([name, tensor]) => tensorMessage({ name, ...tensor })),
        // Files of old list the initializers among the inputs, with their shapes.
        input: graph!.input.filter(({ name }) => !initializers.has(name)),
        output: reshaped ? graph!.output.map(withoutLengths) : graph!.output,
        valueInfo: [],
      },
    })
    .finish()
}

function withoutLengths({ name, type }: NonNullable<ModelMessage['graph']>['output'][number]): object {
  const { elemType, shape } = type!.tensorType!
  return { name, type: { tensorType: { elemType, shape: { dim: (shape?.dim ?? []).map(() => ({})) } } } }
}
