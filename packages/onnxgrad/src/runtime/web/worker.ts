import { type Request, type Response, serve } from '../remote-host.js'
import { engineFor } from './engine.js'

/** What is used of the worker's global scope. */
declare const self: {
  postMessage(response: Response, transfer: ArrayBuffer[]): void
  addEventListener(type: 'message', listener: (event: { data: Request }) => void): void
}

const take = serve(engineFor, (response, transfer) => self.postMessage(response, transfer))
self.addEventListener('message', ({ data }) => take(data))
