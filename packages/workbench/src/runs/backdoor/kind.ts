import { type BackdoorFigures, figuresOf } from '@ageb/lab'
import { assertWhole } from '../../checkpoints/checksums.js'
import { type BackdoorRunConfig, backdoorRunConfigWith } from '../../configuration/backdoor-config.js'
import { intervalNote, percent, type Row } from '../format.js'
import type { RunKind } from '../run-kind.js'
import { readBackdoorRecord } from './result.js'
import { backdoorRun } from './run.js'

/** An attack carried out: a victim fine-tuned on poisoned data, beside its clean twin. */
export const backdoorKind: RunKind<BackdoorRunConfig> = {
  kind: 'backdoor',
  config: backdoorRunConfigWith,
  run: backdoorRun,
  async result(folder) {
    for (const model of ['clean-model', 'backdoored-model']) await assertWhole(folder.file(model))
    const { record, predictions } = await readBackdoorRecord(folder)
    const figures = figuresOf(record, predictions)
    return { figures: { ...figures }, summary: summaryOf(figures) }
  },
}

function summaryOf(figures: BackdoorFigures): Row[] {
  const { intervals } = figures
  const share = (label: string, key: 'cleanCda' | 'cda' | 'asr' | 'cleanAsr' | 'baseRate' | 'ra'): Row => {
    const interval = intervals[key]
    return [label, percent(figures[key]), interval ? intervalNote(interval) : '']
  }
  const cover = figures.coverCount > 0 ? `, ${figures.coverCount} cover images` : ''
  return [
    share('clean twin: accuracy', 'cleanCda'),
    share('backdoored: clean data accuracy (CDA)', 'cda'),
    share('attack success rate (ASR)', 'asr'),
    share('… of the clean twin', 'cleanAsr'),
    share('… untriggered (base rate)', 'baseRate'),
    share('robust accuracy (RA)', 'ra'),
    ['PSNR', `${figures.psnr.toFixed(1)} dB`],
    ['SSIM', figures.ssim.toFixed(4)],
    [
      'attack',
      `${figures.attack}, ${percent(figures.poisonRate)} poison (${figures.poisonCount} images${cover})`,
    ],
    ...unchangedRow(figures),
    ['data', `${figures.dataset}, ${figures.nTest} test images`],
  ]
}

/** What the trigger left as it was, if there is any: it is neither learned from nor attacked. */
function unchangedRow({ poisonUnchanged, testUnchanged, poisonCount, intervals }: BackdoorFigures): Row[] {
  if (!poisonUnchanged && !testUnchanged) return []
  const poisoned = `${poisonUnchanged} of ${poisonCount} poisoned images`
  return [['unchanged by the trigger', poisoned, `${testUnchanged} of ${intervals.asr!.n} test images`]]
}
