export { classLabel, type TestColumn, writeColumns } from '../data/test-data.js'
export * from '../hub/test-hub.js'
export * from './fixtures.js'
