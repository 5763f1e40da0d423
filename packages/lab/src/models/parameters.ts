import type { Initializer, ModelParameter, Positions } from './model.js'

/** The parameters of a model as they are declared, layer after layer, in the layouts of PyTorch. */
export class ParameterList {
  readonly all: Record<string, ModelParameter> = {}
  #depth = 0

  /** What is declared from here on lies one layer further from the input. */
  nextLayer(): void {
    this.#depth++
  }

  /** A tensor that weight decay leaves alone: a token, positions, a scale. */
  embedding(name: string, shape: readonly number[], init: Initializer = { normal: 0.02 }): void {
    this.all[name] = { shape, decay: false, init, depth: this.#depth }
  }

  /** Position embeddings: one row of `width` for every leading token and every patch. */
  positions(name: string, width: number, positions: Positions): void {
    const rows = positions.leading + positions.side ** 2
    this.embedding(name, [1, rows, width])
    this.all[name] = { ...this.all[name]!, positions }
  }

  /** A fully connected layer: `weight` (outputs, inputs) and `bias` (outputs). */
  dense(name: string, outputs: number, inputs: number, bias = true): void {
    this.#layer(name, [outputs, inputs], 0.02, bias)
  }

  /** A convolution: `weight` (outputs, inputs / groups, kernel, kernel) and `bias` (outputs). */
  conv(name: string, shape: readonly [number, number, number, number], normal: number, bias = true): void {
    this.#layer(name, shape, normal, bias)
  }

  /** `weight` and `bias` of a normalization over `width` features. */
  norm(name: string, width: number): void {
    this.embedding(`${name}.weight`, [width], 'ones')
    this.embedding(`${name}.bias`, [width], 'zeros')
  }

  /** A batch normalization over `width` channels: a norm with running statistics. */
  batchNorm(name: string, width: number): void {
    this.norm(name, width)
    this.#buffer(`${name}.running_mean`, width, 'zeros')
    this.#buffer(`${name}.running_var`, width, 'ones')
  }

  #buffer(name: string, width: number, init: Initializer): void {
    this.all[name] = { shape: [width], decay: false, init, depth: this.#depth, buffer: true }
  }

  #layer(name: string, shape: readonly number[], normal: number, bias: boolean): void {
    this.all[`${name}.weight`] = { shape, decay: true, init: { normal }, depth: this.#depth }
    if (bias) this.embedding(`${name}.bias`, [shape[0]!], 'zeros')
  }
}

/**
 * Standard deviation that keeps the variance of activations through a convolution and ReLU; of gradients, if given
 * the number of outputs (He et al. 2015).
 */
export function heNormal(channels: number, kernel: number): number {
  return Math.sqrt(2 / (kernel * kernel * channels))
}
