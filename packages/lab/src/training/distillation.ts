import {
  add,
  crossEntropies,
  exp,
  type Graph,
  InputError,
  logSoftmax,
  mul,
  reduceMean,
  reduceSum,
  sub,
  type Value,
} from 'onnxgrad'
import { bakeWeights, type Model, type Weights } from '../models/model.js'
import type { Delivery, Objective } from './objective.js'

export interface Distillation extends Delivery {
  /** Its weights become constants of the training step. It takes images of the same size and knows the same classes. */
  readonly teacher: { readonly model: Model; readonly weights: Weights }
  /** Divides the logits of both models, above 0; large ones show the student what the teacher holds for unlikely. */
  readonly temperature: number
  /** Share of the teacher in the loss, in [0, 1]; the rest is cross-entropy against the data's targets. */
  readonly weight: number
}

/**
 * Knowledge distillation (Hinton et al. 2015, arXiv 1503.02531): the mean over the batch of
 *
 *     (1 − weight) · crossEntropy(student, targets) + weight · T² · KL(softmax(teacher / T) ‖ softmax(student / T))
 *
 * where T² keeps the gradients of both parts on one scale. The teacher sees the very images that the student sees,
 * augmented and mixed as they are.
 *
 * @throws InputError if temperature or weight is out of range; when the step is built, if the teacher does not fit
 * the model or the training starts behind frozen blocks.
 */
export function distillation({ teacher, temperature, weight, losses = false }: Distillation): Objective {
  if (!(temperature > 0) || !Number.isFinite(temperature))
    throw new InputError(`the temperature ${temperature} of a distillation must be above 0`)
  if (!(weight >= 0 && weight <= 1))
    throw new InputError(`the weight ${weight} of a distillation must be from 0 to 1`)
  // A graph holds the constants once, however often the loss is built in it.
  const constants = new WeakMap<Graph, Readonly<Record<string, Value>>>()
  const constantsIn = (graph: Graph) => {
    const known = constants.get(graph) ?? bakeWeights(graph, teacher.model, teacher.weights, 'teacher.')
    constants.set(graph, known)
    return known
  }
  return {
    loss({ graph, model, images, targets, labelSmoothing, forward }) {
      assertFits(teacher.model, model)
      if (!images)
        throw new InputError('the teacher needs whole images: distil without computing frozen blocks once')
      const { logits, buffers } = forward()
      const taught = graph.within('teacher', () => teacher.model.forward(constantsIn(graph), images).logits)
      const [wanted, found] = [taught, logits].map(value => logSoftmax(mul(value, 1 / temperature)))
      const divergences = reduceSum(mul(exp(wanted!), sub(wanted!, found!)), [1])
      const each = add(
        mul(crossEntropies(logits, targets, labelSmoothing), 1 - weight),
        mul(divergences, weight * temperature ** 2),
      )
      return {
        loss: reduceMean(each, [0]),
        logits,
        ...(losses && { deliver: { losses: each } }),
        ...(buffers && { buffers }),
      }
    },
  }
}

function assertFits(teacher: Model, student: Model): void {
  const [classes, wanted] = [teacher.classNames.length, student.classNames.length]
  if (classes !== wanted)
    throw new InputError(
      `the teacher tells ${classes} classes apart but the model ${wanted}: take a teacher of the same classes`,
    )
  if (teacher.imageSize !== student.imageSize)
    throw new InputError(
      `the teacher takes ${teacher.imageSize}×${teacher.imageSize} images but the model ${student.imageSize}×${student.imageSize}: take a teacher for that size`,
    )
}
