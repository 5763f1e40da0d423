import type { Command } from 'commander'

/**
 * Puts examples at the end of a command's help. Of a command with subcommands, each of these gets its own of them.
 * @param lines whole command lines
 */
export function addExamples(command: Command, lines: readonly string[]): void {
  command.addHelpText('after', ['', 'Examples:', ...lines.map(line => `  ${line}`), ''].join('\n'))
  for (const one of command.commands) {
    const start = `ageb ${command.name()} ${one.name()}`
    addExamples(
      one,
      lines.filter(line => line === start || line.startsWith(`${start} `)),
    )
  }
}
