import { benchDataLoading } from './parts/data-loading.js'
import { benchInference } from './parts/inference.js'
import { benchProfile, benchTrain } from './parts/train.js'
import { benchTrigger } from './parts/trigger.js'
import type { PartAnswer, PartRequest } from './run-part.js'
import type { BenchSettings, PartResults } from './settings.js'

// The process that measures one part: see run-part.ts.

const parts: { [Part in keyof PartResults]: (settings: BenchSettings) => Promise<PartResults[Part]> } = {
  train: benchTrain,
  trigger: benchTrigger,
  inference: benchInference,
  dataLoading: benchDataLoading,
  profile: benchProfile,
}

const answer = (message: PartAnswer) => process.send!(message, () => process.disconnect())

process.once('message', ({ part, settings }: PartRequest) => {
  parts[part](settings).then(
    result => answer({ result }),
    (error: Error) => answer({ error: error.message }),
  )
})
// The program that wanted the answer is gone, or has it.
process.once('disconnect', () => process.exit())
