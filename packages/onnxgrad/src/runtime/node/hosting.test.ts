import { execFile } from 'node:child_process'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { Graph } from '../../graph/graph.js'
import { toOnnx } from '../../onnx/to-onnx.js'
import { add } from '../../ops/elementwise.js'
import { longProducts, longProductsFeeds } from '../../testing/long-products.js'
import { startRuntime } from './index.js'

const program = fileURLToPath(new URL('../../testing/runtime-program.js', import.meta.url))

describe('the main thread', () => {
  const runtime = startRuntime({ threads: 1 })
  afterAll(() => runtime.close())

  /** Milliseconds that `work` took, and the longest that the event loop was late meanwhile. */
  async function watch(work: () => Promise<unknown>) {
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    const start = performance.now()
    await work()
    const took = performance.now() - start
    delay.disable()
    return { took, late: delay.max / 1e6 }
  }

  // What blocks the loop blocks it for about as long as the work takes, on any machine. What a busy machine does
  // to an idle loop is measured too, and allowed for.
  it.each(['load', 'run'] as const)('is not blocked by a long %s', async busyAt => {
    const model = longProducts(200, busyAt)
    const feeds = busyAt === 'run' ? longProductsFeeds() : {}
    const session = busyAt === 'run' ? await runtime.load(model) : undefined
    const idle = await watch(() => sleep(500))
    const busy = await watch(() => (session ? session.run(feeds) : runtime.load(model)))
    expect(busy.late).toBeLessThan(idle.late + busy.took / 10)
  })
})

describe('a feed', () => {
  const runtime = startRuntime({ threads: 1 })
  afterAll(() => runtime.close())

  it('is copied, or where that is asked for goes over to the session', async () => {
    const graph = new Graph()
    const [x, y] = [graph.input('x', 'float32', [3]), graph.input('y', 'float32', [3])]
    graph.output('sum', add(x, y))
    const session = await runtime.load(toOnnx(graph))
    const feeds = {
      x: { dtype: 'float32', shape: [3], data: Float32Array.of(1, 2, 3) },
      y: { dtype: 'float32', shape: [3], data: Float32Array.of(4, 5, 6) },
    } as const
    for (const moved of [[], ['y']]) {
      const { sum } = await session.run(feeds, moved)
      expect([...sum!.data]).toEqual([5, 7, 9])
    }
    expect(feeds.x.data).toEqual(Float32Array.of(1, 2, 3))
    expect(feeds.y.data.length).toBe(0)
    await session.release()
  })
})

describe('the end', () => {
  it('of a runtime waits for the calls made before, and refuses later ones', async () => {
    const runtime = startRuntime({ threads: 1 })
    const session = await runtime.load(longProducts(100, 'run'))
    let running = true
    const runs = [session.run(longProductsFeeds()), session.run(longProductsFeeds())]
    const all = Promise.all(runs).finally(() => {
      running = false
    })
    const closed = runtime.close().then(() => running)
    await expect(session.run(longProductsFeeds())).rejects.toThrow('the runtime was closed')
    for (const { corner } of await all) expect(corner!.data[0]).toBe(1 / 512)
    expect(await closed).toBe(false)
    await expect(runtime.load(longProducts(1, 'run'))).rejects.toThrow('the runtime was closed')
  })

  it('of the process while a run is under way is an orderly one', async () => {
    const ended = await new Promise(resolve => {
      const child = execFile(process.execPath, [program, 'exit', '7'])
      child.on('close', (code, signal) => resolve({ code, signal }))
    })
    expect(ended).toEqual({ code: 7, signal: null })
  })
})

describe('resident memory', { timeout: 300_000 }, () => {
  /** The share by which it grew after a warm-up. */
  const growth = (mode: string, warmUp: number, count: number) =>
    new Promise<number>((resolve, reject) => {
      const args = ['--expose-gc', '--import', program, program, mode, String(warmUp), String(count)]
      // One heap of the C library: how it scatters over several is no leak, but looks like one.
      const env = { ...process.env, MALLOC_ARENA_MAX: '1' }
      execFile(process.execPath, args, { env }, (error, stdout) =>
        error ? reject(error) : resolve(Number(stdout)),
      )
    })

  it('does not grow with sessions that are released', async () => {
    expect(await growth('cycles', 300, 1000)).toBeLessThan(0.05)
  })

  it('does not grow with steps', async () => {
    expect(await growth('steps', 1000, 10_000)).toBeLessThan(0.05)
  })

  it('grows with sessions that are not released, which is how a leak would look', async () => {
    expect(await growth('cycles-without-release', 100, 400)).toBeGreaterThan(0.05)
  })
})
