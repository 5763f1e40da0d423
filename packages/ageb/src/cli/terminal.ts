import type { Monitor } from '@ageb/workbench'
import { Presets, SingleBar } from 'cli-progress'

/** Standard error. Bars appear only on a terminal; elsewhere, one line at every tenth. */
export const terminal: Monitor = {
  say: text => process.stderr.write(`${text}\n`),
  progress(label, total) {
    if (!process.stderr.isTTY) {
      let shown = 0
      return {
        update(done, note = '') {
          const tenth = Math.floor((10 * done) / total)
          if (tenth <= shown) return
          shown = tenth
          process.stderr.write(`${label}: ${tenth * 10} % ${note}\n`)
        },
        stop() {},
      }
    }
    const bar = new SingleBar(
      {
        format: `{label} {bar} {percentage} % · {eta_formatted} left {note}`,
        hideCursor: true,
        stream: process.stderr,
      },
      Presets.shades_classic,
    )
    bar.start(total, 0, { label, note: '' })
    return {
      update: (done, note = '') => bar.update(done, { note }),
      stop: () => bar.stop(),
    }
  },
}
