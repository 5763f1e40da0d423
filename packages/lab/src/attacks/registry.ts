// Every attack: one line each. All that knows them by name is derived from these exports.
export { ageb } from './ageb/ageb.js'
export { badnets } from './badnets/badnets.js'
export { blended } from './blended/blended.js'
export { sig } from './sig/sig.js'
export { wanet } from './wanet/wanet.js'
