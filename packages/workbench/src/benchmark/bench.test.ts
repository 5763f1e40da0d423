import { describe, expect, it } from 'vitest'
import { UsageError } from '../configuration/resolve.js'
import { bench } from './bench.js'
import { benchDefaults } from './settings.js'

const tiny = { width: 16, depth: 1, heads: 2, patch: 8, batch: 4, threads: 1, seconds: 0.1 }

describe('bench', () => {
  it('measures a part from code', async () => {
    const { inference, train, settings, gemmGflopsMeasured } = await bench(tiny, { parts: ['inference'] })
    expect(settings).toEqual({ ...benchDefaults, ...tiny })
    expect(inference!.steps).toBeGreaterThanOrEqual(5)
    expect(train).toBeUndefined()
    expect(gemmGflopsMeasured).toHaveLength(2)
  })

  it('is stopped by its signal, and with it the process that measures', async () => {
    const stop = new AbortController()
    const monitor = {
      say: (text: string) => text === 'train …' && setTimeout(() => stop.abort('enough'), 100),
      progress: () => ({ update() {}, stop() {} }),
    }
    const measuring = bench({ ...tiny, seconds: 1e6 }, { parts: ['train'], monitor, signal: stop.signal })
    await expect(measuring).rejects.toBe('enough')
  })

  it('refuses sizes that do not go together', async () => {
    await expect(bench({ ...tiny, heads: 5 })).rejects.toThrow(UsageError)
    await expect(bench({ ...tiny, microBatches: 3 })).rejects.toThrow('does not divide')
  })
})
