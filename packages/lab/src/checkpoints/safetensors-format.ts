/** A tensor as read: half floats are widened, so that every consumer sees one of five arrays. */
export type SafeTensor = { readonly shape: readonly number[] } & (
  | { readonly dtype: 'F32' | 'F16' | 'BF16'; readonly data: Float32Array }
  | { readonly dtype: 'F64'; readonly data: Float64Array }
  | { readonly dtype: 'I64'; readonly data: BigInt64Array }
  | { readonly dtype: 'I32'; readonly data: Int32Array }
  | { readonly dtype: 'U8' | 'BOOL'; readonly data: Uint8Array }
)

export type SafeDtype = SafeTensor['dtype']

/** Bytes of one value. */
export const ITEM_SIZES: ReadonlyMap<unknown, number> = new Map<SafeDtype, number>([
  ['F64', 8],
  ['I64', 8],
  ['F32', 4],
  ['I32', 4],
  ['F16', 2],
  ['BF16', 2],
  ['U8', 1],
  ['BOOL', 1],
])

export function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** Undefined when it, or a partial product, is beyond 2^53. */
export function product(sizes: readonly number[]): number | undefined {
  let total = 1
  for (const size of sizes) {
    total *= size
    if (!Number.isSafeInteger(total)) return undefined
  }
  return total
}

/** A value from a file as it may stand in a message: escaped, on one line, of limited length. */
export function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? 'none'
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}
