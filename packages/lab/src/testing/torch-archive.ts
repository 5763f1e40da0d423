/** A zip archive of stored entries, as torch.save writes it but for the alignment. */
export function zipOf(files: ReadonlyMap<string, Uint8Array>): Uint8Array<ArrayBuffer> {
  const local: number[] = []
  const directory: number[] = []
  for (const [name, content] of files) {
    const text = [...new TextEncoder().encode(name)]
    const common = [
      ...[...u16(0), ...u16(0), ...u32(0), ...u32(0)],
      ...[...u32(content.length), ...u32(content.length), ...u16(text.length), ...u16(0)],
    ]
    const start = local.length
    for (const byte of [...u32(0x04034b50), ...u16(0), ...common, ...text]) local.push(byte)
    for (const byte of content) local.push(byte)
    const rest = [...u16(0), ...u16(0), ...u16(0), ...u32(0), ...u32(start)]
    for (const byte of [...u32(0x02014b50), ...u16(0), ...u16(0), ...common, ...rest, ...text])
      directory.push(byte)
  }
  const sizes = [...u16(files.size), ...u16(files.size), ...u32(directory.length), ...u32(local.length)]
  return Uint8Array.from([
    ...local,
    ...directory,
    ...u32(0x06054b50),
    ...u16(0),
    ...u16(0),
    ...sizes,
    ...u16(0),
  ])
}

const u16 = (value: number) => [value & 255, value >> 8]
const u32 = (value: number) => [...u16(value & 0xffff), ...u16(value >>> 16)]

/** A file of torch.save with a pickle written by hand, beside one storage of four zeros. */
export function torchFile(pickle: string): Uint8Array<ArrayBuffer> {
  const bytes = Uint8Array.from(pickle, character => character.charCodeAt(0))
  return zipOf(
    new Map([
      ['a/data.pkl', bytes],
      ['a/data/0', new Uint8Array(16)],
    ]),
  )
}
