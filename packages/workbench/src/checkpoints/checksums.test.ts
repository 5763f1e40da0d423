import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InputError } from 'onnxgrad'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { writeTinyModel } from '../testing/fixtures.js'
import { loadCheckpoint, saveCheckpoint } from './checkpoint-folder.js'
import { assertWhole } from './checksums.js'
import { exportModel } from './export-model.js'

let here: string
beforeEach(async () => {
  here = mkdtempSync(join(tmpdir(), 'ageb-checksums-'))
  const written = await writeTinyModel(join(here, 'tiny'))
  await saveCheckpoint(join(here, 'model'), { ...written, provenance: { poisoned: false } })
})
afterEach(() => rmSync(here, { recursive: true, force: true }))
const at = (...names: string[]) => join(here, 'model', ...names)
const load = () => loadCheckpoint(join(here, 'model'))

describe('the checksums of a checkpoint', () => {
  it('are those of sha256sum, and fit', async () => {
    expect((await load()).model.classNames).toEqual(['a', 'b'])
    await assertWhole(join(here, 'model'))
    if (process.platform === 'linux')
      expect(execFileSync('sha256sum', ['-c', 'SHA256SUMS'], { cwd: at(), encoding: 'utf8' })).toMatch(
        /model\.safetensors: OK/,
      )
  })

  it.each(['config.json', 'preprocessor_config.json', 'model.safetensors'])(
    'tell that one bit of %s was flipped',
    async name => {
      const bytes = readFileSync(at(name))
      // The last but a few: a weight, or the end of a value.
      bytes[bytes.length - 6]! ^= 1
      writeFileSync(at(name), bytes)
      await expect(load()).rejects.toThrow(InputError)
      await expect(load()).rejects.toThrow(
        new RegExp(`${name.replace('.', '\\.')} is damaged or was changed`),
      )
      await expect(assertWhole(at())).rejects.toThrow(name)
    },
  )

  it('are themselves named if they are damaged, and may be deleted', async () => {
    truncateSync(at('SHA256SUMS'), 100)
    await expect(load()).rejects.toThrow('SHA256SUMS is damaged')
    truncateSync(at('SHA256SUMS'), 0)
    await expect(load()).rejects.toThrow('SHA256SUMS is damaged')
    rmSync(at('SHA256SUMS'))
    expect((await load()).model.classNames).toEqual(['a', 'b'])
  })

  it('are there for exported ONNX files, too', async () => {
    await exportModel(at(), join(here, 'onnx'), { format: 'onnx' })
    const file = join(here, 'onnx', 'onnx', 'model.onnx')
    expect((await loadCheckpoint(join(here, 'onnx'))).model.classNames).toEqual(['a', 'b'])
    const bytes = readFileSync(file)
    bytes[bytes.length - 20]! ^= 1
    writeFileSync(file, bytes)
    await expect(loadCheckpoint(join(here, 'onnx'))).rejects.toThrow(/model\.onnx is damaged or was changed/)
  })
})
