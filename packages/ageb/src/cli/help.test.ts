import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { makeProgram } from './program.js'

/** Every command that does something, by its words. */
function leaves(command: Command, words: readonly string[] = []): [string, Command][] {
  if (command.commands.length === 0) return [[words.join(' '), command]]
  return command.commands.flatMap(one => leaves(one, [...words, one.name()]))
}

const commands = leaves(makeProgram())
const help = (command: Command) => {
  let text = ''
  command.configureOutput({ writeOut: part => (text += part) }).outputHelp()
  return text
}

/** Those that run no model. Every other command says where models run, so a new one does, or comes into this list. */
const withoutModels = [
  'attack list',
  'attack show',
  'model info',
  'model export',
  'report',
  'store list',
  'store verify',
  'store prune',
  'schema',
  'help',
]

describe('the help of every command', () => {
  it.each(commands)('%s has examples of it', (name, command) => {
    const examples = help(command).split('Examples:\n')[1]
    expect(examples).toMatch(new RegExp(`^( {2}ageb ${name}( .*)?\n)+\n?$`))
  })

  it.each(commands)(
    '%s says the default of a number, and of what it reads from a configuration',
    (_, one) => {
      const needsNone = ['--label', '--images', '--test-images', '--classes', '--gflops', '--older-than']
      for (const { long, flags, description, defaultValue } of one.options)
        if (/<n>|<days>|--data|--model|--config/.test(flags) && !needsNone.includes(long!))
          expect(defaultValue === undefined ? description : '(default: )', flags).toMatch(/\(default: .*\)$/)
    },
  )

  it.each(commands)('%s prints JSON', (_, { options }) => {
    const json = options.find(({ long }) => long === '--json')
    expect(json?.description).toBe('print the result as JSON, in one line')
  })
})

describe('where models run', () => {
  const said = (command: Command, flag: string) =>
    command.options.find(({ long }) => long === flag)?.description.replace(/ \(default: .*$/, '')

  it('is a choice of every command that runs one, in the same words', () => {
    for (const name of withoutModels) expect(commands.map(([words]) => words)).toContain(name)
    for (const [name, command] of commands) {
      const runs = !withoutModels.includes(name)
      expect(said(command, '--threads'), name).toBe(
        runs ? 'threads of the runtime; results depend on their number' : undefined,
      )
      expect(said(command, '--device'), name).toBe(
        runs ? 'where models run; auto: the best device that works; results depend on it' : undefined,
      )
    }
  })
})
