import { availableParallelism } from 'node:os'
import {
  assertFits,
  confusion,
  initialWeights,
  parameterCount,
  predict,
  rate,
  rng,
  vit,
  vitConfig,
} from '@ageb/lab'
import { startRuntime } from 'onnxgrad/node'
import type { Terminal } from '../cli/terminal.js'
import { check } from '../configuration/resolve.js'
import { trainRunConfig } from '../configuration/train-config.js'
import { loadSplit } from '../data/dataset.js'
import { loadCheckpoint, saveCheckpoint } from '../files/checkpoint-folder.js'
import type { RunFolder } from '../runs/run-folder.js'
import { trackedTraining } from '../runs/tracked-training.js'

export interface TrainResult {
  readonly run: string
  readonly checkpoint: string
  readonly dataset: string
  readonly parameters: number
  readonly testAccuracy: ReturnType<typeof rate>
  readonly seconds: number
}

/** Trains a classifier and measures it on the test split, once, at the end. */
export async function trainRun(
  run: RunFolder,
  plain: Record<string, unknown>,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<TrainResult> {
  const started = Date.now()
  const config = check(trainRunConfig, plain, run.file('config.yaml'))
  const { seed, dataset } = config
  const size = config.model.image_size
  const data = await loadSplit({ dataset, split: 'train', size })
  const test = await loadSplit({ dataset, split: 'test', size })
  const start = config.from
    ? await loadCheckpoint(config.from)
    : {
        model: vit({ config: vitConfig.parse(config.model), classNames: data.classNames }),
        weights: null,
        provenance: null,
      }
  const { model } = start
  assertFits(model, data)
  const runtime = startRuntime({ threads: config.threads ?? availableParallelism() })
  try {
    const weights = await trackedTraining({
      run,
      terminal,
      phase: 'training',
      runtime,
      model,
      from: start.weights ?? initialWeights(model, rng(seed, 'weights')),
      data,
      config: config.training,
      seed,
      signal,
    })
    const called = await predict(runtime, model, weights, test)
    const matrix = confusion(test.labels, called, model.classNames.length)
    const accuracy = rate(
      matrix.reduce((sum, row, i) => sum + row[i]!, 0),
      test.count,
    )
    await saveCheckpoint(run.file('model'), {
      model,
      weights,
      provenance: start.provenance ?? {
        poisoned: false,
        seed,
        note: `trained by ageb on the train split of ${data.name}`,
      },
    })
    const result: TrainResult = {
      run: run.path,
      checkpoint: run.file('model'),
      dataset,
      parameters: parameterCount(model),
      testAccuracy: accuracy,
      seconds: (Date.now() - started) / 1000,
    }
    await run.write('metrics.json', `${JSON.stringify({ ...result, confusion: matrix }, null, 2)}\n`)
    await run.clearStates()
    return result
  } finally {
    await runtime.close()
  }
}
