import { FolderStore } from './folder-store.js'
import { runStage } from './run-stage.js'
import { listener, type SumInput, sum } from './test-stages.js'

/** A process of a test: runs `sum` and prints its result. Words: the store's folder, staleSeconds, the input. */
const [root = '', staleSeconds = '', input = ''] = process.argv.slice(2)
const store = new FolderStore(root, { staleSeconds: Number(staleSeconds) })
const monitor = listener()
const result = await runStage(sum, JSON.parse(input) as SumInput, { store, monitor })
process.stdout.write(JSON.stringify({ ...result, lines: monitor.lines, pid: process.pid }))
