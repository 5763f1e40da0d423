import { createHash } from 'node:crypto'
import { InputError } from 'onnxgrad'
import { parse, stringify } from 'yaml'

const MARK = '# sha256 '

/** The text of a run's `config.yaml`: its last line is a checksum of all lines above it. */
export function configurationText(config: Readonly<Record<string, unknown>>): string {
  return sealed(stringify(config))
}

/**
 * Reads what `configurationText` made.
 * @param file its name, for messages
 * @throws InputError if it is damaged or was changed
 */
export function parseConfiguration(text: string, file: string): Record<string, unknown> {
  const at = text.lastIndexOf(MARK)
  if (at < 0)
    throw new InputError(
      `${file} is damaged (its last line, a checksum, is missing): restore it, or begin a new run`,
    )
  const body = text.slice(0, at)
  if (text !== sealed(body))
    throw new InputError(
      `${file} is damaged, or was changed after the run had begun: restore it, or begin a new run with the changed configuration`,
    )
  return parse(body) as Record<string, unknown>
}

function sealed(text: string): string {
  const digest = createHash('sha256').update(text).digest('hex')
  return `${text}${MARK}${digest} of the lines above: a run is resumed with the configuration that it began with\n`
}
