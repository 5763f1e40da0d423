import type { SchemaTree } from 'hyparquet'
import { InputError } from 'onnxgrad'
import { z } from 'zod'

/** Which columns to take, where a file has several that would do. */
export interface ColumnChoice {
  readonly image?: string | undefined
  readonly label?: string | undefined
}

/** How labels are stored: whole numbers, names of classes, or true and false. */
export type LabelKind = 'number' | 'text' | 'boolean'

export interface ChosenColumns {
  /** Path of the leaf that has the image's bytes. */
  readonly bytes: readonly string[]
  /** Path of the leaf that has the image's file name. */
  readonly fileName: readonly string[]
  readonly image: string
  readonly label: string
  readonly labelKind: LabelKind
  /** The classes that the file declares, in order. */
  readonly classNames: readonly string[] | undefined
  /** What of this the file does not itself declare, in sentences. */
  readonly remarks: readonly string[]
}

/** Columns of these names hold the label, where nothing says otherwise. */
const labelNames = new Set(
  [
    ...['label', 'labels', 'class', 'classes', 'target', 'targets', 'category', 'categories', 'y'],
    ...[
      'label_id',
      'class_id',
      'category_id',
      'target_id',
      'label_idx',
      'class_idx',
      'class_index',
      'class_label',
    ],
    ...[
      'label_name',
      'class_name',
      'category_name',
      'fine_label',
      'coarse_label',
      'fine_labels',
      'coarse_labels',
    ],
  ].flatMap(name => [name, name.replace('_', '')]),
)
/** Columns of bytes with these names are images, where nothing says otherwise. */
const imageNames = new Set([
  'image',
  'images',
  'img',
  'imgs',
  'picture',
  'photo',
  'image_bytes',
  'bytes',
  'jpg',
  'png',
])

const featuresSchema = z.object({
  info: z.object({
    features: z.record(z.string(), z.looseObject({ _type: z.string().optional() })),
  }),
})
const classNamesSchema = z.array(z.string()).min(1)
type Features = z.infer<typeof featuresSchema>['info']['features']

/**
 * Finds the image column and the label column. Where `choice` does not name them: the columns that the metadata of the
 * hub declares as Image and ClassLabel; else an image column by its type, and a label column by its name. Nothing is
 * guessed: of several that would do none is taken.
 *
 * @param huggingface the file's metadata of that key
 * @throws InputError if there is no such column, or there are several
 */
export function chooseColumns(
  path: string,
  root: SchemaTree,
  huggingface: string | undefined,
  choice: ColumnChoice = {},
): ChosenColumns {
  const features = parseFeatures(huggingface)
  const image = chooseImage(path, root, features, choice.image)
  const { column: label, kind, remarks } = chooseLabel(path, root, features, choice.label)
  const { name } = image.element
  const isStruct = image.children.length > 0
  return {
    bytes: isStruct ? [name, 'bytes'] : [name],
    fileName: isStruct ? [name, 'path'] : [],
    image: name,
    label: label.element.name,
    labelKind: kind,
    classNames: classNamesSchema.safeParse(features?.[label.element.name]?.names).data,
    remarks,
  }
}

function chooseImage(
  path: string,
  root: SchemaTree,
  features: Features | undefined,
  wanted: string | undefined,
): SchemaTree {
  const structs = root.children.filter(({ children }) =>
    children.some(({ element }) => element.name === 'bytes' && element.type === 'BYTE_ARRAY'),
  )
  const binary = root.children.filter(({ element }) => element.type === 'BYTE_ARRAY' && !isText(element))
  if (wanted !== undefined) {
    const found = [...structs, ...binary].find(({ element }) => element.name === wanted)
    if (found) return found
    throw new InputError(
      `${path} has no column \`${wanted}\` with the bytes of images among its columns ${columnList(root)}: ` +
        'give another one with --image-column (columns.image).',
    )
  }
  const declared = [...structs, ...binary].filter(
    ({ element }) => features?.[element.name]?._type === 'Image',
  )
  const named = binary.filter(({ element }) => imageNames.has(element.name.toLowerCase()))
  const candidates = [declared, structs, named].find(list => list.length > 0) ?? []
  if (candidates.length === 1) return candidates[0]!
  if (candidates.length > 1) {
    throw new InputError(
      `${path} has several image columns (${names(candidates)}): choose one with --image-column (columns.image).`,
    )
  }
  throw new InputError(
    `${path} has no image column (a struct with binary \`bytes\`) among its columns ${columnList(root)}: ` +
      'give an image-classification data set.',
  )
}

