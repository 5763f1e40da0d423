/** The files of one split, in the order in which their images count. Paths have `/` between folders. */
export type SplitFiles =
  /** Parquet files, in the order of their shards. */
  | { readonly layout: 'parquet'; readonly split: string; readonly files: readonly string[] }
  /** Image files, with the folder that each is in as its class. */
  | { readonly layout: 'images'; readonly split: string; readonly files: readonly ClassFile[] }
  /** Binary files of CIFAR-10 or CIFAR-100, and the folder that has the names of the classes. */
  | {
      readonly layout: 'cifar-10' | 'cifar-100'
      readonly split: string
      readonly files: readonly string[]
      readonly folder: string
    }

/** An image file and the name of its class. */
export interface ClassFile {
  readonly path: string
  readonly className: string
}

/** A split that a data set seems to have. */
export interface FoundSplit {
  readonly split: string
  readonly layout: SplitFiles['layout']
  /** The folder that it is in, empty for the data set's own. */
  readonly folder: string
  /** Its files. Throws InputError if they are not all there, or of a kind that cannot be read. */
  files(): SplitFiles
}
