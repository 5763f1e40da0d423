import type { Command } from 'commander'
import { addExamples } from '../../cli/examples.js'
import { jsonOption, type PluginFlags, pluginOption } from '../../cli/options.js'

interface SchemaFlags extends PluginFlags {
  readonly out?: string
  readonly json?: boolean
}

/** `ageb schema`: the JSON Schema of configuration files. */
export function schemaCommand(program: Command): void {
  const command = program
    .command('schema')
    .summary('print the JSON Schema of configuration files, for editors')
    .description(
      'Print the JSON Schema (draft 2020-12) of configuration files. An editor with the YAML language server ' +
        'completes and checks the keys of a configuration whose first line is: ' +
        '# yaml-language-server: $schema=./ageb.schema.json',
    )
    .argument('[kind]', 'only for configurations of this kind: train or backdoor (default: both)')
    .option('--out <file>', 'write the schema to a file')
    .addOption(pluginOption())
    .addOption(jsonOption())
    .action(async (kind: string | undefined, { out, json, plugin }: SchemaFlags) => {
      const { attacksOf, configurationSchema, knownAttacks, writeFileWhole } = await import('@ageb/workbench')
      const { show, table } = await import('../../cli/output.js')
      const { plugins } = await knownAttacks(plugin)
      const data = configurationSchema(kind, attacksOf(plugins))
      const text = JSON.stringify(data, null, 2)
      if (out === undefined) return show({ data, text }, json)
      await writeFileWhole(out, `${text}\n`)
      show({ data: { schema: out }, text: table([['schema', out]]) }, json)
    })
  addExamples(command, examples)
}

const examples = ['ageb schema --out ageb.schema.json', 'ageb schema backdoor', 'ageb schema train --json']
