import type { Command } from 'commander'
import { addExamples } from '../../cli/examples.js'
import { jsonOption } from '../../cli/options.js'

/** `ageb report`: writes the report of a finished run again. */
export function reportCommand(program: Command): void {
  const command = program
    .command('report')
    .summary('write the report of a finished run again')
    .description(
      "Write report.html of a finished backdoor run again, from the run's folder alone: no model, no data set, no network.",
    )
    .argument('<run>', 'folder of the run')
    .addOption(jsonOption())
    .action(async (folder: string, { json }: { json?: boolean }) => {
      const { show, table } = await import('../../cli/output.js')
      const { RunFolder } = await import('@ageb/workbench')
      const { writePictures } = await import('../../cli/write-report.js')
      const { run } = await RunFolder.open(folder)
      await writePictures(run, 'backdoor')
      const report = run.file('report.html')
      show({ data: { run: run.path, report }, text: table([['report', report]]) }, json)
    })
  addExamples(command, examples)
}

const examples = ['ageb report runs/demo-20250131-142501', 'ageb report runs/demo-20250131-142501 --json']
