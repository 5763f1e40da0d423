import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { SchemaElement } from 'hyparquet'
import { parquetWriteFile } from 'hyparquet-writer'
import sharp from 'sharp'
import type { Monitor } from '../runs/monitor.js'

/** Small data sets of every kind, for tests. */

/** A PNG of one colour; the value is its red, by which it is told apart. */
export function plainPng(value: number, side = 4): Promise<Buffer> {
  const background = { r: value, g: value + 1, b: value + 2 }
  return sharp({ create: { width: side, height: side, channels: 3, background } })
    .png()
    .toBuffer()
}

/** A monitor that keeps what it is told. */
export function listener(): Monitor & { readonly said: string[]; readonly bars: string[] } {
  const [said, bars]: [string[], string[]] = [[], []]
  return {
    said,
    bars,
    say: text => void said.push(text),
    progress(label) {
      bars.push(label)
      return { update() {}, stop() {} }
    },
  }
}

export interface TestColumn {
  readonly name: string
  readonly type: 'number' | 'text' | 'boolean' | 'image' | 'binary'
  readonly data: readonly unknown[]
}

/** Writes a Parquet file with any columns; `features` become the metadata of the hub. */
export function writeColumns(
  path: string,
  columns: readonly TestColumn[],
  features?: Record<string, unknown>,
): void {
  mkdirSync(dirname(path), { recursive: true })
  parquetWriteFile({
    filename: path,
    schema: [{ name: 'root', num_children: columns.length }, ...columns.flatMap(schemaOf)],
    columnData: columns.map(({ name, type, data }) => ({
      name,
      data: data.map(value => {
        if (value === null) return null
        if (type === 'image') return { bytes: value }
        return type === 'number' ? BigInt(Number(value)) : value
      }),
    })),
    statistics: false,
    ...(features && { kvMetadata: [{ key: 'huggingface', value: JSON.stringify({ info: { features } }) }] }),
  })
}

function schemaOf({ name, type }: TestColumn): SchemaElement[] {
  const column = { name, repetition_type: 'OPTIONAL' } as const
  switch (type) {
    case 'image':
      return [
        { ...column, num_children: 1 },
        { name: 'bytes', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' },
      ]
    case 'number':
      return [{ ...column, type: 'INT64' }]
    case 'text':
      return [{ ...column, type: 'BYTE_ARRAY', converted_type: 'UTF8' }]
    case 'boolean':
      return [{ ...column, type: 'BOOLEAN' }]
    case 'binary':
      return [{ ...column, type: 'BYTE_ARRAY' }]
  }
}

/** Features as the hub declares them. */
export const image = { _type: 'Image' }
export const value = (dtype: string) => ({ dtype, _type: 'Value' })
export const classLabel = (...names: string[]) => ({ names, _type: 'ClassLabel' })

/** Plain images with labels in the hub's layout: label i for image i, as a number, with or without names. */
export async function writeSplit(
  path: string,
  labels: readonly number[],
  { names, first = 10, side = 4 }: { names?: readonly string[]; first?: number; side?: number } = {},
): Promise<void> {
  const images = await Promise.all(labels.map((_, i) => plainPng((first + i) % 250, side)))
  writeColumns(
    path,
    [
      { name: 'image', type: 'image', data: images },
      { name: 'label', type: 'number', data: labels },
    ],
    names && { image, label: classLabel(...names) },
  )
}

/** Writes image files: path to the value of their colour. */
export async function writeImages(folder: string, files: Record<string, number>): Promise<void> {
  for (const [path, value] of Object.entries(files)) {
    const file = join(folder, path)
    mkdirSync(dirname(file), { recursive: true })
    await sharp(await plainPng(value)).toFile(file)
  }
}
