import { afterAll, describe, expect, it } from 'vitest'
import { json, scratch } from '../../cli/test-kit.js'

const here = scratch('plan')
afterAll(() => here.remove())

describe('ageb plan', () => {
  it('tells what a training costs', async () => {
    const flags = ['--set', 'model.hidden_size=16', 'model.num_hidden_layers=1', 'training.batchSize=50']
    const told = json(await here.ageb(['plan', ...flags, '--gflops', '1000', '--json']))
    const number = (key: string) => Number(told[key])
    expect(told).toMatchObject({
      kind: 'train',
      images: { train: 5000, test: 1000, classes: 10 },
      trainings: 1,
      steps: 1000,
      microBatches: 1,
      cacheBytes: 6000 * 3072,
    })
    expect(number('seconds')).toBeGreaterThan(1000 * number('secondsPerStep'))
    const { seconds } = told.otherProcessor as { seconds: number }
    expect(seconds).toBeCloseTo(number('teraflops') / number('mfu'), 3)
    expect(number('memoryBytes')).toBeGreaterThan(number('stepMemoryBytes') + number('dataMemoryBytes'))
  })

  it('asks for the size of a data set that is not here, and refuses what is no configuration', async () => {
    const unknown = await here.ageb(['plan', '--data', 'somebody/pictures'])
    expect(unknown).toMatchObject({ code: 2, stdout: '' })
    expect(unknown.stderr).toContain('give its size with --images, --test-images and --classes')
    const wrong = await here.ageb(['plan', '--set', 'model.hidden_size=7', 'model.num_attention_heads=2'])
    expect(wrong.code).toBe(2)
    expect(wrong.stderr).toContain('hidden_size')
    expect((await here.ageb(['plan', 'nothing.yaml'])).code).toBe(2)
  })
})
