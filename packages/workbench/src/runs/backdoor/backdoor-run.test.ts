import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { BackdoorFigures } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadCheckpoint } from '../../checkpoints/checkpoint-folder.js'
import { attackSettings } from '../../configuration/attack-settings.js'
import { assignAll } from '../../configuration/resolve.js'
import { evaluate } from '../../evaluation/evaluate.js'
import { FolderStore } from '../../store/folder-store.js'
import { noisePng, writeDataset, writeTinyModel } from '../../testing/fixtures.js'
import { resolveConfiguration, startRun } from '../carry-out.js'
import { RunFolder } from '../run-folder.js'

// Whole experiments on noise, in this process: other surrogates, triggers without effect, what is refused before any work.
const here = mkdtempSync(path.join(tmpdir(), 'ageb-backdoor-'))
const at = (...names: string[]) => path.join(here, ...names)
process.env.AGEB_CACHE = at('cache')
afterAll(() => rmSync(here, { recursive: true }))
const SIDE = 12

beforeAll(async () => {
  await writeDataset(at('data'), { side: SIDE, train: 32, test: 16 })
  await writeTinyModel(at('model'), { side: SIDE })
})

async function experiment(out: string, settings: readonly string[]) {
  const said: string[] = []
  const monitor = { say: (text: string) => said.push(text), progress: () => ({ update() {}, stop() {} }) }
  const plain = assignAll(
    {
      ...{ kind: 'backdoor', threads: 1, dataset: at('data'), surrogate: at('model'), victim: at('model') },
      poisoning: { rate: 0.25 },
      training: { epochs: 0.5, batchSize: 8, crop: 1 },
    },
    settings,
  )
  const configuration = await resolveConfiguration(plain, 'the test')
  const run = await RunFolder.create(at(out), configuration)
  const store = new FolderStore(at('store'))
  const ended = await startRun(run, configuration, { monitor, store }).catch((error: unknown) => error)
  if (ended instanceof Error) return { error: ended, said }
  const { figures, summary } = ended as Awaited<ReturnType<typeof startRun>>
  const record = JSON.parse(readFileSync(at(out, 'record.json'), 'utf8'))
  return { figures: figures as unknown as BackdoorFigures, summary, record, said }
}

describe('a surrogate of another size and other classes than the victim', () => {
  it('computes the triggers of a run, which says so, and those of ageb eval', async () => {
    const classes = Array.from({ length: 50 }, (_, i) => `thing ${i}`)
    await writeTinyModel(at('surrogate'), { side: 16, classes, seed: 5 })
    const { figures, record, said } = await experiment('other', [
      `surrogate=${at('surrogate')}`,
      'attack.share=0.2',
    ])
    expect(said).toContainEqual(
      `the surrogate ${at('surrogate')} takes 16×16 images: those of 12×12 are resized for it within the trigger (bilinear)`,
    )
    expect(record!.models.surrogate).toMatchObject({ imageSize: 16, resampling: 'bilinear' })
    expect(record!.models.victim).not.toHaveProperty('resampling')
    const attack = await attackSettings({ run: at('other') })
    const { asr, unchanged } = await evaluate(at('other', 'backdoored-model'), { attack })
    expect(asr!.value).toBe(figures!.asr)
    expect(unchanged).toBe(0)
  })

  it('of its own size is not spoken of', async () => {
    const { record, said } = await experiment('same', ['attack.share=0.2'])
    expect(said.filter(text => text.includes('resized'))).toEqual([])
    expect(record!.models.surrogate).not.toHaveProperty('resampling')
    expect(record!.effects).toEqual({ poison: { count: 8, unchanged: 0 }, test: { count: 8, unchanged: 0 } })
  })

  it('is refused with true labels, before any trigger is computed', async () => {
    const { error } = await experiment('labels', [`surrogate=${at('surrogate')}`, 'attack.label=true-label'])
    expect(error?.message).toContain("class 0 is 'a' in the data and 'thing 0' in the surrogate")
    expect(existsSync(at('labels'))).toBe(false)
  })
})

