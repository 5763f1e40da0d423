// Prints what the built package knows of every operator, as a Markdown table.
// With --write it puts the table between the markers of the package's README instead.
import { readFile, writeFile } from 'node:fs/promises'
import { operators } from 'onnxgrad'

const gradient = definition =>
  definition.gradient === 'zero' ? 'passes none' : definition.gradient ? 'yes' : 'no'

/** One row an operator, in alphabetical order; columns are padded so that it reads well in a terminal too. */
function table() {
  const rows = [
    ['Operator', 'Gradient', 'Cases'],
    ...operators
      .map(definition => [definition.name, gradient(definition), String(definition.cases.length)])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  ]
  const widths = rows[0].map((_, i) => Math.max(...rows.map(row => row[i].length)))
  const line = row => `| ${row.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`
  const rule = `|${widths.map(width => '-'.repeat(width + 2)).join('|')}|`
  return [line(rows[0]), rule, ...rows.slice(1).map(line)].join('\n')
}

const [option, ...others] = process.argv.slice(2)
if (others.length > 0 || (option !== undefined && option !== '--write')) {
  console.error(`operators: '${[option, ...others].join(' ')}' is not understood; the only option is --write`)
  process.exit(2)
}
if (option === '--write') {
  const file = new URL('../packages/onnxgrad/README.md', import.meta.url)
  const readme = await readFile(file, 'utf8')
  const [begin, end] = ['<!-- operators: begin -->', '<!-- operators: end -->']
  const [from, to] = [readme.indexOf(begin), readme.indexOf(end)]
  if (from < 0 || to < from) {
    console.error(`operators: packages/onnxgrad/README.md needs the line '${begin}' and after it '${end}'`)
    process.exit(1)
  }
  await writeFile(file, `${readme.slice(0, from + begin.length)}\n${table()}\n${readme.slice(to)}`)
} else {
  console.log(table())
}
