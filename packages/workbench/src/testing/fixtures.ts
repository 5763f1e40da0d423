import { mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import {
  buildModel,
  initialWeights,
  type Model,
  modelConfig,
  type Provenance,
  rng,
  type Weights,
} from '@ageb/lab'
import sharp from 'sharp'
import { saveCheckpoint } from '../checkpoints/checkpoint-folder.js'
import { CHECKSUMS } from '../checkpoints/checksums.js'
import { huggingfaceMetadata, type ImageRow, writeImageParquet } from '../data/write-parquet.js'

/** Tiny data and a tiny model on disk, for tests. */

/** A square PNG of noise around a class's brightness: easy to learn, no two alike. */
export function noisePng(side: number, label: number, seed: number): Promise<Buffer> {
  const random = rng(seed, 'noise')
  const raw = Uint8Array.from({ length: 3 * side * side }, () => 60 * label + 100 * random.uniform())
  return sharp(raw, { raw: { width: side, height: side, channels: 3 } })
    .png()
    .toBuffer()
}

/** Writes a data set of noise into a new folder: `train` and `test` images a split. */
export async function writeDataset(
  folder: string,
  { classes = ['a', 'b'], side = 8, train = 48, test = 24, labelColumn = 'label' } = {},
): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const header = {
    imageColumn: 'image',
    labelColumn,
    huggingface: huggingfaceMetadata('image', labelColumn, classes),
  }
  for (const [split, count] of Object.entries({ train, test })) {
    const rows: ImageRow[] = []
    for (let i = 0; i < count; i++) {
      const label = i % classes.length
      rows.push({ bytes: await noisePng(side, label, i + (split === 'test' ? 1000 : 0)), path: null, label })
    }
    writeImageParquet(path.join(folder, `${split}-00000-of-00001.parquet`), header, rows)
  }
}

/** The shape of a tiny ViT, as configuration keys. */
export const tinyShape = {
  image_size: 8,
  patch_size: 4,
  hidden_size: 16,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  intermediate_size: 16,
}

/** Saves a tiny ViT with random weights and returns it. As in what others publish, there are no checksums beside it. */
export async function writeTinyModel(
  folder: string,
  {
    classes = ['a', 'b'],
    side = 8,
    patch = 4,
    seed = 1,
    provenance = { poisoned: false } as Provenance,
  } = {},
): Promise<{ model: Model; weights: Weights }> {
  const model = buildModel(modelConfig.parse({ ...tinyShape, image_size: side, patch_size: patch }), {
    classNames: classes,
  })
  const weights = initialWeights(model, rng(seed, 'weights'))
  await saveCheckpoint(folder, { model, weights, provenance })
  rmSync(path.join(folder, CHECKSUMS))
  return { model, weights }
}
