import type { Command } from 'commander'

/** `ageb report`: writes the report of a finished run again. */
export function reportCommand(program: Command): void {
  program
    .command('report')
    .summary('write the report of a finished run again')
    .description(
      "Write report.html of a finished backdoor run again, from the run's folder alone: no model, no data set, no network.",
    )
    .argument('<run>', 'folder of the run')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', examples)
    .action(async (folder: string, { json }: { json?: boolean }) => {
      const { show, table } = await import('../../cli/output.js')
      const { RunFolder } = await import('@ageb/workbench')
      const { writePictures } = await import('../../cli/write-report.js')
      const { run } = await RunFolder.open(folder)
      await writePictures(run, 'backdoor')
      const report = run.file('report.html')
      show({ data: { run: run.path, report }, text: table([['report', report]]) }, json)
    })
}

const examples = `
Examples:
  ageb report runs/demo-20250131-142501
  ageb report runs/demo-20250131-142501 --json
`
