import { fileURLToPath } from 'node:url'

/** The configuration of `ageb demo`. */
export const demoConfiguration = fileURLToPath(new URL('../../configs/demo.yaml', import.meta.url))
