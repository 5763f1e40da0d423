import { cast, equal, type Graph, gather, mul, pad, reshape, sub, transpose, type Value } from 'onnxgrad'

/**
 * How a block of a Swin Transformer cuts a square grid of tokens into windows (Liu et al. 2021, section 3.2).
 *
 * A grid that no whole number of windows covers is padded below and at the right. With a shift the padded grid is
 * first rolled up and to the left by it, so that windows at the far edges hold tokens that are no neighbours: the
 * mask keeps those apart. A grid no larger than the window is one window, and not shifted.
 */
export class Windows {
  /** Cells along a side of a window. */
  readonly side: number
  /** Tokens in a window. */
  readonly tokens: number
  /** Windows in an image. */
  readonly count: number
  /** Whether there are tokens that stand for nothing. */
  readonly padded: boolean
  readonly #grid: number
  readonly #across: number
  readonly #shift: number

  /**
   * @param grid tokens along a side of the grid.
   * @param window tokens along a side of a window, where the grid is as large.
   */
  constructor(grid: number, window: number, shifted: boolean) {
    this.side = Math.min(grid, window)
    this.tokens = this.side ** 2
    this.#grid = grid
    this.#across = Math.ceil(grid / this.side) * this.side
    this.#shift = shifted && grid > window ? Math.floor(window / 2) : 0
    this.count = (this.#across / this.side) ** 2
    this.padded = this.#across > grid
  }

  /** Tokens (N, grid², width) to (N · count, tokens, width); padded with zeros. */
  cut(x: Value): Value {
    const [batch, , width] = x.shape as [number, number, number]
    const more = this.#across - this.#grid
    const square = reshape(x, [batch, this.#grid, this.#grid, width])
    const rows = reshape(pad(square, [0, 0, 0, 0], [0, more, more, 0]), [batch, this.#across ** 2, width])
    // One gather rolls and cuts: half the time of slices, a concatenation and a transpose.
    return reshape(gather(rows, this.#sources(), 1), [batch * this.count, this.tokens, width])
  }

  /** The opposite of `cut`: (N · count, tokens, …) to (N, grid², …), without the padding. */
  join(y: Value): Value {
    const batch = y.shape[0]! / this.count
    const inner = y.shape.slice(2)
    const places = new Array<number>(this.#across ** 2)
    this.#sources().forEach((source, place) => {
      places[source] = place
    })
    const real = places.filter(
      (_, at) => at % this.#across < this.#grid && Math.floor(at / this.#across) < this.#grid,
    )
    return gather(reshape(y, [batch, this.count * this.tokens, ...inner]), real, 1)
  }

  /** float32 (count, 1, tokens, tokens): −100 between tokens that only the shift brought together, else 0. */
  mask(graph: Graph): Value | null {
    if (this.#shift === 0) return null
    const region = (at: number) => {
      const before = this.#across - at
      return before > this.side ? 0 : before > this.#shift ? 1 : 2
    }
    const regions = this.#places().map(([row, column]) => 3 * region(row) + region(column))
    const as = (...shape: number[]) => graph.constant('int64', shape, regions)
    const [queries, keys] = [as(this.count, 1, this.tokens, 1), as(this.count, 1, 1, this.tokens)]
    return mul(sub(cast(equal(queries, keys), 'float32'), 1), 100)
  }

  /**
   * The bias of every pair of a window's tokens, float32 (heads, tokens, tokens).
   * @param table ((2·window − 1)², heads): a row for every distance down and across, row by row.
   */
  relativeBias(table: Value): Value {
    const [distances, heads] = table.shape as [number, number]
    const span = Math.sqrt(distances)
    const cells = Array.from({ length: this.tokens }, (_, i) => [Math.floor(i / this.side), i % this.side])
    const centre = (span - 1) / 2
    const index = cells.flatMap(([row, column]) =>
      cells.map(([keyRow, keyColumn]) => (row! - keyRow! + centre) * span + column! - keyColumn! + centre),
    )
    return reshape(transpose(gather(table, index), [1, 0]), [heads, this.tokens, this.tokens])
  }

  /** Row and column in the rolled grid of every token, window by window. */
  #places(): [number, number][] {
    const windows = this.#across / this.side
    return Array.from({ length: this.#across ** 2 }, (_, i) => {
      const [window, token] = [Math.floor(i / this.tokens), i % this.tokens]
      const row = Math.floor(window / windows) * this.side + Math.floor(token / this.side)
      return [row, (window % windows) * this.side + (token % this.side)]
    })
  }

  /** Where in the padded grid the tokens come from, window by window. */
  #sources(): number[] {
    const from = (at: number) => (at + this.#shift) % this.#across
    return this.#places().map(([row, column]) => from(row) * this.#across + from(column))
  }
}
