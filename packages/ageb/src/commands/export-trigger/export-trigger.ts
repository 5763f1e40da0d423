import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { attacks, triggerModel } from '@ageb/lab'
import type { Monitor } from '@ageb/workbench'
import { loadCheckpoint, warnIfPoisoned, writeFileWhole } from '@ageb/workbench'
import { type Outcome, table } from '../../cli/output.js'
import { type AttackFlags, attackSettings } from '../../cli/settings.js'

export interface ExportFlags extends AttackFlags {
  readonly out: string
  readonly batch: number
}

/** Writes a trigger as an ONNX file. */
export async function exportTrigger(flags: ExportFlags, terminal: Monitor): Promise<Outcome> {
  const { out, batch } = flags
  const { attack, surrogate: name } = await attackSettings(flags)
  const surrogate = await loadCheckpoint(name)
  warnIfPoisoned(terminal, name, surrogate)
  const bytes = triggerModel({ attack, surrogate, batch })
  await mkdir(path.dirname(out), { recursive: true })
  await writeFileWhole(out, bytes)

  const side = surrogate.model.imageSize
  const images = { dtype: 'uint8', shape: [batch, 3, side, side] }
  const labels = { dtype: 'int64', shape: [batch] }
  const inputs = { images, ...(attacks[attack.name].needsLabels(attack) && { labels }) }
  const describe = (all: Record<string, { dtype: string; shape: number[] }>) =>
    Object.entries(all)
      .map(([key, { dtype, shape }]) => `${key} ${dtype} ${shape.join('×')}`)
      .join(', ')
  return {
    data: { file: out, bytes: bytes.length, attack, surrogate: name, inputs, outputs: { triggered: images } },
    text: table([
      ['file', out, `${(bytes.length / 1e6).toFixed(1)} MB`],
      ['in', describe(inputs)],
      ['out', describe({ triggered: images })],
      ['attack', attack.name],
      ['surrogate', name],
    ]),
  }
}
