/** What a checkpoint is to be fine-tuned for. */
export interface FitOptions {
  readonly classNames: readonly string[]
  /** Side of the square input, pixels. Default: the checkpoint's. */
  readonly imageSize?: number | undefined
  /** Decides the first weights of a new head. */
  readonly seed: number
}
