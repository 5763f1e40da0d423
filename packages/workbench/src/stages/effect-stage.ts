import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { type Effect, effectOf, type ImageSource } from '@ageb/lab'
import type { Stage } from '../store/stage.js'

/** Whether a trigger changes images at all: the same images before and after. */
export const effectStage: Stage<{ clean: ImageSource; triggered: ImageSource }, Effect> = {
  name: 'effect',
  version: 1,
  key: ({ clean, triggered }) => ({ clean: clean.id, triggered: triggered.id }),
  async run({ clean, triggered }, { folder, monitor }) {
    const bar = monitor.progress('effect', clean.count)
    const effect = await effectOf(clean, triggered, done => bar.update(done)).finally(() => bar.stop())
    await writeFile(path.join(folder, 'effect.json'), JSON.stringify(effect))
  },
  open: async folder => JSON.parse(await readFile(path.join(folder, 'effect.json'), 'utf8')) as Effect,
}
