import type { Checkpoint } from '@ageb/lab'

/**
 * Probabilities of the classes of one image, as `transformers` computes them: of one label or several that do not
 * exclude each other a sigmoid each, otherwise a softmax.
 */
export function probabilities(
  logits: readonly number[],
  problemType: Checkpoint['problemType'],
): readonly number[] {
  if (problemType === 'multi_label_classification' || logits.length === 1)
    return logits.map(logit => 1 / (1 + Math.exp(-logit)))
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const powers = logits.map(logit => Math.exp(logit - largest))
  const sum = powers.reduce((a, b) => a + b, 0)
  return powers.map(power => power / sum)
}
