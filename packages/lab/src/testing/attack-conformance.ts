import assert from 'node:assert/strict'
import type { Runtime } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import * as ort from 'onnxruntime-node'
import { z } from 'zod'
import type { TriggerContext } from '../attacks/core/context.js'
import type { Attack, ConfiguredAttack } from '../attacks/core/define-attack.js'
import { type ImageProgram, needsOf } from '../attacks/core/image-program.js'
import { type PoisonPlan, poisonedSet } from '../attacks/core/poison-plan.js'
import { goals, type PoisoningConfig, poisoningConfig } from '../attacks/core/poisoning.js'
import { decodePrepared, encodePrepared, type Prepared } from '../attacks/core/prepared.js'
import {
  computeMap,
  imageNoise,
  type MapSource,
  renderStages,
  renderToMemory,
} from '../attacks/core/render.js'
import { surrogateOf } from '../attacks/core/surrogate.js'
import { triggerModel } from '../attacks/core/trigger-model.js'
import { asAttack } from '../attacks/resolve.js'
import { type ImageSet, imageAt, imagesInMemory, readAll } from '../images/image-set.js'
import { type ImageSource, imageSize } from '../images/image-source.js'
import { vit, vitConfig } from '../models/vit.js'
import { rng } from '../random/rng.js'
import { strongWeights } from './tiny.js'

/** Something that every attack keeps to, and a function that throws if this one does not. */
export interface AttackCheck {
  readonly name: string
  readonly check: () => Promise<void>
}

const SEED = 3
const COUNT = 30
const TARGET = 1
/** Images of two sizes, and two numbers of classes; a surrogate of that size, and one of another. */
const WORLDS = [
  { side: 8, classes: 3, surrogateSide: 8 },
  { side: 16, classes: 5, surrogateSide: 12 },
]

/**
 * What every attack keeps to, whatever it does; needs Node and onnxruntime-node. Any test runner can run it:
 *
 * @example for (const { name, check } of attackConformance(myAttack)) it(name, check)
 */
export function attackConformance(attack: Attack): readonly AttackCheck[] {
  const cases = Object.entries(attack.cases)
  return [
    { name: 'is declared in full', check: async () => declaredInFull(attack) },
    { name: 'has presets, the first of which is that of the defaults', check: async () => presets(attack) },
    ...cases.flatMap(([name, parameters]) =>
      WORLDS.flatMap(world => {
        const subject = () => subjectOf(attack.configure(parameters), world)
        const of = `${name}, ${world.side}×${world.side}, ${world.classes} classes`
        return [
          { name: `poisons as configured (${of})`, check: () => poisonsAsConfigured(subject()) },
          { name: `is decided by its seed, and can be stored (${of})`, check: () => pure(subject()) },
          {
            name: `is the same for every batch size and thread count (${of})`,
            check: () => batchesAndThreads(subject()),
          },
          {
            name: `runs as a file in a bare ONNX Runtime, and shows its stages (${of})`,
            check: () => asFile(subject()),
          },
        ]
      }),
    ),
  ]
}

