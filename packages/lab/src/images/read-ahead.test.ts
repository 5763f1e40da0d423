import { describe, expect, it } from 'vitest'
import { readAhead } from './read-ahead.js'

/** Items that are finished by hand. */
function byHand() {
  const begun: number[] = []
  const settle = new Map<number, { resolve(i: number): void; reject(error: Error): void }>()
  const make = (i: number) => {
    begun.push(i)
    return new Promise<number>((resolve, reject) => settle.set(i, { resolve, reject }))
  }
  return { begun, settle, make }
}

describe('readAhead', () => {
  it('makes items in order, so many at a time, and gives them in order however they are finished', async () => {
    const { begun, settle, make } = byHand()
    const items = readAhead(make, 3, 9, 2)
    const first = items.next()
    expect(begun).toEqual([3])
    items.refill()
    expect(begun).toEqual([3, 4, 5])
    for (const i of [5, 4, 3]) settle.get(i)!.resolve(10 * i)
    expect([await first, await items.next()]).toEqual([30, 40])
    items.refill()
    expect(begun).toEqual([3, 4, 5, 6])
    for (let i = 5; i < 9; i++) {
      const next = items.next()
      items.refill()
      settle.get(i)!.resolve(10 * i)
      expect(await next).toBe(10 * i)
    }
    items.refill()
    expect(begun).toEqual([3, 4, 5, 6, 7, 8])
  })

  it('tells of a failure when the item is asked for', async () => {
    const { settle, make } = byHand()
    const items = readAhead(make, 0, 5, 3)
    const first = items.next()
    items.refill()
    settle.get(1)!.reject(new Error('damaged'))
    settle.get(0)!.resolve(0)
    expect(await first).toBe(0)
    // Long enough for a rejection that nobody handles to be noticed.
    await new Promise(resolve => setTimeout(resolve, 10))
    await expect(items.next()).rejects.toThrow('damaged')
  })

  it('ends when nothing is under way any more, and begins nothing after', async () => {
    const { begun, settle, make } = byHand()
    const items = readAhead(make, 0, 9, 2)
    items.refill()
    let ended = false
    const end = items.end().then(() => {
      ended = true
    })
    settle.get(0)!.reject(new Error('too late to matter'))
    await new Promise(resolve => setTimeout(resolve, 10))
    expect(ended).toBe(false)
    settle.get(1)!.resolve(1)
    await end
    items.refill()
    expect(begun).toEqual([0, 1])
  })
})
