/** One training: `clean fine-tuning`, `poisoned fine-tuning`. */
export interface TrainingCurve {
  readonly name: string
  readonly steps: readonly TrainingStep[]
  readonly evaluations: readonly TrainingEvaluation[]
  /** What `evaluations` were measured on: `500 held-out training images`. */
  readonly evaluatedOn?: string
}

export interface TrainingStep {
  readonly step: number
  readonly epoch: number
  readonly loss: number
  readonly learningRate: number
}

export interface TrainingEvaluation {
  /** Epochs done at the time, may be a fraction. */
  readonly epoch: number
  /** From 0 to 1. */
  readonly accuracy: number
}