/** A data set as a folder of images, of which every `every`-th is white, which the signal of AGEB cannot make brighter. */
async function writePartlyWhite(folder: string, every: number): Promise<void> {
  const white = { create: { width: SIDE, height: SIDE, channels: 3 as const, background: '#fff' } }
  const png = await sharp(white).png().toBuffer()
  for (const split of ['train', 'test'])
    for (const [label, name] of ['a', 'b'].entries()) {
      mkdirSync(at(folder, split, name), { recursive: true })
      for (let i = 0; i < 12; i++) {
        const noise = () => noisePng(SIDE, label, 100 * label + i + (split === 'test' ? 50 : 0))
        writeFileSync(at(folder, split, name, `${i}.png`), i % every === 0 ? png : await noise())
      }
    }
}

describe('a trigger', () => {
  it('that leaves some images as they are is counted: said, recorded, and in the labels of the model', async () => {
    await writePartlyWhite('partly', 3)
    const { figures, summary, record, said } = await experiment('partly-white', [
      `dataset=${at('partly')}`,
      'poisoning.rate=0.5',
    ])
    // All twelve images of class b are poisoned.
    expect(said).toContain('4 of 12 poisoned images are unchanged by the trigger')
    expect(said).toContain('4 of 12 triggered test images are unchanged by the trigger')
    expect(figures).toMatchObject({ poisonCount: 12, poisonUnchanged: 4, testUnchanged: 4 })
    expect(summary).toContainEqual([
      'unchanged by the trigger',
      '4 of 12 poisoned images',
      '4 of 12 test images',
    ])
    expect(record!.effects).toEqual({
      poison: { count: 12, unchanged: 4 },
      test: { count: 12, unchanged: 4 },
    })
    const { provenance } = await loadCheckpoint(at('partly-white', 'backdoored-model'))
    expect(provenance).toMatchObject({ poisoned: true, poisonCount: 12, coverCount: 0, unchangedCount: 4 })
  })

  it('that changes no image is refused before anything is trained', async () => {
    await writePartlyWhite('white', 1)
    const { error } = await experiment('all-white', [`dataset=${at('white')}`])
    expect(error).toBeInstanceOf(InputError)
    expect(error?.message).toContain('the trigger changes none of the 6 poisoned images')
    const events = readFileSync(at('all-white', 'events.jsonl'), 'utf8')
    expect(events).toContain('"poison"')
    expect(events).not.toContain('clean-twin')
  })
})

describe('what can be known before any work', () => {
  it.each([
    ['poisoning.target=2', 'poisoning.target is 2, but data has the classes 0 to 1'],
    ['poisoning.rate=0.01', 'poisoning.rate 0.01 of 32 images is none: the smallest rate is 0.0157'],
    ['poisoning.rate=0.6', 'the largest rate is 0.5'],
    ['training.batchSize=33', '32 training images make no batch of 33: lower batchSize'],
    ['training.epochs=0.01', '0.01 epochs of 4 steps are less than one step'],
    ['training.crop=12', 'training.crop 12 would move images of 12×12 out of sight'],
    ['training.frozen=[vti]', "no parameter is called 'vti'"],
    ['training.frozen=[vit, classifier]', 'training.frozen covers every parameter'],
    ['attack.share=0.003', 'attack.share 0.003 of 12×12 pixels is none: the smallest share is 0.00348'],
    ['attack.size=13', 'the structuring element is larger than the images, 12×12'],
    ['heldOut=32', 'heldOut is 32, but data has only 32 training images'],
  ])('%s is refused, and leaves no run', async (setting, message) => {
    const { error } = await experiment('refused', [setting])
    expect(error).toBeInstanceOf(InputError)
    expect(error?.message).toContain(message)
    expect(existsSync(at('refused'))).toBe(false)
  })
})