function declaredInFull(attack: Attack): void {
  asAttack(attack, attack.name)
  assert.match(attack.name, /^[a-z][a-z0-9-]*$/, 'its name is in kebab-case')
  assert.match(attack.url, /^https:\/\//, 'its url begins with https://')
  assert.ok(attack.citation.length > 10, 'it cites its paper')
  assert.ok(Number.isInteger(attack.version) && attack.version >= 1, 'its version is a whole number from 1')
  assert.ok(Object.keys(attack.cases).length > 0, 'it has cases: without them nothing is checked')
  const { properties = {} } = z.toJSONSchema(attack.parameters, { io: 'input' })
  for (const [key, schema] of Object.entries(properties)) {
    assert.ok(typeof schema === 'object' && schema.description, `its parameter '${key}' has a description`)
    assert.ok('default' in schema, `its parameter '${key}' has a default`)
  }
  for (const parameters of Object.values(attack.cases)) {
    const plain = attack.configure(parameters).parameters
    assert.deepEqual(
      attack.configure(JSON.parse(JSON.stringify(plain))).parameters,
      plain,
      'its parameters survive JSON',
    )
  }
}

function presets(attack: Attack): void {
  const [first, ...others] = Object.entries(attack.presets)
  assert.ok(first, 'it has a preset')
  assert.deepEqual(first[1].parameters, {}, 'the first preset is that of the defaults')
  for (const [preset, { summary, parameters, poisoning }] of [first, ...others]) {
    assert.ok(summary, `preset '${preset}' has a summary`)
    poisoningConfig.parse({ ...attack.poisoning, ...poisoning })
    attack.configure(parameters)
  }
}

/** A configured attack, and what it is tried on. */
interface Subject {
  readonly attack: ConfiguredAttack
  readonly context: TriggerContext
  readonly train: ImageSet
}

function subjectOf(
  attack: ConfiguredAttack,
  { side, classes, surrogateSide }: (typeof WORLDS)[number],
): Subject {
  const random = rng(SEED, 'conformance')
  const classNames = Array.from({ length: classes }, (_, i) => `class ${i}`)
  const train = imagesInMemory({
    ...{ name: 'noise', split: 'train', height: side, width: side, classNames },
    pixels: Uint8Array.from({ length: COUNT * 3 * side * side }, () => random.int(256)),
    labels: Int32Array.from({ length: COUNT }, (_, i) => i % classes),
  })
  const config = vitConfig.parse({
    ...{ image_size: surrogateSide, patch_size: 4, hidden_size: 8 },
    ...{ num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 12 },
  })
  const model = vit.build(config, { classNames })
  const surrogate =
    attack.needs.surrogate &&
    surrogateOf({ model, weights: strongWeights(model, SEED) }, { height: side, width: side })
  return {
    attack,
    context: { seed: SEED, height: side, width: side, classes, ...(surrogate && { surrogate }) },
    train,
  }
}

async function poisonsAsConfigured(subject: Subject): Promise<void> {
  await withRuntime(1, async runtime => {
    const { train, context } = subject
    const prepared = await subject.attack.prepare({ ...context, runtime })
    const untouched = train.pixels.slice()
    for (const mode of poisoningConfig.shape.mode.unwrap().options) {
      const poisoning = { rate: 0.2, mode, target: TARGET }
      const plan = await planFor(runtime, subject, prepared, poisoning)
      const poison = plan.items.filter(({ role }) => role === 'poison')
      assert.equal(poison.length, 0.2 * COUNT, 'as many images are poisoned as the rate says')
      const wanted = goals(train.labels, poisoning, context.classes)
      for (const { index, role, label } of plan.items) {
        const before = train.labels[index]!
        assert.equal(label, role === 'poison' ? wanted[index] : before, `label of image ${index}, a ${role}`)
        if (mode === 'all-to-one' && role === 'poison') assert.notEqual(before, TARGET)
        if (mode === 'clean-label' && role === 'poison') assert.equal(before, TARGET)
      }
      const indices = plan.items.map(({ index }) => index)
      assert.deepEqual(
        indices,
        [...new Set(indices)].sort((a, b) => a - b),
        'items ascend, each once',
      )
      const after = await readAll(poisonedSet(train, plan))
      assert.equal(after.count, COUNT)
      for (let i = 0; i < COUNT; i++) {
        if (indices.includes(i)) continue
        sameBytes(imageAt(after, i), imageAt(train, i), `image ${i}, which is not in the plan`)
        assert.equal(after.labels[i], train.labels[i])
      }
      assert.ok(
        poison.some(({ index }) => !equal(imageAt(after, index), imageAt(train, index))),
        'some poisoned image is changed',
      )
    }
    sameBytes(train.pixels, untouched, 'the training images themselves')
  })
}

async function pure(subject: Subject): Promise<void> {
  await withRuntime(1, async runtime => {
    const { attack, context } = subject
    const prepare = (seed: number) => attack.prepare({ ...context, seed, runtime })
    const bytes = encodePrepared(await prepare(SEED))
    sameBytes(encodePrepared(await prepare(SEED)), bytes, 'what is prepared a second time')
    const stored = decodePrepared(bytes, attack.name)
    const first = await imagesOf(runtime, subject, await prepare(SEED))
    const second = await imagesOf(runtime, subject, stored)
    sameBytes(second.triggered, first.triggered, 'triggered images, prepared from storage')
    sameBytes(second.poison, first.poison, 'training images, prepared from storage')
    assert.deepEqual(second.items, first.items, 'a second plan')
    const seeded = { ...subject, context: { ...context, seed: SEED + 1 } }
    const other = await imagesOf(runtime, seeded, await prepare(SEED + 1))
    assert.notDeepEqual(other.items, first.items, 'another seed chooses other images')
  })
}

async function batchesAndThreads(subject: Subject): Promise<void> {
  const { train } = subject
  const expected = await withRuntime(1, async runtime => {
    const prepared = await subject.attack.prepare({ ...subject.context, runtime })
    const images = await imagesOf(runtime, subject, prepared)
    const program = subject.attack.trigger(subject.context, prepared)
    const maps = await storedMaps(runtime, program, train)
    const stored = await renderToMemory(runtime, program, train, { seed: SEED, maps })
    sameBytes(stored.pixels, images.triggered, 'images made with maps that were computed before')
    return { ...images, prepared }
  })
  for (const [threads, batches] of [
    [1, [1, 4]],
    [2, [4, COUNT]],
  ] as const) {
    await withRuntime(threads, async runtime => {
      for (const batch of batches) {
        const images = await imagesOf(runtime, subject, expected.prepared, batch)
        const what = `batches of ${batch}, threads: ${threads}`
        sameBytes(images.triggered, expected.triggered, `triggered images, ${what}`)
        sameBytes(images.poison, expected.poison, `training images, ${what}`)
      }
    })
  }
}

async function asFile(subject: Subject): Promise<void> {
  await withRuntime(1, async runtime => {
    const { attack, context, train } = subject
    const { height, width } = context
    const program = attack.trigger(context, await attack.prepare({ ...context, runtime }))
    const { pixels } = await renderToMemory(runtime, program, train, { seed: SEED })
    const staged = await renderStages(runtime, program, train, { seed: SEED })
    staged.forEach(({ image, stages }, i) => {
      sameBytes(image, pixels.subarray(i * imageSize(train), (i + 1) * imageSize(train)), `staged image ${i}`)
      for (const { name, kind, data } of stages) {
        assert.equal(data.length, (kind === 'image' ? 3 : 1) * height * width, `size of the stage '${name}'`)
        const allowed = (value: number) =>
          kind === 'map'
            ? value >= 0
            : kind === 'mask'
              ? value === 0 || value === 1
              : value >= 0 && value <= 1
        assert.ok(data.every(allowed), `the stage '${name}' has only values that its kind, ${kind}, allows`)
      }
    })
    const file = triggerModel(attack, program, { batch: COUNT, height, width })
    sameBytes(await runBare(file, program, train), pixels, 'what the exported file gives')
  })
}

/** Runs an exported trigger without anything of this project. */
async function runBare(file: Uint8Array, program: ImageProgram, images: ImageSet): Promise<Uint8Array> {
  const session = await ort.InferenceSession.create(file, { intraOpNumThreads: 1 })
  const { labels, noise } = needsOf(program)
  const feeds: Record<string, ort.Tensor> = {
    images: new ort.Tensor('uint8', images.pixels, [COUNT, 3, images.height, images.width]),
  }
  if (labels) feeds.labels = new ort.Tensor('int64', BigInt64Array.from(images.labels, BigInt), [COUNT])
  if (noise) {
    const size = noise.shape.reduce((n, dim) => n * dim, 1)
    const drawn = Array.from({ length: COUNT }, (_, i) => [...imageNoise(SEED, i, size)])
    feeds.noise = new ort.Tensor('float32', Float32Array.from(drawn.flat()), [COUNT, ...noise.shape])
  }
  assert.deepEqual([...session.inputNames].sort(), Object.keys(feeds).sort(), "the file's inputs")
  const { triggered } = await session.run(feeds)
  await session.release()
  assert.ok(triggered?.data instanceof Uint8Array)
  return triggered.data
}

/** All that an attack makes: triggered images, and what it puts into a training set. */
async function imagesOf(runtime: Runtime, subject: Subject, prepared: Prepared, batch?: number) {
  const { attack, context, train } = subject
  const options = { seed: context.seed, ...(batch !== undefined && { batch }) }
  const { pixels } = await renderToMemory(runtime, attack.trigger(context, prepared), train, options)
  const poisoning = { rate: 0.2, mode: 'all-to-one', target: TARGET } as const
  const plan = await planFor(runtime, subject, prepared, poisoning, batch)
  return { triggered: pixels, items: plan.items, poison: (await readAll(plan.pixels)).pixels }
}

function planFor(
  runtime: Runtime,
  { attack, context, train }: Subject,
  prepared: Prepared,
  poisoning: PoisoningConfig,
  batch?: number,
): Promise<PoisonPlan> {
  const options = { seed: context.seed, ...(batch !== undefined && { batch }) }
  const render = (program: ImageProgram, images: ImageSource) =>
    renderToMemory(runtime, program, images, options)
  return attack.poison({ ...context, train, poisoning, render }, prepared)
}

/** A program's maps, computed before. */
async function storedMaps(runtime: Runtime, program: ImageProgram, images: ImageSet) {
  const sources: Record<string, MapSource> = {}
  for (const [name, map] of Object.entries(program.maps ?? {})) {
    const size = map.shape.reduce((n, dim) => n * dim, 1)
    const values = new Float32Array(images.count * size)
    for await (const part of computeMap(runtime, map, images, { batch: 7 }))
      values.set(part.values, part.start * size)
    sources[name] = {
      async read(indices, out) {
        Array.from(indices, (index, i) =>
          out.set(values.subarray(index * size, (index + 1) * size), i * size),
        )
      },
    }
  }
  return sources
}

async function withRuntime<T>(threads: number, use: (runtime: Runtime) => Promise<T>): Promise<T> {
  const runtime = startRuntime({ threads })
  try {
    return await use(runtime)
  } finally {
    await runtime.close()
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i])
}

/** A short message in place of two lists of pixels. */
function sameBytes(came: Uint8Array, expected: Uint8Array, what: string): void {
  if (equal(came, expected)) return
  const at = came.findIndex((value, i) => value !== expected[i])
  assert.fail(
    `${what}: ${came.length} bytes, of which byte ${at} is ${came[at]} and not ${expected[at]}, as it is in the ` +
      `${expected.length} that were expected`,
  )
}
