import { InputError } from 'onnxgrad'
import { z } from 'zod'

/** `id2label` of a config.json: class names by number. */
export const labels = z.record(z.string().regex(/^\d+$/), z.string())

/** The names in the order of their numbers. Throws InputError if a number is left out. */
export function namesOf(id2label: z.infer<typeof labels>, file: string): string[] {
  const count = Object.keys(id2label).length
  return Array.from({ length: count }, (_, i) => {
    const name = id2label[i]
    if (name === undefined)
      throw new InputError(`${file}: 'id2label' names ${count} classes but has no class ${i}`)
    return name
  })
}
