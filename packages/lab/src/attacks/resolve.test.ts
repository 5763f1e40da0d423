import { InputError } from 'onnxgrad'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineAttack } from './core/define-attack.js'
import type { ImageProgram } from './core/image-program.js'
import { planOf } from './core/poison-plan.js'
import { ageb } from './registry.js'
import { asAttack, attackConfig, attacks, expandAttack, expandPoisoning, resolveAttack } from './resolve.js'

const names = attacks.map(({ name }) => name).join(', ')
const program: ImageProgram = {
  build() {
    throw new Error('nothing is built here')
  },
}
const plugin = defineAttack({
  ...{ name: 'mine', citation: 'Somebody, Somewhere 2026', url: 'https://example.org' },
  ...{ version: 2, access: 'data' },
  parameters: z.strictObject({ level: z.int().max(9).default(1).describe('how much') }),
  presets: {
    mine: { summary: 'mine', parameters: {} },
    more: { summary: 'more', parameters: { level: 7 }, poisoning: { rate: 0.5 } },
  },
  poisoning: { mode: 'all-to-all' },
  cases: { mine: {} },
  needs: ({ level }) => ({ surrogate: level > 5 }),
  poison: context => planOf(context, { poison: program }),
  trigger: () => program,
})

describe('the configuration of an attack', () => {
  it('may be a name, with all defaults, or parameters beside it', () => {
    expect(attackConfig.parse('badnets')).toMatchObject({ name: 'badnets', size: 5, colour: [255, 255, 255] })
    expect(attackConfig.parse({ name: 'wanet', grid: 6 })).toMatchObject({
      name: 'wanet',
      grid: 6,
      strength: 0.5,
    })
    expect(attackConfig.parse({ share: 0.5 })).toMatchObject({ name: 'ageb', share: 0.5, keep: 0.7 })
    const config = attackConfig.parse('sig')
    // Known to the compiler, too.
    expect(config.name === 'sig' && config.frequency + config.amplitude).toBe(46)
  })

  it('may name a preset, which is spelled out; keys that are given win', () => {
    expect(expandAttack({ name: 'ageb', preset: 'paper', share: 0.1 }).attack).toEqual({
      ...{ name: 'ageb', share: 0.1, keep: 0.5, signal: 4, adjustment: 'brightness-saturation' },
    })
    expect(attackConfig.parse({ preset: 'measured' })).toEqual(attackConfig.parse('ageb'))
    for (const attack of attacks)
      for (const preset of Object.keys(attack.presets)) attackConfig.parse({ name: attack.name, preset })
  })

  it('is refused if there is no such attack, preset or parameter', () => {
    const message = (config: unknown) => attackConfig.safeParse(config).error?.issues[0]?.message
    expect(message('badnet')).toBe(`there is no attack 'badnet': choose one of ${names}`)
    expect(message({ name: 'ageb', preset: 'best' })).toBe(
      "ageb has no preset 'best': choose one of measured, paper",
    )
    expect(message({ preset: 'constructor' })).toContain('no preset')
    expect(message(['ageb'])).toContain('an attack is given by its name')
    expect(attackConfig.safeParse({ name: 'sig', share: 0.1 }).success).toBe(false)
    expect(() => resolveAttack({ name: 'sig', share: 0.1 })).toThrow(
      "attack: sig has no parameter 'share'; it has amplitude, frequency",
    )
    expect(() => resolveAttack({ name: 'badnets', colour: [0, 0, 256] })).toThrow('attack.colour.2: Too big')
    expect(() => resolveAttack('mine')).toThrow(InputError)
  })

  it('decides how is poisoned where no key says otherwise', () => {
    const poisoningOf = (config: object, extra = [plugin]) => expandPoisoning(config, extra)
    expect(poisoningOf({ attack: 'sig', seed: 3 })).toEqual({
      ...{ attack: { name: 'sig' }, poisoning: { mode: 'clean-label' }, seed: 3 },
    })
    expect(poisoningOf({ attack: 'sig', poisoning: { mode: 'all-to-one', rate: 0.2 } })).toMatchObject({
      poisoning: { mode: 'all-to-one', rate: 0.2 },
    })
    expect(poisoningOf({ attack: { name: 'mine', preset: 'more' } })).toEqual({
      ...{ attack: { name: 'mine', level: 7 }, poisoning: { mode: 'all-to-all', rate: 0.5 } },
    })
    expect(poisoningOf({})).toEqual({ attack: { name: 'ageb' }, poisoning: {} })
    // Left for the schema to refuse.
    expect(poisoningOf({ attack: 'nobody', poisoning: 3 })).toEqual({ attack: 'nobody', poisoning: 3 })
  })
})

describe("somebody else's attack", () => {
  it('is configured as the others are', () => {
    const attack = resolveAttack({ name: 'mine', preset: 'more', level: 8 }, [plugin])
    expect(attack).toMatchObject({
      name: 'mine',
      version: 2,
      parameters: { level: 8 },
      needs: { surrogate: true },
    })
    expect(() => resolveAttack({ name: 'mine', level: 10 }, [plugin])).toThrow('attack.level: Too big')
    expect(() => resolveAttack('yours', [plugin])).toThrow(`choose one of ${names}, mine`)
    expect(() => resolveAttack('mine', [plugin, { ...plugin }])).toThrow("two attacks are named 'mine'")
  })

  it('is refused with what is wrong with it', () => {
    expect(asAttack(plugin, 'mine.js')).toBe(plugin)
    expect(() => asAttack(undefined, 'mine.js')).toThrow(
      'mine.js exports no attack: it is undefined; declare it with defineAttack of @ageb/lab',
    )
    const { configure, ...rest } = ageb
    expect(configure).toBeTypeOf('function')
    expect(() => asAttack(rest, 'mine.js')).toThrow("its 'configure' is missing")
    expect(() => asAttack({ ...ageb, version: '1' }, 'mine.js')).toThrow(
      "its 'version' is a string, not a number",
    )
  })
})
