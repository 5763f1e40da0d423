import { expect, it } from 'vitest'
import { configurationHelp, type Explained, topicText } from './configuration-help.js'

const patch: Explained = {
  topic: 'attack.patch',
  kinds: ['backdoor'],
  description: '',
  keys: [{ key: 'attack.size', type: 'integer > 0', default: 3, required: false, description: 'in pixels' }],
  chosenBy: { key: 'attack.name', value: 'patch', default: false },
  summary: 'a white square in a corner',
  citation: 'Somebody 2017',
  url: 'https://example.org',
  access: 'data',
  presets: {
    strong: { summary: 'easy to learn', parameters: {}, measured: 'ASR 99.0 % (n = 900, seed 1)' },
    paper: { summary: 'as published', parameters: { size: 4 }, poisoning: { rate: 0.05 } },
  },
}
const attack: Explained = {
  ...{ topic: 'attack', kinds: ['backdoor'], description: '', keys: [] },
  choice: { key: 'attack.name', values: ['patch'] },
}

it('a topic shows its keys, where it comes from, and presets with their figures', () => {
  const lines = topicText(patch, [patch]).split('\n')
  expect(lines.map(line => line.trim())).toEqual([
    'attack.patch: keys where attack.name is patch',
    'a white square in a corner',
    'Somebody 2017, https://example.org',
    'The attacker controls the training data.',
    'attack.size  integer > 0  default 3',
    'in pixels',
    'preset strong',
    'easy to learn',
    'the defaults',
    'measured: ASR 99.0 % (n = 900, seed 1)',
    'preset paper',
    'as published',
    'attack.size=4 poisoning.rate=0.05',
  ])
})

it('a choice shows what its values are', () => {
  expect(topicText(attack, [attack, patch])).toBe(
    'attack: one of these, chosen by attack.name\n  attack.patch\n      a white square in a corner',
  )
})

it('every topic can be asked for', () => {
  const { topics } = configurationHelp().data as { topics: Explained[] }
  expect(topics.length).toBeGreaterThan(10)
  for (const { topic } of topics) expect(configurationHelp(topic).text).toContain(`${topic}: `)
})
