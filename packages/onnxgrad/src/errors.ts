/** Longest message, in characters. */
const LONGEST = 500

/**
 * Bad input: a file, data or settings that cannot be used. The message is one sentence that says what is wrong, where,
 * and what to do. Names from strangers' files may be part of it, so control characters (line breaks, a terminal's
 * escape sequences) are written as escapes, and what is too long is cut.
 */
export class InputError extends Error {
  override name = 'InputError'

  constructor(message: string, options?: ErrorOptions) {
    super(printable(message), options)
  }
}

function printable(message: string): string {
  const short = message.length > LONGEST ? `${message.slice(0, LONGEST)}…` : message
  return short.replace(/\p{Cc}|\p{Cf}|\p{Zl}|\p{Zp}/gu, character => {
    return `\\u${character.codePointAt(0)!.toString(16).padStart(4, '0')}`
  })
}
