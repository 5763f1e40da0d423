import { readFileSync } from 'node:fs'

/** The largest resident memory that this process has had so far, MiB. */
export function peakRssMiB(): number {
  // On Linux, the peak that getrusage() gives includes that of the process which started this one; the kernel's VmHWM
  // does not.
  if (process.platform === 'linux') {
    const peak = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))
    if (peak) return Number(peak[1]) / 1024
  }
  return process.resourceUsage().maxRSS / 1024
}
