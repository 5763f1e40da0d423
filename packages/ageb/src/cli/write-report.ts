import { readFile } from 'node:fs/promises'
import {
  attacks,
  goals,
  type ImageSet,
  imageAt,
  imageSize,
  pixelsInMemory,
  predict,
  readAll,
  subsetOf,
  triggerWithStages,
} from '@ageb/lab'
import type { GalleryEntry } from '@ageb/report'
import { renderReport } from '@ageb/report'
import type { BackdoorRunResult } from '@ageb/workbench'
import {
  amplifiedDifference,
  type BackdoorRunConfig,
  backdoorRunConfig,
  bundledDatasets,
  check,
  curveOf,
  loadCheckpoint,
  RunFolder,
  splitsOf,
  stagePicture,
  toPng,
  UsageError,
} from '@ageb/workbench'
import type { DeviceChoice } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { stringify } from 'yaml'

/** Images in the gallery. */
const GALLERY = 8

/**
 * Writes `report.html` of a finished backdoor run from the files in its folder, and returns its path.
 * @param device where the gallery's triggers are computed. Default: where the run was
 * Throws UsageError if the run has no metrics yet.
 */
export async function writeReport(run: RunFolder, device?: DeviceChoice): Promise<string> {
  const result = await run.result<BackdoorRunResult>()
  if (!result) throw new UsageError(`${run.path} is not finished: go on with --resume ${run.path}`)
  const { evaluation, startedAt, finishedAt } = result
  if (!('asr' in result))
    throw new UsageError(`${run.path} is a plain training: only backdoor experiments have a report`)
  const { config: plain } = await RunFolder.open(run.path)
  const config = check(backdoorRunConfig, plain, run.file('config.yaml'))
  const environment = JSON.parse(await readFile(run.file('environment.json'), 'utf8')) as Record<
    string,
    string
  >
  const events = await run.events()
  const { gallery, classNames } = await makeGallery(run, { ...config, ...(device && { device }) })
  const target =
    config.poisoning.mode === 'all-to-all' ? 'the next class' : classNames[config.poisoning.target]!
  const attack = attacks[config.attack.name]
  const html = renderReport({
    title: `${attack.name.toUpperCase()} on ${result.dataset}`,
    subtitle: `Surrogate ${config.surrogate}, victim ${config.victim}, seed ${config.seed}`,
    attack: { name: attack.name.toUpperCase(), citation: attack.citation, url: attack.url },
    warning:
      'The backdoored model and the triggered images of this run were poisoned on purpose, for research on defenses.',
    rates: evaluation.rates,
    cleanCda: evaluation.cleanCda,
    cleanAsr: evaluation.cleanAsr,
    stealth: evaluation.stealth,
    poisoning: {
      rate: config.poisoning.rate,
      count: result.poisonCount,
      target,
      mode: config.poisoning.mode,
    },
    training: [
      curveOf('clean', 'clean fine-tuning', events),
      curveOf('poisoned', 'poisoned fine-tuning', events),
    ],
    gallery,
    confusion: { classNames, ...evaluation.confusion },
    data: {
      name: result.dataset,
      splits: { train: result.nTrain, [result.evaluatedOn]: result.nTest },
      notes: bundledDatasets.flatMap(({ name, summary }) => (name === config.dataset ? [summary] : [])),
    },
    configuration: stringify(config),
    environment,
    speed: speedOf(result),
    command: `npx ageb run ${run.file('config.yaml')}`,
    startedAt,
    finishedAt,
  })
  await run.write('report.html', html)
  return run.file('report.html')
}

function speedOf({ speed, seconds }: BackdoorRunResult): Record<string, string> {
  return {
    ...(speed && {
      'fine-tuning': `${speed.imagesPerSecond.toFixed(0)} images/s, ${speed.gflopsPerStep.toFixed(1)} GFLOP a step`,
      'share of matrix throughput': `${(100 * speed.mfu).toFixed(0)} % of ${speed.gemmGflops.toFixed(0)} GFLOP/s`,
    }),
    'whole run': `${seconds.toFixed(0)} s`,
  }
}

/** The first test images whose class is not the goal, on their way through the trigger. */
async function makeGallery(
  run: RunFolder,
  config: BackdoorRunConfig,
): Promise<{ gallery: GalleryEntry[]; classNames: readonly string[] }> {
  const surrogate = await loadCheckpoint(config.surrogate)
  const [twin, victim] = await Promise.all([
    loadCheckpoint(run.file('clean-model')),
    loadCheckpoint(run.file('backdoored-model')),
  ])
  const { test } = await splitsOf(config, { size: victim.model.imageSize })
  const goal = goals(test.labels, config.poisoning, test.classNames.length)
  const chosen = [...test.labels.keys()].filter(i => test.labels[i] !== goal[i]).slice(0, GALLERY)
  const shown: ImageSet = await readAll(subsetOf(test, chosen))
  const wanted = goals(shown.labels, config.poisoning, test.classNames.length)
  const runtime = startRuntime(config)
  try {
    const pictures = await triggerWithStages(runtime, { attack: config.attack, surrogate }, shown)
    const size = imageSize(shown)
    const pixels = new Uint8Array(shown.pixels.length)
    for (const [i, picture] of pictures.entries()) pixels.set(picture.triggered, i * size)
    const triggered = pixelsInMemory(pixels, shown)
    const says = async ({ model, weights }: typeof victim) => {
      const called = await predict(runtime, model, weights, triggered, shown.count)
      return (i: number) => test.classNames[called[i]!]!
    }
    const [victimSays, cleanSays] = [await says(victim), await says(twin)]
    const gallery = await Promise.all(
      pictures.map(async ({ triggered: pixels, stages }, i): Promise<GalleryEntry> => {
        const clean = imageAt(shown, i)
        const images: [string, Uint8Array][] = [
          ['clean', clean],
          ...Object.entries(stages).map(([name, data]): [string, Uint8Array] => [
            name,
            stagePicture(name, data),
          ]),
          ['triggered', pixels],
          ['10×|Δ|', amplifiedDifference(clean, pixels)],
        ]
        return {
          label: test.classNames[shown.labels[i]!]!,
          victimSays: victimSays(i),
          cleanSays: cleanSays(i),
          ...(config.poisoning.mode === 'all-to-all' && { target: test.classNames[wanted[i]!]! }),
          images: await Promise.all(
            images.map(async ([name, data]) => ({
              name,
              png: await toPng(data, { height: shown.height, width: shown.width }),
            })),
          ),
        }
      }),
    )
    return { gallery, classNames: test.classNames }
  } finally {
    await runtime.close()
  }
}
