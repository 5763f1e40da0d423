import type { ImageSource } from '@ageb/lab'

/** Images whose reading ends when a signal is aborted, and with it whatever reads them. */
export function abortable(images: ImageSource, signal: AbortSignal | undefined): ImageSource {
  if (!signal) return images
  return {
    ...images,
    read: async (indices, out) => {
      signal.throwIfAborted()
      await images.read(indices, out)
    },
  }
}
