export { classLabel, type TestColumn, writeColumns } from '../data/test-data.js'
export * from '../hub/test-hub.js'
export { configurationText } from '../runs/configuration-file.js'
export * from './fixtures.js'
