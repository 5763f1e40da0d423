export * from './attack-conformance.js'
