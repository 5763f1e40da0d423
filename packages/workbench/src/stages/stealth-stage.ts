import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { type ImageSource, type Stealth, stealth } from '@ageb/lab'
import type { Stage } from '../store/stage.js'

/** How visible a change is: the same images before and after. */
export const stealthStage: Stage<{ clean: ImageSource; changed: ImageSource }, Stealth> = {
  name: 'stealth',
  version: 1,
  key: ({ clean, changed }) => ({ clean: clean.id, changed: changed.id }),
  async run({ clean, changed }, { folder, monitor }) {
    const bar = monitor.progress('stealth', clean.count)
    const figures = await stealth(clean, changed, done => bar.update(done)).finally(() => bar.stop())
    await writeFile(path.join(folder, 'stealth.json'), JSON.stringify(figures))
  },
  open: async folder => JSON.parse(await readFile(path.join(folder, 'stealth.json'), 'utf8')) as Stealth,
}
