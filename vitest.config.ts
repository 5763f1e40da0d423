import { defineConfig } from 'vitest/config'

// Tests run as built: `tsc -b` type-checks them, and worker threads load the same files that users run.
export default defineConfig({
  test: {
    include: ['packages/*/dist/**/*.test.js', 'tools/*.test.mjs'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