function chooseLabel(
  path: string,
  root: SchemaTree,
  features: Features | undefined,
  wanted: string | undefined,
): { column: SchemaTree; kind: LabelKind; remarks: string[] } {
  const fitting = root.children.filter(column => labelKind(column) !== undefined)
  const pick = (column: SchemaTree, remarks: string[]) => ({ column, kind: labelKind(column)!, remarks })
  if (wanted !== undefined) {
    const found = fitting.find(({ element }) => element.name === wanted)
    if (found) return pick(found, [])
    if (root.children.some(({ element }) => element.name === wanted)) throw unfitLabel(path, wanted)
    throw new InputError(
      `${path} has no column \`${wanted}\` among its columns ${columnList(root)}: ` +
        'give another one with --label-column (columns.label).',
    )
  }
  const declared = fitting.filter(({ element }) => features?.[element.name]?._type === 'ClassLabel')
  const named = fitting.filter(({ element }) => labelNames.has(element.name.toLowerCase()))
  const candidates = declared.length > 0 ? declared : named
  const [first, ...more] = candidates
  if (first === undefined) {
    const unfit = root.children.find(({ element }) => labelNames.has(element.name.toLowerCase()))
    if (unfit) throw unfitLabel(path, unfit.element.name)
    throw new InputError(
      `${path} has no column that is known to be the label among its columns ${columnList(root)}: ` +
        'name it with --label-column (columns.label).',
    )
  }
  if (more.length > 0) {
    throw new InputError(
      `${path} has several label columns (${names(candidates)}): choose one with --label-column (columns.label).`,
    )
  }
  const others = named.filter(column => column !== first)
  if (declared.length > 0 && others.length === 0) return pick(first, [])
  const { name } = first.element
  const rest = others.length > 0 ? `, not from ${names(others)}` : ''
  return pick(first, [`Labels are taken from the column \`${name}\`${rest}.`])
}

function unfitLabel(path: string, column: string): InputError {
  return new InputError(
    `the column \`${column}\` of ${path} holds neither numbers nor texts nor true and false: ` +
      'give another one with --label-column (columns.label).',
  )
}

function labelKind({ element, children }: SchemaTree): LabelKind | undefined {
  if (children.length > 0 || element.repetition_type === 'REPEATED') return undefined
  const { type, converted_type: converted, logical_type: logical } = element
  if (type === 'BOOLEAN') return 'boolean'
  // Without an annotation bytes may be texts, as some programs write them.
  if (type === 'BYTE_ARRAY') return isText(element) || (!converted && !logical) ? 'text' : undefined
  if (type === 'FLOAT' || type === 'DOUBLE') return 'number'
  if (type !== 'INT32' && type !== 'INT64') return undefined
  const isPlain = !converted || /^U?INT_/.test(converted)
  return isPlain && (!logical || logical.type === 'INTEGER') ? 'number' : undefined
}

function isText({ converted_type: converted, logical_type: logical }: SchemaTree['element']): boolean {
  return (
    converted === 'UTF8' || converted === 'ENUM' || logical?.type === 'STRING' || logical?.type === 'ENUM'
  )
}

function parseFeatures(text: string | undefined): Features | undefined {
  if (text === undefined) return undefined
  try {
    return featuresSchema.safeParse(JSON.parse(text)).data?.info.features
  } catch {
    // Metadata that does not parse only costs the class names: the columns are found otherwise.
    return undefined
  }
}

const names = (columns: readonly SchemaTree[]) =>
  columns.map(({ element }) => `\`${element.name}\``).join(', ')

const columnList = (root: SchemaTree) => names(root.children) || '(none)'
