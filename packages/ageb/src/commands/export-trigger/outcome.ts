import { attackSettings, exportTrigger, type Monitor, type TensorNote } from '@ageb/workbench'
import type { AttackFlags, MachineFlags } from '../../cli/options.js'
import { type Outcome, table } from '../../cli/output.js'

export interface ExportFlags extends AttackFlags, MachineFlags {
  readonly out: string
  readonly batch: number
  readonly size?: number
}

/** Writes a trigger as an ONNX file, and tells its inputs and outputs. */
export async function exported(
  { out, batch, size, config, set, model, plugin, threads, device }: ExportFlags,
  monitor: Monitor,
): Promise<Outcome> {
  const chosen = await attackSettings({ config, set, surrogate: model, plugins: plugin })
  const data = await exportTrigger(out, chosen, { batch, side: size, threads, device, monitor })
  return {
    data,
    text: table([
      ['file', out, `${(data.bytes / 1e6).toFixed(1)} MB`],
      ['in', describe(data.inputs)],
      ['out', describe(data.outputs)],
      ['attack', chosen.attack.name],
      ['surrogate', data.surrogate ?? 'none: the attack needs no model'],
    ]),
  }
}

function describe(all: Readonly<Record<string, TensorNote>>): string {
  return Object.entries(all)
    .map(([key, { dtype, shape }]) => `${key} ${dtype} ${shape.join('×')}`)
    .join(', ')
}
