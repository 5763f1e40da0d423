import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

// The examples are run as they stand, by a Node of their own; the table of operators is the registry's.
const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
const examples = [...readme.matchAll(/```js\n([\s\S]*?)```/g)].map(match => match[1]!)

async function run(i: number): Promise<string> {
  const file = fileURLToPath(new URL(`./readme-example-${i}.mjs`, import.meta.url))
  await writeFile(file, examples[i]!)
  // The model files that an example reads are among the fixtures.
  const cwd = fileURLToPath(new URL('../fixtures/', import.meta.url))
  return (await promisify(execFile)(process.execPath, [file], { cwd })).stdout
}

describe('the README', () => {
  it('differentiates a graph', async () => {
    const promised = /console\.log\(slope\.data\) \/\/ (.*)/.exec(examples[0]!)![1]!
    expect((await run(0)).trim()).toBe(promised)
  })

  it('trains', async () => {
    const lines = (await run(1)).trim().split('\n')
    const losses = lines.slice(0, -1).map(line => Number(line.split(' ')[1]))
    expect(losses.length).toBe(4)
    expect(losses.at(-1)).toBeLessThan(0.1)
    expect(lines.at(-1)).toBe('16 trained values in w1')
  })

  it('trains with every option', async () => {
    const promised = /console\.log\('moved:.*\/\/ (.*)/.exec(examples[2]!)![1]!
    expect((await run(2)).trim()).toBe(promised)
  })

  it('differentiates a file of another program', async () => {
    expect((await run(3)).trim()).toMatch(/^\d+ parameters, gradient of shape \[ 1, 3, 16, 16 \]$/)
  })

  it('differentiates an operator that the package does not have', async () => {
    const promised = /console\.log\(slope\.data\) \/\/ (.*)/.exec(examples[4]!)![1]!
    expect((await run(4)).trim()).toBe(promised)
  })

  it('has the table of operators that `npm run operators -- --write` would give it', async () => {
    const tool = fileURLToPath(new URL('../../../tools/operators.mjs', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, [tool])
    const table = /<!-- operators: begin -->\n([\s\S]*)<!-- operators: end -->/.exec(readme)
    expect(table?.[1]).toBe(stdout)
  })
})
