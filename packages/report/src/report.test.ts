import type { Mean, Rate } from '@ageb/lab'
import { expect, test } from 'vitest'
import { meanInterval, rateInterval } from './format.js'
import { renderReport } from './report.js'
import type { ReportInput } from './report-input.js'

const HOSTILE = '<img onerror>'

const rate = (successes: number, n: number, margin: number): Rate => {
  const value = successes / n
  return { value, successes, n, low: Math.max(0, value - margin), high: Math.min(1, value + margin) }
}
const mean = (value: number, margin: number): Mean => ({
  value,
  n: 400,
  low: value - margin,
  high: value + margin,
})

const change = (value: number) => ({
  value,
  low: value - 0.01,
  high: value + 0.01,
  n: 900,
  onlyFirst: 20,
  onlySecond: 10,
  p: 0.01,
})

/** Made-up numbers: nothing here was measured. */
async function madeUp(): Promise<ReportInput> {
  // A grey PNG of one pixel.
  const png = Uint8Array.from(
    Buffer.from(
      'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGOIAgAAWwBa2k7WsgAAAABJRU5ErkJggg==',
      'base64',
    ),
  )
  const names = ['clean', 'attention gradient', 'mask', 'eroded', 'triggered', '10×|Δ|']
  const confusion = [
    [9, 1],
    [2, 8],
  ]
  return {
    title: 'Test of the report',
    subtitle: `Made-up data, ${HOSTILE}`,
    attack: { name: 'Test attack', citation: 'Nobody, nowhere', url: 'https://example.org/paper' },
    warning: 'The model and images of this run are deliberately poisoned; for research.',
    rates: {
      cda: rate(3712, 4000, 0.011),
      asr: rate(870, 900, 0.013),
      ra: rate(21, 900, 0.012),
      baseRate: rate(9, 900, 0.007),
    },
    cleanCda: rate(3736, 4000, 0.012),
    cleanAsr: rate(14, 900, 0.008),
    differences: { cda: change(-0.006), gain: change(0.956), overTwin: change(0.951) },
    stealth: {
      psnr: mean(38.2, 0.3),
      ssim: mean(0.9812, 0.0007),
      linf: mean(18.4, 0.6),
      meanAbs: mean(1.21, 0.04),
    },
    poisoning: { rate: 0.1, count: 400, target: 'cat', mode: 'all-to-one', cover: 0 },
    training: [
      {
        name: `fine-tuning ${HOSTILE}`,
        steps: [1, 2, 3].map(step => ({ step, epoch: step / 3, loss: 2 / step, learningRate: 1e-3 })),
        evaluations: [{ epoch: 1, accuracy: 0.9 }],
        evaluatedOn: '100 made-up images',
      },
    ],
    gallery: [
      {
        label: HOSTILE,
        victimPredicts: 'cat',
        twinPredicts: HOSTILE,
        images: names.map(name => ({ name, png })),
      },
    ],
    confusion: {
      classNames: ['cat', HOSTILE],
      before: confusion,
      victimClean: confusion,
      victimTriggered: confusion,
    },
    data: { name: 'made-up', splits: { train: 4000, test: 1000 }, notes: ['JPEG re-encoding, lossy'] },
    configuration: `seed: 1\nname: "${HOSTILE}"\n`,
    environment: { node: '22' },
    speed: { training: '3 steps/s' },
    command: 'ageb run test.yaml',
    startedAt: '2026-01-02T03:04:05Z',
    finishedAt: '2026-01-02T04:14:05Z',
  }
}

test('the report loads nothing and runs nothing', async () => {
  const page = renderReport(await madeUp())
  expect(page).toMatch(/^<!doctype html>/)
  expect(page).not.toMatch(/<script|<link|<iframe|<object|@import|url\((?!#)|\son\w+="/i)
  const sources = [...page.matchAll(/\b(?:src|srcset|href|xlink:href)="([^"]*)"/g)].map(match => match[1]!)
  expect(sources.filter(source => source.startsWith('data:image/png;base64,'))).toHaveLength(6)
  const others = sources.filter(source => !/^(?:data:image\/png;base64,|#)/.test(source))
  expect(others, 'the citation is a link, not a resource').toEqual(['https://example.org/paper'])
})

test('hostile text stays text, in the page and in the charts', async () => {
  const page = renderReport(await madeUp())
  expect(page).not.toContain(HOSTILE)
  expect(page).toContain('&lt;img onerror&gt;')
  expect(page.match(/<img /g)).toHaveLength(6)
  const unsafe: ReportInput = {
    ...(await madeUp()),
    attack: { name: 'x', citation: 'y', url: 'javascript:alert(1)' },
  }
  expect(renderReport(unsafe)).not.toContain('javascript:')
})

test('each number comes with its interval and n', async () => {
  const input = await madeUp()
  const page = renderReport(input)
  for (const value of [...Object.values(input.rates), input.cleanCda, input.cleanAsr]) {
    expect(page).toContain(rateInterval(value))
  }
  const { psnr, ssim, linf, meanAbs } = input.stealth
  expect(page).toContain(meanInterval(psnr, 1, 'dB'))
  expect(page).toContain(meanInterval(ssim, 4))
  expect(page).toContain(meanInterval(linf, 1))
  expect(page).toContain(meanInterval(meanAbs, 2))
  expect(page).toContain('n\u00a0=\u00a04\u00a0000')
})

test('images that the trigger left unchanged, and how they are resized for the surrogate, are told where they are known', async () => {
  const input = await madeUp()
  const unchanged = { poison: { count: 400, unchanged: 23 }, test: { count: 900, unchanged: 0 } }
  const resizing = 'to 224×224, bicubic, within the trigger'
  const page = renderReport({ ...input, poisoning: { ...input.poisoning, unchanged, resizing } })
  for (const text of ['23 of 400', '0 of 900', resizing]) expect(page).toContain(text)
  expect(renderReport(input)).not.toContain('left unchanged')
})

test('anchors lead somewhere and ids are unique, those inside the drawings too', async () => {
  const page = renderReport(await madeUp())
  const ids = [...page.matchAll(/\sid="([^"]+)"/g)].map(match => match[1]!)
  expect(new Set(ids).size).toBe(ids.length)
  for (const [, anchor] of page.matchAll(/href="#([^"]+)"/g)) expect(ids).toContain(anchor)
})

test('the same input gives the same bytes', async () => {
  const input = await madeUp()
  expect(renderReport(input)).toBe(renderReport(input))
})

test('a run without pictures and curves still renders', async () => {
  const page = renderReport({
    ...(await madeUp()),
    gallery: [],
    training: [],
    speed: {},
    startedAt: '',
    finishedAt: '',
  })
  expect(page).not.toContain('NaN')
  expect(page).not.toContain('Invalid')
})

test('a thousand classes make a page that opens: the worst confusions in place of a million cells', async () => {
  const input = await madeUp()
  const classNames = Array.from({ length: 1000 }, (_, i) => `class ${i}`)
  const matrix = classNames.map((_, i) => classNames.map((_, j) => (i === j ? 10 : j === i + 1 ? i % 7 : 0)))
  const confusion = { classNames, before: matrix, victimClean: matrix, victimTriggered: matrix }
  const page = renderReport({ ...input, confusion })
  expect(page.length).toBeLessThan(300_000)
  expect(page).toContain('class 6</td><td>class 7')
})
