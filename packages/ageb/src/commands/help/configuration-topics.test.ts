import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { configurationTopics, topicsOf } from './configuration-topics.js'

const schema = z.strictObject({
  seed: z.int().min(0).default(1).describe('of everything random'),
  attack: z
    .discriminatedUnion('name', [
      z.strictObject({ name: z.literal('patch'), size: z.int().positive().default(3) }),
      z.strictObject({
        name: z.literal('blend').default('blend'),
        opacity: z.number().min(0).max(1),
        schedule: z.discriminatedUnion('name', [z.strictObject({ name: z.literal('step'), every: z.int() })]),
      }),
    ])
    .prefault({ name: 'patch' }),
  model: z
    .discriminatedUnion('type', [
      z.strictObject({ type: z.literal('cnn') }),
      z.strictObject({ type: z.literal('vit').default('vit'), width: z.int() }),
    ])
    .prefault({ width: 8 }),
  training: z.strictObject({ rates: z.array(z.number().positive()).optional() }),
  defenses: z.array(z.discriminatedUnion('name', [z.strictObject({ name: z.literal('strip'), n: z.int() })])),
  limit: z.union([z.strictObject({ unit: z.literal('epoch'), count: z.int() }), z.null()]),
})

describe('the topics of a schema', () => {
  const topics = topicsOf('test', z.toJSONSchema(schema, { io: 'input' }))
  const topic = (name: string) => topics.find(one => one.topic === name)
  const keys = (name: string) => topic(name)?.keys.map(({ key }) => key)

  it('are itself, groups, choices and their values', () => {
    expect(topics.map(one => one.topic)).toEqual([
      ...['test', 'attack', 'attack.patch', 'attack.blend', 'attack.blend.schedule'],
      ...['attack.blend.schedule.step', 'model', 'model.cnn', 'model.vit', 'training', 'defenses'],
      ...['defenses.strip', 'limit'],
    ])
  })

  it('have the keys that belong to them alone, as --set takes them', () => {
    expect(keys('test')).toEqual(['seed', 'attack', 'model', 'training', 'defenses', 'limit'])
    expect(keys('attack.patch')).toEqual(['attack.size'])
    expect(keys('attack.blend')).toEqual(['attack.opacity', 'attack.schedule'])
    expect(keys('attack.blend.schedule.step')).toEqual(['attack.schedule.every'])
    expect(keys('training')).toEqual(['training.rates'])
    expect(keys('defenses.strip')).toEqual(['defenses.n'])
    expect(keys('limit')).toEqual(['limit.unit', 'limit.count'])
  })

  it('say what decides, and what is chosen where nothing is said', () => {
    expect(topic('attack')?.choice).toEqual({
      key: 'attack.name',
      values: ['patch', 'blend'],
      default: 'patch',
    })
    expect(topic('attack.patch')?.chosenBy).toEqual({ key: 'attack.name', value: 'patch', default: true })
    expect(topic('attack.blend')?.chosenBy?.default).toBe(false)
    expect(topic('model')?.choice?.default).toBe('vit')
    expect(topic('defenses')?.choice).toEqual({ key: 'defenses.name', values: ['strip'] })
  })

  it('describe each key', () => {
    const [seed, attack] = topic('test')!.keys
    expect(seed).toEqual({
      ...{ key: 'seed', type: 'integer ≥ 0', default: 1, required: false },
      description: 'of everything random',
    })
    expect(attack).toMatchObject({ type: 'one of patch, blend', required: false, topic: 'attack' })
    expect(topic('attack.blend')?.keys[0]).toMatchObject({ type: 'number 0…1', required: true })
    expect(topic('training')?.keys[0]).toMatchObject({ type: 'list of number > 0', required: false })
  })
})

describe('the topics of configurations', () => {
  it('are told once where kinds share them', () => {
    const topics = configurationTopics()
    const names = topics.map(({ topic }) => topic)
    expect(new Set(names).size).toBe(names.length)
    expect(names.slice(0, 2)).toEqual(['train', 'backdoor'])
    expect(topics.find(({ topic }) => topic === 'training')?.kinds).toEqual(['train', 'backdoor'])
    expect(topics.find(({ topic }) => topic === 'model')?.kinds).toEqual(['train'])
  })
})
