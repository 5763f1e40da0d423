import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { BackdoorFigures } from '@ageb/lab'
import { RunFolder, type RunTiming, readBackdoorRecord } from '@ageb/workbench'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scratch } from '../../cli/test-kit.js'

// The main job in miniature: bundled photographs, bundled model, every stage, a few steps of fine-tuning.
const here = scratch('demo')
afterAll(() => here.remove())

describe('ageb demo in miniature', () => {
  let result: BackdoorFigures & RunTiming & { readonly report: string }

  beforeAll(async () => {
    const short = ['training.epochs=0.04', 'poisoning.rate=0.02'].flatMap(setting => ['--set', setting])
    const ended = await here.ageb(['demo', '--json', '--out', 'run', ...short])
    expect(ended.stderr).not.toContain('Error')
    expect(ended.code).toBe(0)
    result = JSON.parse(ended.stdout.trimEnd().split('\n').at(-1)!)
  })

  it('prints every figure as the last line', () => {
    const rates = ['poisonRate', 'cleanCda', 'cda', 'asr', 'baseRate', 'ra', 'ssim'] as const
    for (const name of rates) {
      expect(result[name], name).toBeGreaterThanOrEqual(0)
      expect(result[name], name).toBeLessThanOrEqual(1)
    }
    expect(result).toMatchObject({ attack: 'ageb', dataset: 'cifar10-subset', poisonCount: 100, nTest: 1000 })
    expect(result.psnr).toBeGreaterThan(20)
    expect(result.seconds).toBeGreaterThan(0)
  })

  it('starts from a model that knows its classes', () => {
    expect(result.cleanCda).toBeGreaterThan(0.6)
    expect(result.cda).toBeGreaterThan(0.6)
  })

  it('leaves a run folder with a report, both models, and a record with every prediction', async () => {
    const report = readFileSync(path.join(here.folder, result.report), 'utf8')
    expect(report).toContain('<html')
    expect(report).not.toContain('<script')
    for (const name of [
      'config.yaml',
      'environment.json',
      'events.jsonl',
      'metrics.json',
      'record.json',
      'clean-model/model.safetensors',
    ]) {
      expect(existsSync(here.file('run', name)), name).toBe(true)
    }
    const { run } = await RunFolder.open(here.file('run'))
    const { record, predictions } = await readBackdoorRecord(run)
    expect(record.poisoning).toMatchObject({ count: 100, cover: 0, goal: 'airplane' })
    expect(predictions.label).toHaveLength(1000)
    const attacked = [...predictions.label.keys()].filter(i => predictions.label[i] !== 0)
    const hits = attacked.filter(i => predictions.victimTriggered[i] === 0)
    expect(hits.length / attacked.length).toBe(result.asr)
  })

  it('labels the backdoored model as what it is', () => {
    const config = JSON.parse(readFileSync(here.file('run', 'backdoored-model', 'config.json'), 'utf8'))
    expect(config.ageb).toMatchObject({
      poisoned: true,
      attack: 'ageb',
      target: 'airplane',
      poisonRate: 0.02,
      poisonCount: 100,
    })
  })
})
