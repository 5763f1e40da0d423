import { createHash } from 'node:crypto'
import { InputError } from 'onnxgrad'
import { stringify } from 'yaml'
import { parseMapping } from '../configuration/resolve.js'

const MARK = '# sha256 '

/** The text of a run's `config.yaml`: its last line is a checksum of all lines above it. */
export function configurationText(config: Readonly<Record<string, unknown>>): string {
  return withChecksum(stringify(config))
}

/**
 * Reads what `configurationText` made.
 * @param file its name, for messages
 * @throws InputError if it is damaged or was changed; UsageError if it is no configuration
 */
export function parseConfiguration(text: string, file: string): Record<string, unknown> {
  const at = text.lastIndexOf(MARK)
  if (at < 0)
    throw new InputError(
      `${file} is damaged (its last line, a checksum, is missing): restore it, or begin a new run`,
    )
  const body = text.slice(0, at)
  if (text !== withChecksum(body))
    throw new InputError(
      `${file} is damaged, or was changed after the run had begun: restore it, or begin a new run with the changed configuration`,
    )
  return parseMapping(body, file)
}

/** A text with its checksum as the last line. */
export function withChecksum(text: string): string {
  const digest = createHash('sha256').update(text).digest('hex')
  return `${text}${MARK}${digest} of the lines above: a run is resumed with the configuration that it began with\n`
}
