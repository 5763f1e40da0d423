import { Command } from 'commander'
import { terminal } from './cli/terminal.js'
import { trainRun } from './commands/train.js'
import { assign, check } from './configuration/resolve.js'
import { trainRunConfig } from './configuration/train-config.js'
import { RunFolder } from './runs/run-folder.js'

const program = new Command('ageb')
program
  .command('train')
  .option('--data <d>')
  .option('--out <d>')
  .option('--set <s...>')
  .option('--resume <r>')
  .action(async o => {
    const signal = new AbortController()
    process.once('SIGINT', () => signal.abort(new Error('interrupted')))
    let run: RunFolder, config: Record<string, unknown>
    if (o.resume) ({ run, config } = await RunFolder.open(o.resume))
    else {
      let plain: Record<string, unknown> = o.data ? { dataset: o.data } : {}
      for (const s of o.set ?? []) plain = assign(plain, s)
      config = check(trainRunConfig, plain, 'train')
      run = await RunFolder.create(o.out, config)
    }
    console.log(JSON.stringify(await trainRun(run, config, terminal, signal.signal)))
  })
await program.parseAsync()
