import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { attackSettings } from '../configuration/attack-settings.js'
import { listener } from '../data/test-data.js'
import { writeDataset, writeTinyModel } from '../testing/fixtures.js'
import { evaluate } from './evaluate.js'

const folder = mkdtempSync(path.join(tmpdir(), 'ageb-evaluate-'))
process.env.AGEB_CACHE = path.join(folder, 'cache')
const [model, dataset] = [path.join(folder, 'model'), path.join(folder, 'data')]
beforeAll(async () => {
  await writeDataset(dataset, { side: 12 })
  await writeTinyModel(model, { side: 12, provenance: { poisoned: true, attack: 'badnets' } })
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('evaluate', () => {
  it('measures a checkpoint from code, and warns of a poisoned one', async () => {
    const monitor = listener()
    const found = await evaluate(model, { dataset, split: 'train', threads: 1, monitor })
    expect(found).toMatchObject({ model, dataset, split: 'train', n: 48, cda: { n: 48 } })
    expect(found).not.toHaveProperty('asr')
    const right = found.perClass.map(({ accuracy }) => accuracy!.value * accuracy!.n)
    expect(right.reduce((a, b) => a + b)).toBeCloseTo(48 * found.cda.value, 9)
    expect(monitor.said).toEqual([expect.stringContaining('was backdoored on purpose')])
  })

  it('measures it under an attack, whose configuration says the rest', async () => {
    const set = [`dataset=${dataset}`, 'threads=1', 'surrogate=absent', 'attack=badnets']
    const attack = await attackSettings({ set })
    const found = await evaluate(model, { attack })
    expect(found).toMatchObject({ dataset, split: 'test', attack: { name: 'badnets' }, asr: { n: 12 } })
    expect(found).not.toHaveProperty('surrogate')
    const outside = await attackSettings({ set: [...set, 'poisoning.target=2'] })
    await expect(evaluate(model, { attack: outside })).rejects.toThrow('has the classes 0 to 1')
  })

  it('is stopped by its signal', async () => {
    const stopped = evaluate(model, { dataset, signal: AbortSignal.abort('enough') })
    await expect(stopped).rejects.toBe('enough')
  })
})
