/** Bytes as base64, in Node and in browsers. */
export function base64(bytes: Uint8Array): string {
  let text = ''
  // In pieces: a function takes only so many arguments.
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192))
  return btoa(text)
}
