import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { writeTinyModel } from '../testing/fixtures.js'
import { loadCheckpoint } from './checkpoint-folder.js'
import { exportModel } from './export-model.js'
import { modelInfo } from './model-info.js'

const folder = mkdtempSync(path.join(tmpdir(), 'ageb-export-'))
const at = (name: string) => path.join(folder, name)
afterAll(() => rmSync(folder, { recursive: true }))

it('a checkpoint is described and exported from code', async () => {
  const { weights } = await writeTinyModel(at('model'), { classes: ['cat', 'dog', 'owl'] })
  const info = await modelInfo(at('model'))
  expect(info).toMatchObject({ modelType: 'vit', imageSize: 8, classNames: ['cat', 'dog', 'owl'] })
  const values = Object.values(weights).reduce((sum, { length }) => sum + length, 0)
  expect(info.parameters).toBe(values)

  const { files } = await exportModel(at('model'), at('whole'))
  expect(readdirSync(at('whole')).toSorted()).toEqual(files.toSorted())
  expect((await loadCheckpoint(at('whole'))).weights).toEqual(weights)

  const web = await exportModel(at('model'), at('web'), { format: 'onnx', batch: 1 })
  expect(web).toMatchObject({ format: 'onnx', folder: at('web') })
  expect(await modelInfo(path.join(at('web'), 'onnx', 'model.onnx'))).toMatchObject({
    ...{ modelType: 'onnx', url: undefined },
    classNames: ['cat', 'dog', 'owl'],
  })
})
