import { describe, expect, it } from 'vitest'
import { attackSettings } from './attack-settings.js'
import { assignAll, UsageError } from './resolve.js'

describe('assignAll', () => {
  it('sets keys in order, whose values are YAML', () => {
    const plain = { kind: 'train', training: { epochs: 1 } }
    expect(assignAll(plain, ['training.crop=2', 'seed=1', 'seed=2', 'device=null'])).toEqual({
      ...{ kind: 'train', seed: 2, device: null },
      training: { epochs: 1, crop: 2 },
    })
    expect(plain).toEqual({ kind: 'train', training: { epochs: 1 } })
  })

  it.each([
    ['epochs', "--set takes path=value, not 'epochs'"],
    ['epochs=[1', '--set epochs=[1: the value is not YAML'],
  ])('of %s says what is wrong', (assignment, message) => {
    expect(() => assignAll({}, [assignment])).toThrow(UsageError)
    expect(() => assignAll({}, [assignment])).toThrow(message)
  })
})

describe('attackSettings', () => {
  it('are those of the demo, with what is given in their place', async () => {
    expect((await attackSettings()).attack.name).toBe('ageb')
    const { settings, attack } = await attackSettings({ set: ['attack=badnets'], surrogate: 'mine' })
    expect(settings).toMatchObject({ kind: 'backdoor', surrogate: 'mine', attack: { name: 'badnets' } })
    // The demo has one model as both.
    expect(settings.victim).toBe('mine')
    const other = await attackSettings({ set: ['victim=theirs'], surrogate: 'mine' })
    expect(other.settings).toMatchObject({ surrogate: 'mine', victim: 'theirs' })
    expect(attack.parameters).toMatchObject({ size: 5 })
  })

  it('of a wrong key or a run that is not there are refused', async () => {
    await expect(attackSettings({ set: ['attack.shares=1'] })).rejects.toThrow("there is no key 'shares'")
    await expect(attackSettings({ run: 'absent' })).rejects.toThrow('absent holds no run (no config.yaml)')
  })
})
