import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findModule } from './find-module.js'
import { moduleDigest } from './module-digest.js'

const folder = mkdtempSync(path.join(tmpdir(), 'ageb-module-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const write = (file: string, text: string) => {
  mkdirSync(path.dirname(path.join(folder, file)), { recursive: true })
  writeFileSync(path.join(folder, file), text)
}
const entry = path.join(folder, 'plugin', 'entry.mjs')

beforeAll(() => {
  write('package.json', '{}')
  write(
    'plugin/entry.mjs',
    [
      "import { a } from './lib/a.mjs'",
      "export*from'used'",
      "const bytes = new URL('./pattern.bin', import.meta.url)",
      'const late = () => import("./late.mjs?x")',
      "import '../above.mjs'",
    ].join('\n'),
  )
  write('plugin/lib/a.mjs', "export { a } from './b.mjs'\nimport '../entry.mjs'\n")
  write('plugin/lib/b.mjs', 'export const a = 1\n')
  write('plugin/late.mjs', '')
  write('plugin/pattern.bin', '\u0000')
  write('above.mjs', '')
  write('plugin/unused.mjs', '')
  write('node_modules/used/package.json', '{ "version": "1.0.0", "exports": { "import": "./in.js" } }')
  write('node_modules/used/in.js', '')
  write('node_modules/used/other.js', '')
})

describe('the digest of a module', () => {
  it.each([
    ['plugin/lib/b.mjs', 'export const a = 2\n'],
    ['plugin/late.mjs', 'late()\n'],
    ['plugin/pattern.bin', '\u0001'],
    ['above.mjs', 'above()\n'],
    ['node_modules/used/package.json', '{ "version": "1.0.1", "exports": { "import": "./in.js" } }'],
  ])('changes with %s', async (file, text) => {
    const before = await moduleDigest(entry)
    write(file, text)
    expect(await moduleDigest(entry)).not.toBe(before)
  })

  it('does not change with files that it does not name, or with its folder', async () => {
    const before = await moduleDigest(entry)
    write('plugin/unused.mjs', 'unused()\n')
    expect(await moduleDigest(entry)).toBe(before)
    const moved = `${folder}-moved`
    cpSync(folder, moved, { recursive: true })
    expect(await moduleDigest(path.join(moved, 'plugin', 'entry.mjs'))).toBe(before)
    rmSync(moved, { recursive: true })
  })
})

describe('a module', () => {
  const find = (module: string, at = folder) => findModule(module, at, 'here')

  it('is found by a path, with or without a point in front, or as a package', async () => {
    expect(await find('./plugin/entry.mjs')).toMatchObject({ name: 'entry.mjs' })
    expect(await find('plugin/entry.mjs')).toEqual(await find(entry))
    const used = await find('used', path.join(folder, 'plugin'))
    expect(used.name).toBe('used')
    expect(used.file.endsWith(path.join('node_modules', 'used', 'in.js'))).toBe(true)
  })

  it('is refused where it is not', async () => {
    await expect(find('./plugin')).rejects.toThrow('here: there is no file')
    await expect(find('absent')).rejects.toThrow("'absent' is neither a file nor a package")
    await expect(find('node:fs')).rejects.toThrow('neither')
    await expect(find('used/other.js')).rejects.toThrow('neither')
  })
})
