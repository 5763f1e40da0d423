import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import {
  type ConfiguredAttack,
  computeMap,
  decodePrepared,
  decodeTable,
  encodePrepared,
  encodeTable,
  type ImageMap,
  type ImageProgram,
  type ImageSource,
  imageSize,
  type MapSource,
  type PluginNote,
  type PoisoningConfig,
  type PoisonPlan,
  type Prepared,
  renderImages,
  type Surrogate,
  type TriggerContext,
} from '@ageb/lab'
import { entryId, type KeyParts, type Stage, type StageContext } from '../store/stage.js'
import type { Engine } from './machine.js'
import { openRecords, writeRecords } from './record-file.js'

/** An attack that is to be carried out, with all that decides what it does to an image of a given size. */
export interface AttackSubject {
  readonly engine: Engine
  readonly attack: ConfiguredAttack
  /** What brought the attack, where it is none of the program's own: its code may change without a new version. */
  readonly plugin: PluginNote | undefined
  readonly seed: number
  readonly height: number
  readonly width: number
  readonly classes: number
  readonly surrogate: Surrogate | undefined
}

export function attackKey({
  attack,
  plugin,
  seed,
  height,
  width,
  classes,
  surrogate,
  engine,
}: AttackSubject): KeyParts {
  return {
    attack: attack.name,
    version: attack.version,
    plugin: plugin?.digest,
    parameters: attack.parameters,
    seed,
    size: [height, width],
    classes,
    surrogate: surrogate?.id,
    machine: engine.machine,
  }
}

/** The subject as the attack sees it. */
export function triggerContext({
  seed,
  height,
  width,
  classes,
  surrogate,
}: Omit<AttackSubject, 'engine'>): TriggerContext {
  return { seed, height, width, classes, ...(surrogate && { surrogate }) }
}

/** An attack's preparation, made once: a pattern, a warp field, a generator. */
export const preparationStage: Stage<AttackSubject, Prepared> = {
  name: 'preparation',
  version: 1,
  key: attackKey,
  async run(subject, { folder }) {
    const { attack, engine } = subject
    const prepared = await attack.prepare({ ...triggerContext(subject), runtime: engine.runtime })
    await writeFile(path.join(folder, PREPARED), encodePrepared(prepared))
  },
  async open(folder) {
    const file = path.join(folder, PREPARED)
    return decodePrepared(await readFile(file), file)
  },
}

const PREPARED = 'prepared.safetensors'

export interface MapInput {
  readonly engine: Engine
  /** What a person calls it: `attention gradients`. */
  readonly label: string
  readonly map: ImageMap
  readonly plugin: PluginNote | undefined
  readonly images: ImageSource
}

/** A map of every image: values that many settings of an attack share, such as attention gradients. */
export const mapStage: Stage<MapInput, MapSource> = {
  name: 'maps',
  version: 1,
  key: ({ map, plugin, images, engine }) => ({
    map: map.key,
    plugin: plugin?.digest,
    images: images.id,
    machine: engine.machine,
  }),
  async run({ engine, label, map, images }, { folder, signal, monitor }) {
    const bar = monitor.progress(label, images.count)
    async function* pieces() {
      for await (const { start, count, values } of computeMap(engine.runtime, map, images, { signal })) {
        yield new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
        bar.update(start + count)
      }
    }
    await writeRecords(path.join(folder, 'maps.bin'), pieces()).finally(() => bar.stop())
  },
  async open(folder, { map, images }) {
    const size = map.shape.reduce((product, dim) => product * dim, 1)
    const read = await openRecords(path.join(folder, 'maps.bin'), images.count, 4 * size)
    return {
      read: (indices, out) => read(indices, new Uint8Array(out.buffer, out.byteOffset, out.byteLength)),
    }
  },
}

/** Gives the maps of a program for some images, from the store if they are stored. */
export type GetMaps = (program: ImageProgram, images: ImageSource) => Promise<Record<string, MapSource>>

export interface TriggerInput {
  readonly subject: AttackSubject
  readonly prepared: Prepared
  readonly images: ImageSource
  readonly maps: GetMaps
}

