import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { InputError } from 'onnxgrad'
import { afterAll, describe, expect, it } from 'vitest'
import { loadCheckpoint } from './checkpoint-folder.js'

const here = mkdtempSync(path.join(tmpdir(), 'ageb-torch-'))
afterAll(() => rmSync(here, { recursive: true }))
const fixture = (name: string) => fileURLToPath(new URL(`../../../lab/fixtures/${name}`, import.meta.url))

/** A folder with files of the fixtures, by the names that they get there, and texts. */
function folder(name: string, files: Readonly<Record<string, string>>, config?: object): string {
  const made = path.join(here, name)
  mkdirSync(made)
  for (const [file, from] of Object.entries(files)) copyFileSync(fixture(from), path.join(made, file))
  if (config) writeFileSync(path.join(made, 'config.json'), JSON.stringify(config))
  return made
}

async function load(model: string) {
  const said: string[] = []
  const checkpoint = await loadCheckpoint(model, { warn: message => said.push(message) })
  return { ...checkpoint, said }
}

describe('a file of torch.save', () => {
  it('is read with the configurations beside it, and what is left open is said', async () => {
    const made = folder('beside', { 'x.pth': 'torch/vit.pth' }, { num_attention_heads: 2 })
    const { model, said } = await load(path.join(made, 'x.pth'))
    expect(model.modelType).toBe('vit')
    expect(said).toEqual([expect.stringContaining(`${made}/x.pth: without a preprocessor_config.json`)])
  })

  it('is read alone if its tensors tell all', async () => {
    const made = folder('alone', { 'swin.PTH': 'torch/swin.pth' })
    const { model, said } = await load(path.join(made, 'swin.PTH'))
    expect(model.modelType).toBe('swin')
    expect(said.length).toBe(3)
  })

  it('is the pytorch_model.bin of a folder without safetensors', async () => {
    const made = folder('bin', {
      'config.json': 'checkpoints/vit/config.json',
      'preprocessor_config.json': 'checkpoints/vit/preprocessor_config.json',
      'pytorch_model.bin': 'torch/transformers.bin',
    })
    const { weights, said } = await load(made)
    expect(weights).toEqual((await load(fixture('checkpoints/vit'))).weights)
    expect(said).toEqual([])
  })

  it.each([
    ['os-system.pth', /os-system\.pth: its pickle asks for posix\.system/],
    ['nowhere.pth', /there is no file '.*nowhere\.pth'/],
  ])('%s is refused', async (name, message) => {
    const error: unknown = await load(fixture(`torch/${name}`)).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(InputError)
    expect((error as InputError).message).toMatch(message)
  })
})
