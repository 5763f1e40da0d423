// Installs the locked dependencies when they are missing or older than the lockfile, then builds.
// `npm start` and `npm test` begin with it, so that a fresh clone needs one command.
// Everything it prints goes to standard error: standard output belongs to the program that follows.
import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'

function run(command, args) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: ['inherit', 2, 2],
    shell: process.platform === 'win32',
  })
  if (result.status !== 0) {
    console.error(`setup: '${command} ${args.join(' ')}' failed; nothing after it was run`)
    process.exit(1)
  }
}

const installed = path.join(root, 'node_modules', '.package-lock.json')
const lock = path.join(root, 'package-lock.json')
if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs) {
  run(npm, ['ci', '--loglevel=error'])
}
run(npm, ['run', '--silent', 'build'])
