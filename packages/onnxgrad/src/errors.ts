/**
 * A fault in what a person or a file gave us. The message is one sentence that says what is wrong, where, and
 * what to do; programs print it alone, without a stack trace.
 */
export class InputError extends Error {
  override name = 'InputError'
}
