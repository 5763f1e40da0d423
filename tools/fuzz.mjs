import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/*
 * Reads many mutants of every kind of file that may come from a stranger; the tests read 2,000 to 5,000 of each. Wants a
 * build: node tools/fuzz.mjs [MUTANTS, by default 20000] [KIND]…
 */

const [, , mutants = '20000', ...only] = process.argv
const at = path => fileURLToPath(new URL(`../packages/${path}`, import.meta.url))
const fixtures = ['vit-script', 'vit-dynamo', 'swin-dynamo', 'convnext-dynamo', 'resnet-eval']
let failed = false
for (const folder of ['onnxgrad', 'lab', 'workbench', 'ageb'].map(name => at(`${name}/dist/testing`))) {
  for (const file of readdirSync(folder)) {
    const kind = /^fuzz-(.+)\.js$/.exec(file)?.[1]
    // Beside the programs lie what they share.
    if (!kind || ['json', 'folder'].includes(kind) || (only.length > 0 && !only.includes(kind))) continue
    const inputs = kind === 'onnx' ? fixtures.map(name => at(`onnxgrad/fixtures/${name}.onnx`)) : []
    const started = performance.now()
    const ended = spawnSync(process.execPath, ['--expose-gc', `${folder}/${file}`, mutants, ...inputs], {
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
    })
    const seconds = ((performance.now() - started) / 1000).toFixed(0)
    if (ended.status !== 0) {
      failed = true
      console.log(`${kind}: ended with ${ended.status ?? ended.signal} after ${seconds} s\n${ended.stderr}`)
      continue
    }
    const { faults, read, refused, slowestMs, usedMiB, peakRssMiB } = JSON.parse(ended.stdout)
    const [before, after] = usedMiB.map(value => value.toFixed(1))
    console.log(
      `${kind}: ${read} read, ${refused} refused, ${faults.length} faults in ${seconds} s; slowest ${slowestMs.toFixed(0)} ms; ` +
        `in use ${before} and later ${after} MiB, at most ${peakRssMiB.toFixed(0)} MiB`,
    )
    for (const fault of faults.slice(0, 10)) console.log(fault)
    failed ||= faults.length > 0
  }
}
process.exitCode = failed ? 1 : 0
