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
  benchCommand,
  helpCommand,
]

/**
 * The command line. Commands import what does their work only when they are called, so that help comes at once.
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
Results go to standard output, everything else to standard error; --json makes the last line of standard output
one JSON object. Ctrl-C stops a run after the step under way, to go on with 'ageb run --resume RUN'.

Equal configuration, device and thread count give equal results, to the last bit; other devices and counts round
otherwise. 'auto' takes the best device that is there, and a run remembers which that was.

Exit codes: 0 success, 1 failure, 2 wrong usage, 130 interrupted.
Environment: AGEB_CACHE folder of decoded images, AGEB_DEBUG=1 stack traces, NO_COLOR=1 no colours.

Examples:
  ageb demo                             the whole attack on the bundled data, with a report
  ageb demo --set poisoning.rate=0.05   the same with another share of poison
  ageb run badnets                      the same experiment with another attack
  ageb help config                      every key that can be set
`
