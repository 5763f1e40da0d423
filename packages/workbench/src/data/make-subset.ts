/**
 * Makes the bundled subset of CIFAR-10: `node make-subset.js SOURCE_DIR OUT_DIR`. SOURCE_DIR holds the data
 * set in the hub's layout; OUT_DIR gets `plain_text/{train,test}-00000-of-00001.parquet` and a README.md.
 * Running it again makes the same bytes.
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { InputError } from 'onnxgrad'
import { sha256OfFile } from '../files/sha256-of-file.js'
import { filesOfSplit } from './layouts/split-files.js'
import { type ImageParquet, openImageParquet } from './parquet.js'
import { balancedIndices } from './take.js'
import { type ImageRow, writeImageParquet } from './write-parquet.js'

/** Any number would do; changing it changes the data set. */
const seed = 2009
const counts = { train: 5000, test: 1000 }

async function main(sourceDir: string | undefined, outDir: string | undefined): Promise<void> {
  if (!sourceDir || !outDir) throw new InputError('Give two folders: node make-subset.js SOURCE_DIR OUT_DIR.')
  const folder = join(outDir, 'plain_text')
  mkdirSync(folder, { recursive: true })
  const sums: string[] = []
  for (const [split, n] of Object.entries(counts)) {
    const target = join(folder, `${split}-00000-of-00001.parquet`)
    await writeSubset(sourceDir, split, n, target)
    sums.push(`${await sha256OfFile(target)}  plain_text/${split}-00000-of-00001.parquet`)
  }
  writeFileSync(join(outDir, 'README.md'), readme(sums))
  console.log(sums.join('\n'))
}

async function writeSubset(sourceDir: string, split: string, n: number, target: string): Promise<void> {
  const paths = readdirSync(sourceDir, { recursive: true }).map(path => String(path).replaceAll('\\', '/'))
  const found = filesOfSplit(paths, split, sourceDir)
  if (found.layout !== 'parquet') throw new InputError(`${sourceDir} is not in the hub's layout: fetch it.`)
  const rows: ImageRow[] = []
  let first: ImageParquet | undefined
  for (const path of found.files) {
    const source = await openImageParquet(join(sourceDir, path))
    first ??= source
    if (!source) continue
    const labels = await source.labels()
    for await (const { firstRow, images, names } of source.images())
      for (const [i, bytes] of images.entries())
        rows.push({ bytes, path: names[i] ?? null, label: Number(labels[firstRow + i]) })
  }
  if (!first?.columns.classNames)
    throw new InputError(`${sourceDir} does not name its classes: use a source that does.`)
  const { columns, huggingface } = first
  const labels = Int32Array.from(rows, ({ label }) => label)
  const chosen = balancedIndices(labels, first.columns.classNames.length, n, seed)
  writeImageParquet(
    target,
    { imageColumn: columns.image, labelColumn: columns.label, huggingface },
    Array.from(chosen, index => rows[index]!),
  )
}

function readme(sums: readonly string[]): string {
  return `# A subset of CIFAR-10

${counts.train} training and ${counts.test} test images of CIFAR-10, equally many of each of the ten classes,
32×32 RGB, in random order. It is here so that everything can be tried without fetching anything.

Origin: A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, technical report, University
of Toronto, 2009. The images are those of a JPEG re-encoding of the data set, copied byte for byte. That
encoding is lossy: accuracies run a little under those on the lossless set. And 5,000 images teach less than
all 50,000.

The layout is that of the Hugging Face hub: Parquet, an image column \`img\` (\`bytes\`, \`path\`), an integer
column \`label\`, and the class names in the metadata.

Made by this command, which makes the same bytes each time, where SOURCE_DIR is a folder with all of CIFAR-10
in that layout:

    node packages/workbench/dist/data/make-subset.js SOURCE_DIR packages/workbench/datasets/cifar10-subset

The seed of the choice is ${seed}. SHA-256 of the files:

${sums.map(sum => `    ${sum}`).join('\n')}
`
}

main(process.argv[2], process.argv[3]).catch((error: unknown) => {
  console.error(error instanceof InputError ? error.message : error)
  process.exitCode = 1
})