/** Images with the trigger, as at test time. */
export const triggerStage: Stage<TriggerInput, ImageSource> = {
  name: 'triggered',
  version: 1,
  key: ({ subject, images }) => ({ ...attackKey(subject), images: images.id }),
  async run({ subject, prepared, images, maps }, context) {
    const program = subject.attack.trigger(triggerContext(subject), prepared)
    await renderInto(path.join(context.folder, PIXELS), subject, program, images, maps, context)
  },
  open: (folder, input) => imagesFrom(folder, input.images, idOf(triggerStage, input)),
}

const PIXELS = 'pixels.bin'

async function renderInto(
  file: string,
  { engine, seed }: AttackSubject,
  program: ImageProgram,
  images: ImageSource,
  maps: GetMaps,
  { signal, monitor }: Pick<StageContext, 'signal' | 'monitor'>,
): Promise<void> {
  const given = await maps(program, images)
  const bar = monitor.progress('triggers', images.count)
  async function* pieces() {
    const rendered = renderImages(engine.runtime, program, images, { seed, maps: given, signal })
    for await (const { start, count, pixels } of rendered) {
      yield pixels
      bar.update(start + count)
    }
  }
  await writeRecords(file, pieces()).finally(() => bar.stop())
}

/** Images that a stage made are identified by the key of their entry. */
function idOf<I, O>({ name, version, key }: Stage<I, O>, input: I): string {
  return entryId(name, version, key(input)).key
}

async function imagesFrom(folder: string, like: ImageSource, id: string): Promise<ImageSource> {
  const read = await openRecords(path.join(folder, PIXELS), like.count, imageSize(like))
  return { ...like, id, read }
}

export interface PoisonInput extends TriggerInput {
  readonly poisoning: PoisoningConfig
}

/** Which training images an attack changes, in what role, and what they become. */
export const poisonStage: Stage<PoisonInput, PoisonPlan> = {
  name: 'poison',
  version: 1,
  key: ({ subject, images, poisoning }) => ({ ...attackKey(subject), images: images.id, poisoning }),
  async run({ subject, prepared, images, poisoning, maps }, context) {
    let files = 0
    const render = async (program: ImageProgram, chosen: ImageSource): Promise<ImageSource> => {
      const file = path.join(context.scratch, `rendered-${files++}-${process.pid}.bin`)
      await renderInto(file, subject, program, chosen, maps, context)
      return {
        ...chosen,
        id: `${chosen.id} rendered`,
        read: await openRecords(file, chosen.count, imageSize(chosen)),
      }
    }
    const poisonContext = { ...triggerContext(subject), train: images, poisoning, render }
    const { items, pixels } = await subject.attack.poison(poisonContext, prepared)
    await writeRecords(path.join(context.folder, PIXELS), piecesOf(pixels))
    const table = {
      index: Int32Array.from(items, ({ index }) => index),
      role: items.map(({ role }) => role),
      label: Int32Array.from(items, ({ label }) => label),
    }
    await writeFile(path.join(context.folder, ITEMS), encodeTable(table))
  },
  async open(folder, input) {
    const file = path.join(folder, ITEMS)
    const kinds = { index: 'int', role: 'text', label: 'int' } as const
    const { index, role, label } = await decodeTable(await readFile(file), kinds, file)
    const items = Array.from(index, (at, i) => ({
      index: at,
      role: role[i] === 'cover' ? ('cover' as const) : ('poison' as const),
      label: label[i]!,
    }))
    const like = { ...input.images, count: items.length, labels: label }
    return { items, pixels: await imagesFrom(folder, like, idOf(poisonStage, input)) }
  },
}

const ITEMS = 'items.parquet'

async function* piecesOf(source: ImageSource, most = 256): AsyncGenerator<Uint8Array> {
  const size = imageSize(source)
  for (let start = 0; start < source.count; start += most) {
    const indices = Array.from({ length: Math.min(most, source.count - start) }, (_, i) => start + i)
    const pixels = new Uint8Array(indices.length * size)
    await source.read(indices, pixels)
    yield pixels
  }
}
