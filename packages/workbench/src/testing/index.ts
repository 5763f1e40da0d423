export * from '../hub/test-hub.js'
export * from './fixtures.js'
