import { parentPort } from 'node:worker_threads'
import { serve } from '../remote-host.js'
import { engineFor } from './engine.js'

parentPort!.on(
  'message',
  serve(engineFor, response => parentPort!.postMessage(response)),
)
