import { type Command, InvalidArgumentError } from 'commander'
import { addExamples } from '../../cli/examples.js'
import { jsonOption, wholeNumber } from '../../cli/options.js'
import type { PruneFlags, StoreFlags } from './store.js'

/** `ageb store`: the results of slow work that are kept to be used again. */
export function storeCommand(program: Command): void {
  const command = program
    .command('store')
    .summary('list, verify and prune the stored results of slow work')
    .description(
      'Results of slow work (attention gradients, trained models, predictions) are stored and used again. ' +
        'They are in the folder that AGEB_STORE names, otherwise in the folder of the cache.',
    )
    .helpCommand(false)
  command
    .command('list')
    .description('List what is stored, most recently used first, and work that was not finished.')
    .option('--stage <name>', 'only results of this stage')
    .addOption(jsonOption())
    .action(async (flags: StoreFlags) => {
      const { show } = await import('../../cli/output.js')
      const { list } = await import('./store.js')
      show(await list(flags), flags.json)
    })
  command
    .command('verify')
    .description('Read all stored results, compare their digests and remove the damaged ones.')
    .option('--stage <name>', 'only results of this stage')
    .addOption(jsonOption())
    .action(async (flags: StoreFlags) => {
      const { show } = await import('../../cli/output.js')
      const { terminal } = await import('../../cli/terminal.js')
      const { verify } = await import('./store.js')
      show(await verify(flags, terminal), flags.json)
    })
  command
    .command('prune')
    .description(
      'Make room: remove what stopped programs left behind, and the results that the options name. Results are made ' +
        'again when they are needed. Best done while nothing runs.',
    )
    .option('--older-than <days>', 'remove results that were not used for so many days', wholeNumber(0))
    .option(
      '--max-size <size>',
      'remove results, least recently used first, until this much is left: 500MB, 20GiB',
      byteSize,
    )
    .option('--unfinished', 'also remove what interrupted work is resumed from')
    .option('--stage <name>', 'only results of this stage')
    .option('--dry-run', 'remove nothing, only list what would be removed')
    .addOption(jsonOption())
    .action(async (flags: PruneFlags) => {
      const { show } = await import('../../cli/output.js')
      const { prune } = await import('./store.js')
      show(await prune(flags), flags.json)
    })
  addExamples(command, examples)
}

const units: Record<string, number> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}

/** `20GiB` as bytes. */
function byteSize(text: string): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?) ?([a-z]+)$/i.exec(text) ?? []
  const size = Number(number) * (units[unit.toLowerCase()] ?? Number.NaN)
  if (number !== '' && Number.isFinite(size)) return size
  throw new InvalidArgumentError('It must be a number with a unit, such as 500MB or 20GiB.')
}

const examples = [
  'ageb store list',
  'ageb store verify',
  'ageb store prune --older-than 30 --dry-run',
  'ageb store prune --max-size 20GiB',
]
