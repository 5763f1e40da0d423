import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium, type Page } from 'playwright-core'
import { build, preview } from 'vite'

/** Where systems keep Chromium or Chrome. */
const programs = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/snap/bin/chromium',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
]
export const browserProgram = programs.find(program => existsSync(program))
export const browserMissing = `no browser at ${programs.join(', ')}: install Chromium`

/** WebGPU without a graphics processor, by the browser's own software driver; elsewhere there is always a driver. */
const webgpuFlags = [
  '--enable-unsafe-webgpu',
  '--enable-features=Vulkan',
  '--use-webgpu-adapter=swiftshader',
  '--use-vulkan=swiftshader',
]

export interface OpenPage {
  readonly page: Page
  close(): Promise<void>
}

/** Bundles the test page and opens it in headless Chromium, isolated across origins so that WebAssembly has threads. */
export async function openTestPage(): Promise<OpenPage> {
  const outDir = await mkdtemp(path.join(tmpdir(), 'onnxgrad-page-'))
  await build({
    configFile: false,
    root: fileURLToPath(new URL('.', import.meta.url)),
    base: './',
    logLevel: 'error',
    worker: { format: 'es' },
    build: {
      outDir,
      emptyOutDir: true,
      target: 'esnext',
      minify: false,
      rolldownOptions: {
        input: fileURLToPath(new URL('./browser-page.js', import.meta.url)),
        output: { entryFileNames: 'page.js' },
      },
    },
  })
  await writeFile(
    path.join(outDir, 'index.html'),
    '<!doctype html><title>onnxgrad</title><link rel="icon" href="data:,"><script type="module" src="page.js"></script>',
  )
  const server = await preview({
    configFile: false,
    root: outDir,
    logLevel: 'error',
    build: { outDir },
    preview: {
      host: '127.0.0.1',
      port: 0,
      headers: {
        'Cross-Origin-Opener-Policy': 'same-origin',
        'Cross-Origin-Embedder-Policy': 'require-corp',
      },
    },
  })
  const browser = await chromium.launch({
    executablePath: browserProgram!,
    args: process.platform === 'linux' ? webgpuFlags : [],
  })
  const page = await browser.newPage()
  const { port } = server.httpServer.address() as AddressInfo
  await page.goto(`http://127.0.0.1:${port}/`)
  return {
    page,
    async close() {
      await browser.close()
      await server.close()
      await rm(outDir, { recursive: true, force: true })
    },
  }
}
