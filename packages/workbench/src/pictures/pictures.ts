import type { Stage, StagedImage } from '@ageb/lab'
import { interpolateInferno, interpolateViridis } from 'd3-scale-chromatic'
import sharp from 'sharp'

/**
 * Pictures of images, masks and heat maps. Everything here but the PNG writers is a pure function from planar to
 * planar: uint8, 3 × height × width, RGB, channel by channel, as in `ImageSet.pixels`.
 */

/** Colour maps that stay readable in grey and for colour-blind readers. */
export type HeatPalette = 'viridis' | 'inferno'

/** How to enlarge one planar image into a PNG. */
export interface PngOptions {
  readonly height: number
  readonly width: number
  /** Each pixel becomes a square of `scale` × `scale`; a whole number, 1 by default. */
  readonly scale?: number
}

/** How to lay a row of equally large images out. */
export interface StripOptions extends PngOptions {
  /** Space between two images and around the row, in pixels of the result; 8 by default. */
  readonly gap?: number
  /** One caption beneath each image. */
  readonly labels?: readonly string[]
}

/** The image as a PNG, enlarged without smoothing so that each pixel stays visible. */
export async function toPng(planar: Uint8Array, options: PngOptions): Promise<Buffer> {
  return enlarge(planar, options).png({ compressionLevel: 9 }).toBuffer()
}

/**
 * Non-negative values as colours, scaled so that the largest takes the palette's last colour.
 *
 * @param values height × width, each ≥ 0
 * @param options.palette `inferno` by default
 * @param options.max scale to this in place of the image's own maximum, to compare several images; larger values
 *   take the last colour
 * @returns planar 3 × height × width
 */
export function heatMap(
  values: Float32Array,
  options: { readonly palette?: HeatPalette; readonly max?: number } = {},
): Uint8Array {
  const colours = paletteTable(options.palette ?? 'inferno')
  const max = options.max ?? values.reduce((largest, value) => Math.max(largest, value), 0)
  const size = values.length
  const planar = new Uint8Array(3 * size)
  for (let i = 0; i < size; i++) {
    const value = values[i]!
    if (!(value >= 0)) throw new RangeError(`heatMap: expected values ≥ 0, got ${value} at index ${i}`)
    const level = max > 0 ? Math.round(255 * Math.min(1, value / max)) : 0
    for (let c = 0; c < 3; c++) planar[c * size + i] = colours[3 * level + c]!
  }
  return planar
}

/** A mask (height × width) as black (0) and white (anything else), planar 3 × height × width. */
export function maskImage(mask: Uint8Array | Float32Array): Uint8Array {
  const size = mask.length
  const planar = new Uint8Array(3 * size)
  for (let i = 0; i < size; i++) {
    if (mask[i] !== 0) for (let c = 0; c < 3; c++) planar[c * size + i] = 255
  }
  return planar
}

/** `factor` × |a − b|, clipped to 255: makes changes visible that the eye would miss. */
export function amplifiedDifference(a: Uint8Array, b: Uint8Array, factor = 10): Uint8Array {
  if (a.length !== b.length) {
    throw new RangeError(
      `amplifiedDifference: expected images of one size, got ${a.length} and ${b.length} values`,
    )
  }
  return a.map((value, i) => Math.min(255, Math.round(factor * Math.abs(value - b[i]!))))
}

