import { dirname } from 'node:path'
import { InputError } from 'onnxgrad'
import { fetchFromHub, type HubId, hubUrl } from '../hub/hub.js'
import { TORCH_FILE } from './checkpoint-files.js'

/**
 * The folder of a model on the hub, in the hub's cache: configuration, preprocessor and weights as safetensors.
 * @throws InputError if the model does not exist, has no such files, or cannot be had
 */
export async function fetchCheckpoint(model: HubId, warn: (message: string) => void): Promise<string> {
  const where = `${model.name} on ${hubUrl()}`
  const [config] = await fetchFromHub(
    { ...model, type: 'model', what: 'its checkpoint', choose: paths => checkpointFiles(paths, where) },
    warn,
  )
  return dirname(config!)
}

const INDEX = 'model.safetensors.index.json'

/** The files of a checkpoint, config.json first. Throws InputError if they are not all there. */
function checkpointFiles(paths: readonly string[], where: string): string[] {
  if (!paths.includes('config.json'))
    throw new InputError(`${where} has no config.json: choose a model in the layout of transformers or timm`)
  const described = ['config.json', 'preprocessor_config.json'].filter(path => paths.includes(path))
  if (paths.includes('model.safetensors')) return [...described, 'model.safetensors']
  if (!paths.includes(INDEX) && paths.includes(TORCH_FILE)) return [...described, TORCH_FILE]
  const shards = paths.flatMap(path => {
    const count = /^model-\d+-of-(\d+)\.safetensors$/.exec(path)?.[1]
    return count === undefined ? [] : [{ path, count: Number(count) }]
  })
  if (!paths.includes(INDEX) || shards.length === 0 || shards.some(({ count }) => count !== shards.length)) {
    throw new InputError(
      `${where} has no model.safetensors, nor all shards of one: choose a model whose weights are safetensors or a ${TORCH_FILE}`,
    )
  }
  return [...described, INDEX, ...shards.map(({ path }) => path)]
}
