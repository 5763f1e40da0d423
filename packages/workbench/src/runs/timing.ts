import type { StageTime } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import { z } from 'zod'
import type { TrainingPace } from '../stages/training-pace.js'
import type { RunFolder } from './run-folder.js'

/** When a run was carried out, how long its stages took, and where. */
export interface RunTiming {
  /** ISO 8601. */
  readonly startedAt: string
  readonly finishedAt: string
  /** Of the process that finished the run. */
  readonly seconds: number
  readonly stages: readonly StageTime[]
  /** Names of the stages all of whose outputs were in the store already. */
  readonly reused: readonly string[]
  /** Of the last training. */
  readonly speed: TrainingPace
}

/** What reports and summaries rely on. */
const schema = z.looseObject({
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  seconds: z.number().nonnegative(),
  stages: z.array(
    z.looseObject({ stage: z.string(), reused: z.boolean(), seconds: z.number().nonnegative() }),
  ),
  reused: z.array(z.string()),
  speed: z.looseObject({
    imagesPerSecond: z.number().optional(),
    gflopsPerStep: z.number().optional(),
    mfu: z.number().optional(),
    gemmGflops: z.number(),
  }),
})

const FILE = 'timing.json'
const REMEDY = 'delete it, as no figure depends on it'

export async function writeTiming(folder: RunFolder, timing: RunTiming): Promise<void> {
  await folder.writeSealed(FILE, timing)
}

/** The timing of a finished run; null if that file is missing. Throws InputError if it is damaged. */
export async function readTiming(folder: RunFolder): Promise<RunTiming | null> {
  const plain = await folder.readSealed(FILE, REMEDY)
  if (!plain) return null
  const parsed = schema.safeParse(plain)
  if (parsed.success) return plain as unknown as RunTiming
  const { path, message } = parsed.error.issues[0]!
  throw new InputError(
    `${folder.file(FILE)} is not a timing that this version reads ('${path.join('.')}': ${message}): ${REMEDY}`,
  )
}
