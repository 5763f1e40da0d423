export * from './autodiff/gradients.js'
export * from './device.js'
export * from './errors.js'
export { allocate, arrayOf, type DType, isFloat, type TensorData } from './graph/dtype.js'
export * from './graph/graph.js'
export * from './graph/shape.js'
export * from './graph/tensor.js'
export * from './graph/verify.js'
export * from './onnx/from-onnx.js'
export type { ExternalData } from './onnx/tensor-message.js'
export * from './onnx/to-onnx.js'
export * from './onnx/to-onnx-scan.js'
export { erf, gelu, relu, sigmoid, tanh } from './ops/activation.js'
export { type BatchNormOptions, batchNorm } from './ops/batch-normalization.js'
export { cast } from './ops/cast.js'
export { and, equal, greater, greaterOrEqual, less, lessOrEqual, not, or } from './ops/comparison.js'
export { conv2d } from './ops/convolution.js'
export { defineOp } from './ops/define-op.js'
export { dropout } from './ops/dropout.js'
export { einsum } from './ops/einsum.js'
export {
  abs,
  add,
  ceil,
  clip,
  cos,
  div,
  exp,
  floor,
  identity,
  log,
  max,
  min,
  mod,
  mul,
  neg,
  pow,
  reciprocal,
  round,
  sign,
  sin,
  sqrt,
  sub,
} from './ops/elementwise.js'
export { gather, gatherElements, gatherND, scatterElements } from './ops/indexing.js'
export { concat, expand, pad, slice, split, swapLast, transpose, zeros } from './ops/layout.js'
export { type SoftmaxCrossEntropyOptions, softmaxCrossEntropyLoss } from './ops/loss.js'
export { matrixOperations } from './ops/matrix-operations.js'
export { fusedMatMul, gemm, linear, matmul } from './ops/matrix-product.js'
export { layerNorm, logSoftmax, normalizedLinear, softmax } from './ops/normalization.js'
export type { Operand } from './ops/operands.js'
export { avgPool2d, globalAveragePool, maxPool2d } from './ops/pooling.js'
export {
  cumSum,
  reduceL1,
  reduceL2,
  reduceLogSumExp,
  reduceMax,
  reduceMean,
  reduceMin,
  reduceSum,
  reduceSumSquare,
} from './ops/reduction.js'
export { operators, opFor } from './ops/registry.js'
export { flatten, reshape, squeeze, unsqueeze } from './ops/reshaping.js'
export { type ResizeOptions, resize } from './ops/resize.js'
export { argMax, topK, trilu } from './ops/selection.js'
export { tile } from './ops/tile.js'
export { where } from './ops/where.js'
export { forDevice } from './passes/for-device.js'
export * from './runtime/matrix-throughput.js'
export * from './runtime/memory.js'
export * from './runtime/profile.js'
export * from './runtime/session.js'
export type { Forward } from './train/evaluation.js'
export * from './train/losses.js'
export type { BatchInput } from './train/micro-batches.js'
export * from './train/optimizers.js'
export * from './train/parameters.js'
export * from './train/sam.js'
export * from './train/schedules.js'
export * from './train/several-steps.js'
export * from './train/train-step.js'
