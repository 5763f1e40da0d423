import type { Command } from 'commander'
import { deviceOption, type MachineFlags } from '../../cli/options.js'

/** `ageb report`: writes the report of a finished run again. */
export function reportCommand(program: Command): void {
  program
    .command('report')
    .summary('write the report of a finished run again')
    .description("Write report.html of a finished backdoor run again, from the run's files.")
    .argument('<run>', 'folder of the run')
    .addOption(deviceOption("the run's"))
    .option('--json', 'print the result as JSON')
    .addHelpText('after', examples)
    .action(async (folder: string, { device, json }: Pick<MachineFlags, 'device'> & { json?: boolean }) => {
      const { show, table } = await import('../../cli/output.js')
      const { RunFolder } = await import('@ageb/workbench')
      const { writeReport } = await import('../../cli/write-report.js')
      const { run } = await RunFolder.open(folder)
      const report = await writeReport(run, device)
      // Opening a run makes its folder for states, which a finished run does not need.
      await run.clearStates()
      show({ data: { run: run.path, report }, text: table([['report', report]]) }, json)
    })
}

const examples = `
Examples:
  ageb report runs/demo-20250131-142501
  ageb report runs/demo-20250131-142501 --json
`
