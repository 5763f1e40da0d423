import { readdirSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, it } from 'vitest'
import { backdoorRunConfig } from '../configuration/backdoor-config.js'
import { demoConfiguration } from '../configuration/bundled.js'
import { check, readConfiguration } from '../configuration/resolve.js'
import { configurationSchema } from './configuration-schema.js'

const papers = fileURLToPath(new URL('../../configs/paper', import.meta.url))
const files = [demoConfiguration, ...readdirSync(papers).map(name => path.join(papers, name))]
const validator = (kind?: string) => new Ajv2020().compile(configurationSchema(kind))
const [any, train, backdoor] = [validator(), validator('train'), validator('backdoor')]

describe('the JSON Schema of configurations', () => {
  it.each(files)('accepts %s', async file => {
    const configuration = await readConfiguration(file)
    expect(any(configuration), JSON.stringify(any.errors)).toBe(true)
    expect(backdoor(configuration)).toBe(true)
    expect(train(configuration)).toBe(false)
  })

  it('requires no key that has a default', () => {
    expect(any({ kind: 'backdoor' })).toBe(true)
    expect(any({ kind: 'train', model: { hidden_size: 96 }, training: { clipNorm: null } })).toBe(true)
    expect(train({})).toBe(true)
  })

  it.each([
    { kind: 'backdoor', attack: 'badnets' },
    { kind: 'backdoor', attack: { share: 0.5 } },
    { kind: 'backdoor', attack: { preset: 'paper', share: 0.1 } },
    { kind: 'backdoor', attack: { name: 'badnets', preset: 'backdoorbench' } },
  ])('accepts %j, as a run does', configuration => {
    expect(any(configuration), JSON.stringify(any.errors)).toBe(true)
    expect(() => check(backdoorRunConfig, configuration, 'here')).not.toThrow()
  })

  it.each([
    { kind: 'backdoor', attack: 'nothing' },
    { kind: 'backdoor', attack: { preset: 'nothing' } },
    { kind: 'backdoor', attack: { pattern: 'square' } },
    { kind: 'backdoor', sede: 1 },
    { kind: 'backdoor', attack: { name: 'ageb', shaer: 0.5 } },
    { kind: 'backdoor', attack: { name: 'nothing' } },
    { kind: 'backdoor', poisoning: { rate: 1.5 } },
    { kind: 'train', model: { model_type: 'resnet', patch_size: 4 } },
    { kind: 'train', training: { epoch: 3 } },
    { kind: 'nothing' },
  ])('refuses %j', configuration => {
    expect(any(configuration)).toBe(false)
  })

  it('is refused for an unknown kind', () => {
    expect(() => configurationSchema('nothing')).toThrow('choose one of train, backdoor')
  })
})
