import type { RuntimeChoice } from '../../device.js'
import { connect, type Request, type Response } from '../remote-host.js'
import type { Runtime } from '../session.js'

/** What is used of a browser's Worker; the compiler is told of no browser, since most of this package is not for one. */
declare const Worker: new (
  url: URL,
  options: { type: 'module' },
) => {
  postMessage(request: Request, transfer: ArrayBuffer[]): void
  addEventListener(type: 'message', listener: (event: { data: Response }) => void): void
  addEventListener(type: 'error', listener: (event: { message?: string }) => void): void
  terminate(): void
}

/**
 * ONNX Runtime in a Web Worker: the page stays responsive. Bundlers find the worker by its URL and the runtime's
 * .wasm files by theirs; they must make workers ES modules (Vite: `worker: { format: 'es' }`).
 *
 * @param options.threads default: all cores. More than one needs a page that is isolated across origins (the headers
 *   Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp); else it is one.
 * @param options.device default: 'cpu'. One that is not there makes the first call fail, with an InputError.
 */
export function startRuntime(options: RuntimeChoice = {}): Runtime {
  const { threads = navigator.hardwareConcurrency, device = 'cpu' } = options
  const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
  return connect(
    {
      post: (request, transfer) => worker.postMessage(request, transfer),
      listen(answer, end) {
        worker.addEventListener('message', ({ data }) => answer(data))
        worker.addEventListener('error', ({ message }) =>
          end(new Error(message ?? "the runtime's worker did not load")),
        )
      },
      terminate: async () => worker.terminate(),
    },
    { threads, device },
  )
}

declare const navigator: { readonly hardwareConcurrency: number }
