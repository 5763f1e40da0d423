import { Command } from 'commander'
import { attackCommand } from '../commands/attack/index.js'
import { benchCommand } from '../commands/bench/index.js'
import { demoCommand } from '../commands/demo/index.js'
import { evalCommand } from '../commands/eval/index.js'
import { exportTriggerCommand } from '../commands/export-trigger/index.js'
import { helpCommand } from '../commands/help/index.js'
import { modelCommand } from '../commands/model/index.js'
import { planCommand } from '../commands/plan/index.js'
import { predictCommand } from '../commands/predict/index.js'
import { reportCommand } from '../commands/report/index.js'
import { runCommand } from '../commands/run/index.js'
import { schemaCommand } from '../commands/schema/index.js'
import { storeCommand } from '../commands/store/index.js'
import { trainCommand } from '../commands/train/index.js'
import { triggerCommand } from '../commands/trigger/index.js'
import { version } from './version.js'

/** Every command, in the order of the help. A new one is a folder in commands/ and a line here. */
const commands = [
  demoCommand,
  planCommand,
  runCommand,
  attackCommand,
  trainCommand,
  triggerCommand,
  predictCommand,
  evalCommand,
  exportTriggerCommand,
  modelCommand,
  reportCommand,
  storeCommand,
  benchCommand,
  schemaCommand,
  helpCommand,
]

/**
 * The command line. A command imports the modules that do its work only when it is run, so that help appears at once.
 * Misuse throws CommanderError, its message already printed.
 */
export function makeProgram(): Command {
  const program = new Command('ageb')
    .description(
      'Backdoor attacks on Vision Transformers and the defenses against them, for research on defenses.',
    )
    .version(version(), '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'ageb: ')) })
    .configureHelp({ helpWidth: Math.min(110, process.stdout.columns ?? 110) })
  for (const define of commands) define(program)
  return program.addHelpText('after', notes)
}

const notes = `
Results go to standard output, everything else to standard error. With --json, the last line of standard output is
one JSON object. Ctrl-C stops a run after the current step; 'ageb run --resume RUN' resumes it.

With the same configuration, device and thread count, results are equal bit for bit. Other devices and thread counts
round differently. 'auto' takes the best device that works on this machine; a run records which one that was.

Exit codes: 0 success, 1 failure, 2 wrong usage, 130 interrupted.
Environment: AGEB_CACHE folder of decoded images, AGEB_STORE folder of stored results, AGEB_DEBUG=1 stack traces,
NO_COLOR=1 no colours.

Examples:
  ageb demo                             the whole attack on the bundled data, with a report
  ageb demo --set poisoning.rate=0.05   the same with 5 % of the training images poisoned
  ageb run badnets                      the same experiment with another attack
  ageb help config                      the keys that can be set
`
