import { add, cast, clip, mul, reduceMean, type Value } from 'onnxgrad'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { attackConformance } from '../testing/attack-conformance.js'
import { type AttackDefinition, defineAttack } from './core/define-attack.js'
import { planOf } from './core/poison-plan.js'
import { attacks } from './resolve.js'

it('every attack has a name of its own', () => {
  expect(new Set(attacks.map(({ name }) => name)).size).toBe(attacks.length)
})

for (const attack of attacks)
  describe(attack.name, () => {
    for (const { name, check } of attackConformance(attack)) it(name, check)
  })

describe('the suite', () => {
  const parameters = z.strictObject({ by: z.number().default(9).describe('what is added') })
  type Definition = AttackDefinition<'brighter', typeof parameters.shape>
  const brighter =
    (by: (floats: Value) => Value | number): Definition['trigger'] =>
    () => ({
      build(_graph, images) {
        const floats = cast(images, 'float32')
        return { image: cast(clip(add(floats, by(floats)), 0, 255), 'uint8'), stages: [] }
      },
    })
  const trigger = brighter(() => 9)
  const facts = {
    name: 'brighter',
    citation: 'Nobody, Nowhere 2026',
    url: 'https://example.org',
    version: 1,
    access: 'data',
  } as const
  const sound: Definition = {
    ...facts,
    parameters,
    cases: { plain: {} },
    presets: { plain: { summary: 'the defaults', parameters: {} } },
    poison: (context, p, prepared) => planOf(context, { poison: trigger(context, p, prepared) }),
    trigger,
  }
  const failing = async (changes: Partial<Definition>) => {
    const failed: string[] = []
    for (const { name, check } of attackConformance(defineAttack({ ...sound, ...changes }))) {
      await check().catch(() => failed.push(name.replace(/ \(.*/, '')))
    }
    return [...new Set(failed)]
  }

  it('passes an attack that keeps to all', async () => {
    expect(await failing({})).toEqual([])
  })

  const cases: Readonly<Record<string, [string, Partial<Definition>]>> = {
    'has no cases': ['is declared in full', { cases: {} }],
    'has a first preset of other parameters': [
      'has presets, the first of which is that of the defaults',
      { presets: { other: { summary: 'others', parameters: { by: 3 } } } },
    ],
    'has a preset out of range': [
      'has presets, the first of which is that of the defaults',
      { presets: { ...sound.presets, wrong: { summary: 'wrong', parameters: {}, poisoning: { rate: 2 } } } },
    ],
    'prepares something else every time': [
      'is decided by its seed, and can be stored',
      { prepare: (count => async () => ({ count: scalar(++count) }))(0) },
    ],
    'mixes the images of a batch': [
      'is the same for every batch size and thread count',
      { trigger: brighter(floats => mul(reduceMean(floats, [0], { keep: true }), 0.5)) },
    ],
    'poisons fewer than it should': [
      'poisons as configured',
      {
        async poison(context, p, prepared) {
          const rate = context.poisoning.rate / 2
          return sound.poison({ ...context, poisoning: { ...context.poisoning, rate } }, p, prepared)
        },
      },
    ],
    'changes no image': [
      'poisons as configured',
      { poison: c => planOf(c, { poison: brighter(() => 0)(c, { by: 0 }, {}) }) },
    ],
    'shows stages that are not what they say': [
      'runs as a file in a bare ONNX Runtime, and shows its stages',
      {
        trigger: () => ({
          build: (_graph, images) => ({
            image: images,
            stages: [{ name: 'mask', kind: 'mask', value: cast(images, 'float32') }],
          }),
        }),
      },
    ],
  }
  it.each(Object.entries(cases))('fails an attack that %s', async (_, [check, changes]) => {
    expect(await failing(changes)).toContain(check)
  })

  it('fails parameters without a description or default', async () => {
    const declared = [
      defineAttack({ ...sound, parameters: z.strictObject({ by: z.number().default(1) }) }),
      defineAttack({
        ...facts,
        parameters: z.strictObject({ by: z.number().optional().describe('what is added') }),
        presets: {},
        cases: { plain: {} },
        poison: (context, _, prepared) => sound.poison(context, { by: 1 }, prepared),
        trigger: (context, _, prepared) => trigger(context, { by: 1 }, prepared),
      }),
    ]
    for (const attack of declared)
      await expect(attackConformance(attack)[0]!.check()).rejects.toThrow("'by' has a")
  })
})

const scalar = (value: number) => ({ dtype: 'float32', shape: [1], data: Float32Array.of(value) }) as const