/** The images side by side on white, captions beneath, as one PNG. */
export async function strip(images: readonly Uint8Array[], options: StripOptions): Promise<Buffer> {
  const { height, width, scale = 1, gap = 8, labels = [] } = options
  if (images.length === 0) throw new RangeError('strip: expected at least one image')
  if (labels.length > 0 && labels.length !== images.length) {
    throw new RangeError(`strip: expected ${images.length} labels, one an image, got ${labels.length}`)
  }
  const [cellWidth, cellHeight] = [width * scale, height * scale]
  const fontSize = labels.length > 0 ? captionSize(labels, cellWidth) : 0
  const captionHeight = Math.ceil(fontSize * 1.5)
  const size = {
    width: gap + images.length * (cellWidth + gap),
    height: gap + cellHeight + captionHeight + gap,
  }
  const layers = await Promise.all(
    images.map(async (image, i) => ({
      input: await enlarge(image, { height, width, scale }).png().toBuffer(),
      left: gap + i * (cellWidth + gap),
      top: gap,
    })),
  )
  const captions = labels.map((label, i) => {
    const x = gap + i * (cellWidth + gap) + cellWidth / 2
    return `<text x="${x}" y="${gap + cellHeight + fontSize * 1.3}">${escapeXml(label)}</text>`
  })
  const overlay = Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${size.width}" height="${size.height}"
      font-family="Lato, 'Helvetica Neue', Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
      font-size="${fontSize}" fill="#333" text-anchor="middle">${captions.join('')}</svg>`,
  )
  return sharp({ create: { ...size, channels: 3, background: '#ffffff' } })
    .composite([...layers, { input: overlay, left: 0, top: 0 }])
    .png({ compressionLevel: 9 })
    .toBuffer()
}

/** A sharp pipeline that holds the enlarged image. */
function enlarge(planar: Uint8Array, { height, width, scale = 1 }: PngOptions): ReturnType<typeof sharp> {
  const size = height * width
  if (planar.length !== 3 * size) {
    throw new RangeError(`expected 3 × ${height} × ${width} = ${3 * size} values, got ${planar.length}`)
  }
  if (!Number.isInteger(scale) || scale < 1) throw new RangeError(`expected a whole scale ≥ 1, got ${scale}`)
  const interleaved = Buffer.alloc(3 * size)
  for (let i = 0; i < size; i++) {
    for (let c = 0; c < 3; c++) interleaved[3 * i + c] = planar[c * size + i]!
  }
  const image = sharp(interleaved, { raw: { width, height, channels: 3 } })
  return scale === 1 ? image : image.resize(width * scale, height * scale, { kernel: 'nearest' })
}

/** The largest font size, up to 15, at which each caption fits its image. */
function captionSize(labels: readonly string[], cellWidth: number): number {
  const longest = Math.max(1, ...labels.map(label => label.length))
  // 0.56 em is the mean width of a letter in the fonts named above, with some room to spare.
  return Math.max(6, Math.min(15, cellWidth / (0.56 * longest)))
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

const tables = new Map<HeatPalette, Uint8Array>()

/** 256 colours of a palette, three bytes each. */
function paletteTable(palette: HeatPalette): Uint8Array {
  const known = tables.get(palette)
  if (known) return known
  const interpolate = palette === 'viridis' ? interpolateViridis : interpolateInferno
  const table = new Uint8Array(3 * 256)
  for (let level = 0; level < 256; level++) {
    // d3 writes these two palettes as `#rrggbb`.
    const hex = interpolate(level / 255)
    for (let c = 0; c < 3; c++) table[3 * level + c] = Number.parseInt(hex.slice(1 + 2 * c, 3 + 2 * c), 16)
  }
  tables.set(palette, table)
  return table
}

/** A trigger stage's values (one or three channels) as a picture: a mask in black and white, an image as it is, a map in colours. */
export function stagePicture(kind: Stage['kind'], data: Float32Array): Uint8Array {
  if (kind === 'mask') return maskImage(data)
  if (kind === 'image')
    return Uint8Array.from(data, value => Math.round(255 * Math.min(1, Math.max(0, value))))
  return heatMap(data)
}

/** An image on its way through a trigger, with the name of each picture: clean, every stage, triggered, the difference. */
export function triggerPictures(
  clean: Uint8Array,
  { image: triggered, stages }: StagedImage,
): [name: string, planar: Uint8Array][] {
  return [
    ['clean', clean],
    ...stages.map(({ name, kind, data }): [string, Uint8Array] => [name, stagePicture(kind, data)]),
    ['triggered', triggered],
    ['10×|Δ|', amplifiedDifference(clean, triggered)],
  ]
}
