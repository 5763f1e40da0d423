import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'

/** What the documents of this repository tell readers to type, so that tests can do it. */

/** The folder of the repository. */
export const root = fileURLToPath(new URL('../../../../', import.meta.url))

/** A Markdown file, named from the repository's folder. */
export interface Document {
  readonly name: string
  readonly text: string
}

/** Every Markdown file that people read. */
export function documents(): Document[] {
  const skipped = /(^|\/)(node_modules|dist|runs|\.git)(\/|$)/
  const folders = ['docs', 'packages', 'examples'].flatMap(folder =>
    readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
      .map(name => `${folder}/${name.replaceAll('\\', '/')}`)
      .filter(name => name.endsWith('.md') && !skipped.test(name)),
  )
  return ['README.md', 'CONTRIBUTING.md', ...folders.sort()].map(name => ({
    name,
    text: readFileSync(path.join(root, name), 'utf8'),
  }))
}

/** A fenced block of a document. */
export interface Block {
  /** `README.md:15`: where its first line is. */
  readonly where: string
  readonly document: string
  readonly language: string
  readonly text: string
}

/** The fenced blocks of a document; one within a list has no indentation left. */
export function blocksOf({ name, text }: Document): Block[] {
  return [...text.matchAll(/^( *)```(\w*)\n([\s\S]*?)^\1```$/gm)].map(match => {
    const [, indentation, language, content] = match as unknown as [string, string, string, string]
    return {
      where: `${name}:${text.slice(0, match.index).split('\n').length + 1}`,
      document: name,
      language,
      text: content.replaceAll(new RegExp(`^${indentation}`, 'gm'), ''),
    }
  })
}

/** A command line that readers are told to type. */
export interface CommandLine {
  readonly where: string
  /** As the shell splits it, without `npx` before `ageb`. */
  readonly words: readonly string[]
}

/** The programs that documents use. Another one has to be named here, and the test has to know how to run it. */
const programs = ['ageb', 'npx', 'npm', 'node', 'python']

/**
 * The command lines of a block, as a shell reads them. Nothing is run: the programs are functions that note their
 * words, and there are no others.
 *
 * @throws Error if the block is no shell script, or uses another program
 */
export function commandLines({ where, text }: Pick<Block, 'where' | 'text'>): CommandLine[] {
  const functions = programs.map(name => `${name}() { printf '%s\\0' ${name} "$@"; printf '\\n\\0'; }`)
  const script = [...functions, 'set -eu', text].join('\n')
  const noted = execFileSync('/bin/sh', ['-c', script], {
    encoding: 'utf8',
    env: { PATH: '' },
    cwd: tmpdir(),
  })
  return noted
    .split('\n\0')
    .filter(line => line !== '')
    .map(line => line.split('\0').slice(0, -1))
    .map(words => ({ where, words: words[0] === 'npx' && words[1] === 'ageb' ? words.slice(1) : words }))
}

/** The examples in the help of a command and of its subcommands. */
export function helpExamples(command: Command): CommandLine[] {
  let help = ''
  command.configureOutput({ writeOut: text => (help += text) }).outputHelp()
  // What a line says behind two spaces explains it.
  const lines = (help.split('Examples:\n')[1] ?? '').split('\n').map(line => line.trim().split(/ {2,}/)[0]!)
  const where = `the help of ${command.name()}`
  return [
    ...lines.filter(line => line !== '').flatMap(text => commandLines({ where, text })),
    ...command.commands.flatMap(helpExamples),
  ]
}

/** Command lines in the comments of a configuration: `#   ageb train …`. */
export function commentedLines(where: string, text: string): CommandLine[] {
  return [...text.matchAll(/^# {2,}((?:npx )?ageb .*)$/gm)].flatMap(([, line]) =>
    commandLines({ where, text: line! }),
  )
}
