import { afterAll, describe, expect, it } from 'vitest'
import type { DType } from '../graph/dtype.js'
import type { OpCase, OpDefinition } from '../graph/graph.js'
import { startRuntime } from '../runtime/node/index.js'
import { gradientError } from '../testing/check-gradients.js'
import { applyCase, pointOf } from '../testing/op-cases.js'
import { operators } from './registry.js'

// Walks the registry: an operator that has a gradient and no cases fails, and so does one whose gradient is off.
const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

/** Central differences in double precision where the runtime has the kernels, else in single precision. */
async function check(definition: OpDefinition, test: OpCase): Promise<{ dtype: DType; error: number }> {
  const common = {
    inputs: test.inputs,
    at: pointOf(test),
    build: (graph, inputs) => applyCase(definition, test, graph, inputs),
  } satisfies Partial<Parameters<typeof gradientError>[1]>
  const single = async () => ({
    dtype: 'float32' as const,
    error: await gradientError(runtime, { ...common, dtype: 'float32', step: 1e-2 }),
  })
  if (test.dtype) return single()
  try {
    return {
      dtype: 'float64',
      error: await gradientError(runtime, { ...common, dtype: 'float64', step: 1e-5 }),
    }
  } catch (error) {
    if (
      !/NOT_IMPLEMENTED|Could not find an implementation|Type Error|not supported/i.test(
        (error as Error).message,
      )
    )
      throw error
    return single()
  }
}

for (const definition of operators) {
  if (typeof definition.gradient !== 'function') continue
  describe(definition.name, () => {
    it('has gradient cases', () => expect(definition.cases.length).toBeGreaterThan(0))
    for (const test of definition.cases) {
      it(`gradient: ${test.name}`, async () => {
        const { dtype, error } = await check(definition, test)
        expect(error, dtype).toBeLessThan(dtype === 'float64' ? 1e-6 : 1e-3)
      })
    }
  })
}
