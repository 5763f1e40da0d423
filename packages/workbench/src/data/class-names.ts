import { digestOf, type ImageSource } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import type { Monitor } from '../runs/monitor.js'
import { once } from './once.js'
import type { Classes, StoredSplit } from './stored-images.js'

/** Classes that are only numbered may be few of many up to here: beyond, half of them have to occur. */
const sparseClasses = 32

/** Labels by their texts: the classes are the texts that occur, sorted (by value, if all are whole numbers). */
export function foundClasses(texts: readonly string[]): {
  labels: Int32Array
  classes: Extract<Classes, { kind: 'found' }>
} {
  const names = [...new Set(texts)]
  const areNumbers = names.every(name => /^\d{1,9}$/.test(name))
  if (areNumbers) names.sort((a, b) => Number(a) - Number(b) || a.length - b.length)
  else names.sort()
  const index = new Map(names.map((name, i) => [name, i]))
  return { labels: Int32Array.from(texts, text => index.get(text)!), classes: { kind: 'found', names } }
}

/** The classes of labels without names. */
export function numberedBy(labels: Int32Array): Classes {
  return { kind: 'numbered', count: labels.reduce((most, label) => Math.max(most, label), -1) + 1 }
}

/** Labels and names of classes, as sources have them. */
export type Agreed = Pick<ImageSource, 'labels' | 'classNames'>

/**
 * Makes the classes of splits that are used together agree: by name, in the order of the first split; numbered ones by
 * number. What is decided is said.
 *
 * @returns for each split its labels, and the names that all share
 * @throws InputError if splits have other classes, or numbers of classes are not counted up from 0
 */
export function agreeOnClasses(splits: readonly StoredSplit[], monitor: Monitor): Agreed[] {
  const reference = splits.find(({ classes }) => classes.kind !== 'numbered')
  if (!reference) return agreeOnNumbers(splits, monitor)
  const classNames = namesOf(reference)
  return splits.map(split => {
    const { classes, labels, name } = split
    if (classes.kind === 'numbered') {
      if (reference.classes.kind === 'found' && !areNumbered(classNames))
        throw new InputError(
          `${name}: the split '${split.split}' numbers its classes and '${reference.split}' names them (${some(classNames)}): ` +
            'write both alike.',
        )
      if (classes.count > classNames.length)
        throw new InputError(
          `${name}: the split '${split.split}' has labels up to ${classes.count - 1}, but '${reference.split}' has ` +
            `only ${classNames.length} classes (${some(classNames)}): give splits of one data set.`,
        )
      once(
        monitor,
        `${name}: the split '${split.split}' does not name its classes: its labels are taken as those of '${reference.split}'.`,
      )
      return { labels, classNames }
    }
    return { labels: matched(split, namesOf(split), classNames, reference.split, monitor), classNames }
  })
}

function namesOf({ classes, name, split }: StoredSplit): readonly string[] {
  const names = classes.kind === 'numbered' ? numbers(classes.count) : classes.names
  return names.length > 0 ? names : fail(`${name}: the split '${split}' has no classes.`)
}

function matched(
  { name, split, labels, classes }: StoredSplit,
  names: readonly string[],
  classNames: readonly string[],
  reference: string,
  monitor: Monitor,
): Int32Array {
  if (isEqual(names, classNames)) return labels
  checkUnique(name, names)
  checkUnique(name, classNames)
  const order = names.map(one => classNames.indexOf(one))
  const extra = names.filter((_, i) => order[i] === -1)
  const lacking = classNames.filter(one => !names.includes(one))
  if (extra.length > 0 || (lacking.length > 0 && classes.kind === 'declared')) {
    const difference = [
      ...(extra.length > 0 ? [`only '${split}' has ${some(extra)}`] : []),
      ...(lacking.length > 0 ? [`only '${reference}' has ${some(lacking)}`] : []),
    ]
    throw new InputError(
      `${name}: the splits '${reference}' and '${split}' have different classes (${difference.join('; ')}): ` +
        'give splits of the same classes.',
    )
  }
  once(
    monitor,
    lacking.length > 0
      ? `${name}: the split '${split}' has no images of ${some(lacking)}; its classes are matched to those of '${reference}' by name.`
      : `${name}: the split '${split}' has its classes in another order than '${reference}': they are matched by name.`,
  )
  return labels.map(label => order[label]!)
}

function agreeOnNumbers(splits: readonly StoredSplit[], monitor: Monitor): Agreed[] {
  const { name } = splits[0]!
  const counts = splits.map(({ classes }) => (classes.kind === 'numbered' ? classes.count : 0))
  const count = Math.max(...counts)
  const occurring = new Set(splits.flatMap(({ labels }) => [...new Set(labels)])).size
  const isTraining = splits.some(({ split }) => /^train/i.test(split))
  if (isTraining && count > sparseClasses && occurring < count / 2) {
    throw new InputError(
      `${name}: labels go up to ${count - 1}, but only ${occurring} of these ${count} classes have images: ` +
        'number the classes from 0, or name them in the metadata or by text labels.',
    )
  }
  const classNames = numbers(count)
  if (occurring < count)
    once(monitor, `${name}: only ${occurring} of the classes 0 to ${count - 1} have images.`)
  for (const [i, { split }] of splits.entries())
    if (counts[i]! < count)
      once(
        monitor,
        counts[i] === count - 1
          ? `${name}: the split '${split}' has no images of the last class, ${count - 1}.`
          : `${name}: the split '${split}' has no images of the classes ${counts[i]} to ${count - 1}.`,
      )
  return splits.map(({ labels }) => ({ labels, classNames }))
}

