/** A data set that comes with the program. */
export interface BundledDataset {
  /** The name to give for it. */
  readonly name: string
  /** One line for lists. */
  readonly summary: string
  /** Where it is from, and the paper to cite. */
  readonly citation: string
  /** A folder in the hub's layout. */
  readonly folder: URL
}
