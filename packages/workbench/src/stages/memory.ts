import { readFileSync } from 'node:fs'

/** The largest resident memory that this process has had so far, MiB. */
export function peakRssMiB(): number {
  // On Linux a process inherits the peak of the one that started it in what getrusage() says; the kernel's own
  // figure of its memory does not.
  if (process.platform === 'linux') {
    const peak = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))
    if (peak) return Number(peak[1]) / 1024
  }
  return process.resourceUsage().maxRSS / 1024
}
