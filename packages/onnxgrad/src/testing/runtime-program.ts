import { isMainThread } from 'node:worker_threads'
import { tanh } from '../ops/activation.js'
import { linear } from '../ops/matrix-product.js'
import { startRuntime } from '../runtime/node/index.js'
import { crossEntropy } from '../train/losses.js'
import { adamW } from '../train/optimizers.js'
import { buildTrainStep } from '../train/train-step.js'
import { longProducts, longProductsFeeds } from './long-products.js'

/*
 * What tests of the runtime have to do in a process of its own: `node runtime-program.js MODE …`. To measure memory,
 * start it with --expose-gc, and import it in every thread (--import): the runtime's thread then collects its
 * garbage regularly too, and what is left of growth is a leak.
 */

const modes: Record<string, (...args: string[]) => Promise<void>> = {
  /** Ends the process with this code while the runtime is inside a call. */
  async exit(code) {
    const session = await startRuntime({ threads: 1 }).load(longProducts(200, 'run'))
    void session.run(longProductsFeeds())
    setTimeout(() => process.exit(Number(code)), 20)
  },
  async steps(warmUp, count) {
    const session = await load(startRuntime({ threads: 1 }))
    await printGrowth(Number(warmUp), Number(count), i => session.run(feeds(i)))
  },
  async cycles(warmUp, count) {
    const runtime = startRuntime({ threads: 1 })
    await printGrowth(Number(warmUp), Number(count), async () => {
      const session = await load(runtime)
      await session.run(feeds(0))
      await session.release()
    })
  },
  /** A leak on purpose, which the measurement must find. */
  async 'cycles-without-release'(warmUp, count) {
    const runtime = startRuntime({ threads: 1 })
    await printGrowth(Number(warmUp), Number(count), async () => {
      await (await load(runtime)).run(feeds(0))
    })
  },
}

const step = buildTrainStep({
  parameters: {
    w1: { shape: [64, 2], decay: true },
    b1: { shape: [64], decay: false },
    w2: { shape: [2, 64], decay: true },
  },
  forward(graph, { w1, b1, w2 }) {
    const [x, y] = [graph.input('x', 'float32', [4, 2]), graph.input('y', 'int64', [4])]
    return { loss: crossEntropy(linear(tanh(linear(x, w1!, b1)), w2!), y) }
  },
  optimizer: adamW({ weightDecay: 0.01 }),
  clipNorm: 1,
})

function load(runtime: ReturnType<typeof startRuntime>) {
  const spread = (size: number) => Float32Array.from({ length: size }, (_, i) => Math.sin(i))
  const initialState = step.initialState({ w1: spread(128), b1: spread(64), w2: spread(128) })
  return runtime.load(step.model, { state: step.state, initialState })
}

const feeds = (i: number) => ({
  x: { dtype: 'float32', shape: [4, 2], data: Float32Array.of(0, 0, 0, 1, 1, 0, 1, 1) } as const,
  y: { dtype: 'int64', shape: [4], data: BigInt64Array.of(0n, 1n, 1n, 0n) } as const,
  ...step.scalars(i + 1, 0.01),
})

/**
 * Repeats some work and prints by what share the resident memory grew since the warm-up. Compared are the medians of
 * ten samples each, taken over a tenth of the work: of the tenth after the warm-up and of the last one.
 */
async function printGrowth(warmUp: number, count: number, work: (i: number) => Promise<unknown>) {
  const every = count / 100
  const samples: number[] = []
  for (let i = 0; i < warmUp + count; i++) {
    await work(i)
    if (i < warmUp || (i - warmUp) % every !== 0) continue
    gc!()
    samples.push(process.memoryUsage.rss())
  }
  const median = (some: number[]) => some.sort((a, b) => a - b)[some.length / 2]!
  console.log(median(samples.slice(-10)) / median(samples.slice(0, 10)) - 1)
}

if (isMainThread) {
  const [mode, ...args] = process.argv.slice(2)
  await modes[mode!]!(...args)
} else {
  setInterval(() => gc!(), 50).unref()
}
