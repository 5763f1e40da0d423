import type { Rate } from '@ageb/lab'
import {
  type AttackSettings,
  attackSettings,
  evaluate,
  intervalNote,
  type Monitor,
  percent,
  type Row,
  UsageError,
} from '@ageb/workbench'
import { type ColumnFlags, columnsOf, type MachineFlags, type PluginFlags } from '../../cli/options.js'
import { type Outcome, table } from '../../cli/output.js'

export interface EvalFlags extends MachineFlags, ColumnFlags, PluginFlags {
  readonly data?: string
  readonly split: string
  readonly run?: string
  readonly config?: string
  readonly set?: readonly string[]
}

/** Measures a checkpoint on a split: clean, and under an attack if the flags name one. */
export async function evaluated(model: string, flags: EvalFlags, monitor: Monitor): Promise<Outcome> {
  const { data: dataset, split, threads, device } = flags
  const attack = await attackOf(flags)
  const { columns } = columnsOf(flags, attack?.settings ?? {})
  const data = await evaluate(model, { attack, dataset, columns, split, threads, device, monitor })
  const { cda, perClass, provenance, n } = data
  return {
    data,
    text: table([
      ['model', model, provenance.poisoned ? 'backdoored on purpose' : ''],
      ['data', `${data.dataset}, ${data.split}, ${n} images`],
      share('clean data accuracy (CDA)', cda),
      ...perClass.map(({ class: label, accuracy }) => share(`  ${label}`, accuracy)),
      ...(attack
        ? [
            share('attack success rate (ASR)', data.asr),
            share('… without the trigger (base rate)', data.baseRate),
            share('robust accuracy (RA)', data.ra),
          ]
        : []),
    ]),
  }
}

/** The attack that the flags describe, or undefined if no flag describes one. */
async function attackOf({ run, config, set, plugin }: EvalFlags): Promise<AttackSettings | undefined> {
  if (run !== undefined && config !== undefined) throw new UsageError('give either --run or --config')
  if (run !== undefined || config !== undefined || set !== undefined)
    return attackSettings({ run, config, set, plugins: plugin })
  if (plugin) throw new UsageError('--plugin only brings attacks: choose one with --set attack=<name>')
  return undefined
}

function share(label: string, value: Rate | null | undefined): Row {
  return value ? [label, percent(value.value), intervalNote(value)] : [label, '–', 'no images']
}
