// Every attack: one line each. All that knows them by name is derived from these exports.
export { ageb } from './ageb/ageb.js'
export { badnets } from './badnets/badnets.js'