/**
 * A source whose labels and classes are those of a model: matched by name, whatever their order. Where one of the two
 * has only numbers for its classes (`0`, `LABEL_0`), they are matched by number. What is decided is said.
 *
 * @param names the model's classes, in the order of its outputs
 * @param mayLack whether the source may lack some of the model's classes, as one that names only those that occur
 * @returns the source itself if its classes are the same in the same order
 * @throws InputError if the source has other classes, or two of the same name
 */
export function withClasses(
  source: ImageSource,
  names: readonly string[],
  monitor: Monitor,
  mayLack = false,
): ImageSource {
  const { name, classNames: own } = source
  if (isEqual(own, names)) return source
  const order = orderByName(name, bare(own), bare(names)) ?? orderByNumber(own, names)
  if (!order) throw differentClasses(name, own, names)
  const lacking = names.length - own.length
  if (lacking > 0 && !mayLack && !areNumbered(own)) throw differentClasses(name, own, names)
  once(monitor, howMatched(source, names))
  const labels = source.labels.map(label => order[label]!)
  const id = digestOf('with-classes', source.id, labels, [...names])
  return { ...source, id, labels, classNames: names }
}

/** For each of `own` its place among `names`; undefined if one is not among them. */
function orderByName(name: string, own: readonly string[], names: readonly string[]): number[] | undefined {
  const order = own.map(one => names.indexOf(one))
  if (order.includes(-1)) return undefined
  checkUnique(name, own)
  checkUnique('the model', names)
  return order
}

/** Where one of the two is numbered; undefined otherwise, and if the numbers are not those of the names. */
function orderByNumber(own: readonly string[], names: readonly string[]): number[] | undefined {
  // Numbers go up to the largest that occurs, so the last classes may lack; names are all there.
  const fits = areNumbered(own)
    ? own.length <= names.length
    : areNumbered(names) && own.length === names.length
  return fits ? [...own.keys()] : undefined
}

/** Classes that are only numbered, in either way, as numbers. */
function bare(names: readonly string[]): readonly string[] {
  return names.every(name => /^LABEL_\d+$/.test(name)) ? names.map(name => name.slice(6)) : names
}

function howMatched({ name, classNames: own }: ImageSource, names: readonly string[]): string {
  if (areNumbered(names) && bare(own).every(one => bare(names).includes(one)))
    return `${name} has ${own.length} of the model's ${names.length} classes: they are matched by number.`
  if (areNumbered(own))
    return `The classes of ${name} are only numbered: they are taken in the order of the model's (${some(names)}).`
  if (areNumbered(names))
    return `The classes of the model are only numbered: they are taken in the order of ${name}'s (${some(own)}).`
  return own.length < names.length
    ? `${name} has ${own.length} of the model's ${names.length} classes: they are matched by name.`
    : `${name} has its classes in another order than the model: they are matched by name.`
}

function differentClasses(name: string, own: readonly string[], names: readonly string[]): InputError {
  const problem =
    own.length === names.length
      ? `${name} has other classes (${some(own)}) than the model (${some(names)})`
      : `${name} has ${own.length} classes but the model tells ${names.length} apart (${some(own)}; ${some(names)})`
  return new InputError(`${problem}: use a model made for this data.`)
}

/**
 * Sources in the order of a model's classes where they have just these, in whatever order; else as they are, for the
 * model to get a new head.
 */
export function inOrderOf<const S extends readonly ImageSource[]>(
  sources: S,
  names: readonly string[],
  monitor: Monitor,
): { -readonly [K in keyof S]: ImageSource } {
  const isSame = sources.every(({ classNames }) => isEqual(classNames.toSorted(), names.toSorted()))
  const ordered = isSame ? sources.map(source => withClasses(source, names, monitor)) : [...sources]
  return ordered as { -readonly [K in keyof S]: ImageSource }
}

/** Whether classes are only numbered: `0`, `1`, … or `LABEL_0`, `LABEL_1`, …. */
export function areNumbered(names: readonly string[]): boolean {
  return names.every((name, i) => name === String(i) || name === `LABEL_${i}`)
}

function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, label) => String(label))
}

function isEqual(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, i) => name === b[i])
}

function checkUnique(where: string, names: readonly string[]): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined)
    throw new InputError(
      `${where} has two classes named '${twice}', so classes cannot be matched by name: name them differently.`,
    )
}

/** Some names for a sentence. */
export function some(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(', ')
  return names.length > 5 ? `${shown}, … ${names.length} in all` : shown
}

function fail(sentence: string): never {
  throw new InputError(sentence)
}
