// Trains the same ViT with ageb and with PyTorch in turn, round after round, and prints how they compare:
//
//   node tools/bench-against-pytorch.mjs --rounds 3 --python /usr/bin/python3 --python ./venv/bin/python
//
// --python may be given several times (default: python3). --width, --depth, --heads, --patch, --image, --batch,
// --threads and --seconds go to both; --compile and --attention to PyTorch alone. --json prints the table's figures
// as one JSON object. The machine may be busier in one round than in the next, so it is the ratio within each round
// that counts; the table has the median of these.
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const tools = path.dirname(fileURLToPath(import.meta.url))
const ageb = path.join(tools, '..', 'packages', 'ageb', 'bin', 'ageb.js')
const shared = ['width', 'depth', 'heads', 'patch', 'image', 'batch', 'threads', 'seconds']

function fail(sentence) {
  console.error(`bench-against-pytorch: ${sentence}`)
  process.exit(1)
}

const text = { type: 'string' }
let flags
try {
  flags = parseArgs({
    options: {
      ...Object.fromEntries(shared.map(name => [name, text])),
      threads: { ...text, default: String(availableParallelism()) },
      rounds: { ...text, default: '3' },
      python: { ...text, multiple: true, default: ['python3'] },
      attention: text,
      compile: { type: 'boolean' },
      json: { type: 'boolean' },
    },
  }).values
} catch (error) {
  fail(error.message)
}
const rounds = Number(flags.rounds)
if (!Number.isInteger(rounds) || rounds < 1)
  fail(`--rounds must be a whole number from 1, not ${flags.rounds}`)

const given = names => names.flatMap(name => (flags[name] === undefined ? [] : [`--${name}`, flags[name]]))
const pythonFlags = [
  path.join(tools, 'bench-pytorch.py'),
  ...given([...shared, 'attention']),
  ...(flags.compile ? ['--compile'] : []),
]

/** Runs a program and returns the last line of its standard output, read as JSON. */
function run(command, args) {
  const { status, error, stdout } = spawnSync(command, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  })
  if (status !== 0) fail(`'${[command, ...args].join(' ')}' failed${error ? ` (${error.code})` : ''}`)
  return JSON.parse(stdout.trimEnd().split('\n').at(-1))
}

for (const python of flags.python) {
  const { status } = spawnSync(python, ['-c', 'import torch'], { stdio: 'ignore' })
  if (status !== 0) fail(`${python} is no Python with torch: install it there, or name another with --python`)
}

const contenders = [
  {
    name: () => 'ageb',
    run() {
      const args = [ageb, 'bench', '--only', 'train', '--json', ...given(shared)]
      const { train, gemmGflops } = run(process.execPath, args)
      return { ...train, gemmGflops }
    },
  },
  ...flags.python.map(python => ({
    name: ({ torch, attention, compile }) =>
      `PyTorch ${torch}, ${attention} attention, ${compile ? 'compiled' : 'eager'} (${python})`,
    run: () => run(python, pythonFlags),
  })),
]
const results = contenders.map(() => [])
for (let round = 1; round <= rounds; round++) {
  for (const [i, contender] of contenders.entries()) {
    const result = contender.run()
    results[i].push(result)
    const speed = result.imagesPerSecond.toFixed(1)
    console.error(`round ${round} of ${rounds}: ${contender.name(result)}: ${speed} images/s`)
  }
}

/** The middle value, or the mean of the two in the middle. */
function median(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length / 2
  return (sorted[Math.ceil(half) - 1] + sorted[Math.floor(half)]) / 2
}

const rows = results.map((own, i) => {
  const ratios = own.map((result, round) => results[0][round].imagesPerSecond / result.imagesPerSecond)
  return {
    name: contenders[i].name(own[0]),
    imagesPerSecond: median(own.map(result => result.imagesPerSecond)),
    stepMs: median(own.map(result => result.stepMs)),
    peakRssMiB: median(own.map(result => result.peakRssMiB)),
    gemmGflops: median(own.map(result => result.gemmGflops)),
    /** How many times as fast ageb was, and that in every round. */
    agebTimes: median(ratios),
    agebTimesByRound: ratios,
    /** How much of its memory ageb took. */
    agebMemory: median(own.map((result, round) => results[0][round].peakRssMiB / result.peakRssMiB)),
  }
})
if (flags.json) console.log(JSON.stringify({ rounds, threads: Number(flags.threads), contenders: rows }))
else {
  const lines = [
    [
      '',
      'images/s',
      'ms a step',
      'peak MiB',
      'matmul GFLOP/s',
      'ageb is faster',
      'in each round',
      'ageb memory',
    ],
    ...rows.map((row, i) => [
      row.name,
      row.imagesPerSecond.toFixed(1),
      row.stepMs.toFixed(0),
      row.peakRssMiB.toFixed(0),
      row.gemmGflops.toFixed(0),
      i === 0 ? '' : `${row.agebTimes.toFixed(2)}×`,
      i === 0 ? '' : row.agebTimesByRound.map(ratio => ratio.toFixed(2)).join(' '),
      i === 0 ? '' : `${row.agebMemory.toFixed(2)}×`,
    ]),
  ]
  const widths = lines[0].map((_, column) => Math.max(...lines.map(line => line[column].length)))
  for (const line of lines) {
    const cells = line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
    console.log(cells.join('  ').trimEnd())
  }
}
