import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

/** Where Chromium's packages keep their software Vulkan driver, with which WebGPU runs on the processor. */
const folders = [
  '/usr/lib/chromium',
  '/usr/lib/chromium-browser',
  '/usr/lib64/chromium-browser',
  '/opt/google/chrome',
  '/snap/chromium/current/usr/lib/chromium-browser',
]

/** Environment variables that make a Node process use that driver; null if it is not installed. */
export function softwareVulkan(): Record<string, string> | null {
  const folder = folders.find(one => existsSync(path.join(one, DRIVER)))
  if (!folder) return null
  const driver = path.join(folder, DRIVER)
  return {
    VK_DRIVER_FILES: driver,
    VK_ICD_FILENAMES: driver,
    // Chromium brings Vulkan's loader too; the system need not have one.
    LD_LIBRARY_PATH: [folder, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
    XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR ?? tmpdir(),
  }
}

const DRIVER = 'vk_swiftshader_icd.json'
export const softwareVulkanMissing = `no ${DRIVER} in ${folders.join(', ')}: install Debian's package chromium`
