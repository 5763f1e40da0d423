/** IEEE binary16 to binary32; exact. */
export function widenF16(halves: Uint16Array): Float32Array {
  const floats = new Float32Array(halves.length)
  const bits = new Uint32Array(floats.buffer)
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i]!
    const exponent = half & 0x7c00
    if (exponent === 0) {
      // Zero or subnormal: the mantissa counts units of 2^-24; the sign keeps −0.
      floats[i] = (half & 0x8000 ? -1 : 1) * (half & 0x3ff) * 2 ** -24
    } else {
      // Exponent bias 15 becomes 127; all ones (infinity, NaN) stays all ones.
      const rebias = exponent === 0x7c00 ? 0x70000000 : 0x38000000
      bits[i] = ((half & 0x8000) << 16) | (((half & 0x7fff) << 13) + rebias)
    }
  }
  return floats
}

/** bfloat16 is the upper half of a binary32. */
export function widenBF16(halves: Uint16Array): Float32Array {
  const bits = new Uint32Array(halves.length)
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i]! << 16
  return new Float32Array(bits.buffer)
}

/** Binary32 to IEEE binary16, to the nearest, ties to even; beyond 65,504 and a half step it is infinite. */
export function narrowF16(floats: Float32Array): Uint16Array {
  const bits = new Uint32Array(floats.buffer, floats.byteOffset, floats.length)
  const halves = new Uint16Array(floats.length)
  for (let i = 0; i < halves.length; i++) halves[i] = narrow(bits[i]!)
  return halves
}

/** The bits of a binary32 as those of a binary16. */
function narrow(word: number): number {
  const sign = (word >>> 16) & 0x8000
  const magnitude = word & 0x7fffffff
  if (magnitude > 0x7f800000) return sign | 0x7e00
  if (magnitude >= 0x477ff000) return sign | 0x7c00
  // A carry out of the mantissa goes into the exponent, where it belongs.
  if (magnitude >= 0x38800000) return sign | roundedShift(magnitude - 0x38000000, 13)
  // Subnormal: units of 2^-24, so the mantissa with its leading one moves right by what the exponent lacks.
  const exponent = magnitude >>> 23
  return exponent < 102 ? sign : sign | roundedShift((magnitude & 0x7fffff) | 0x800000, 126 - exponent)
}

/** value / 2^by, to the nearest, ties to even; `by` from 1 to 24. */
function roundedShift(value: number, by: number): number {
  const kept = value >>> by
  const rest = value & ((1 << by) - 1)
  const half = 1 << (by - 1)
  return kept + (rest > half || (rest === half && kept % 2 === 1) ? 1 : 0)
}
