import { execFile, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { appendFile, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeRgb } from '../packages/workbench/dist/index.js'
import { noisePng, writeDataset, writeTinyModel } from '../packages/workbench/dist/testing/index.js'

// The packages as they would be published: packed, unpacked outside the repository, and used from there to run the
// example of a plugin. What else they need from npm is linked, so that no network is needed.

const root = fileURLToPath(new URL('../', import.meta.url))
const example = path.join(root, 'examples', 'plugin-attack')
const names = ['onnxgrad', '@ageb/lab', '@ageb/workbench', '@ageb/report', 'ageb']
const onWindows = process.platform === 'win32'
const npm = spawnSync('npm', ['--version'], { shell: onWindows })
if (npm.status !== 0) console.log('packed packages are not tested: there is no npm to pack them with')

const run = promisify(execFile)

/** Unpacks packages into a folder's node_modules, and links what they depend on. */
async function install(folder, packed) {
  const modules = path.join(folder, 'node_modules')
  for (const { filename, name } of packed) {
    const target = path.join(modules, name)
    await mkdir(target, { recursive: true })
    await run('tar', ['-xzf', filename, '-C', target, '--strip-components=1'])
  }
  for (const { name } of packed) {
    const { dependencies = {} } = JSON.parse(readFileSync(path.join(modules, name, 'package.json'), 'utf8'))
    for (const dependency of Object.keys(dependencies)) {
      const target = path.join(modules, dependency)
      if (names.includes(dependency) || existsSync(target)) continue
      await mkdir(path.dirname(target), { recursive: true })
      await symlink(path.join(root, 'node_modules', dependency), target, 'junction')
    }
  }
}

describe.skipIf(npm.status !== 0)('packed packages', () => {
  let folder
  let packed
  const file = (...parts) => path.join(folder, ...parts)

  /** Runs the installed program in the folder of the example. */
  async function ageb(args, store = 'store') {
    const program = file('project', 'node_modules', 'ageb', 'bin', 'ageb.js')
    const env = { ...process.env, AGEB_CACHE: file('cache'), AGEB_STORE: file(store) }
    const { stdout, stderr } = await run(process.execPath, [program, ...args], { cwd: file('project'), env })
    return { stderr, data: JSON.parse(stdout.trimEnd().split('\n').at(-1)) }
  }
  const tiny = [
    'dataset=data',
    'victim=model',
    'training.epochs=1',
    'training.batchSize=8',
    'training.crop=1',
  ]
  const experiment = ['--json', '--threads', '1', '--set', ...tiny]

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'packages-'))
    const workspaces = names.flatMap(name => ['--workspace', name])
    const options = ['--json', '--ignore-scripts', '--loglevel=error', '--pack-destination', folder]
    const { stdout } = await run('npm', ['pack', ...workspaces, ...options], {
      cwd: root,
      shell: onWindows,
      maxBuffer: 2 ** 26,
    })
    const listed = JSON.parse(stdout)
    packed = Object.values(listed).map(({ name, filename, files }) => ({
      name,
      filename: file(filename.replace('@', '').replace('/', '-')),
      files: files.map(({ path }) => path),
    }))
    await cp(example, file('project'), { recursive: true, filter: from => !from.includes('node_modules') })
    await install(file('project'), packed)
    await writeDataset(file('project', 'data'), { side: 12 })
    await writeTinyModel(file('project', 'model'), { side: 12 })
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it('hold what their package.json promises, and the bundled data', () => {
    expect(packed.map(({ name }) => name).sort()).toEqual([...names].sort())
    for (const { name, files } of packed) {
      const facts = JSON.parse(readFileSync(file('project', 'node_modules', name, 'package.json'), 'utf8'))
      const promised = [...Object.values(facts.exports ?? {}), ...Object.values(facts.bin ?? {})]
      for (const entry of promised) expect(files, name).toContain(path.posix.normalize(entry))
      expect(files.filter(entry => /^(src|fixtures|node_modules)\//.test(entry))).toEqual([])
    }
    expect(packed.find(({ name }) => name === '@ageb/workbench').files).toEqual(
      expect.arrayContaining([
        'configs/demo.yaml',
        'datasets/cifar10-subset/README.md',
        'datasets/cifar10-subset/plain_text/train-00000-of-00001.parquet',
        'datasets/cifar10-subset/plain_text/test-00000-of-00001.parquet',
        'models/vit-cifar10/config.json',
        'models/vit-cifar10/model.safetensors',
        'models/cct-cifar10/model.safetensors',
      ]),
    )
  })

  it('run the example of a plugin outside the repository', async () => {
    const { data } = await ageb(['run', 'experiment.yaml', '--out', 'run', ...experiment])
    expect(data.attack).toBe('corner-checkerboard')
    const { attack } = JSON.parse(await readFile(file('project', 'run', 'record.json'), 'utf8'))
    expect(attack).toMatchObject({ parameters: { size: 4 }, plugin: { name: 'my-attack.js' } })
    expect(existsSync(file('project', 'run', 'report.html'))).toBe(true)
  })

  it('put its trigger on an image, with the bundled model and the configuration of the demo', async () => {
    await writeFile(file('project', 'image.png'), await noisePng(32, 1, 5))
    const args = ['trigger', 'image.png', '--plugin', './my-attack.js', '--set', 'attack=corner-checkerboard']
    const { data } = await ageb([...args, '--json'])
    expect(data).toMatchObject({ surrogate: 'vit-cifar10', attack: { name: 'corner-checkerboard' } })
    const [clean, triggered] = [
      await decodeRgb(await readFile(file('project', 'image.png'))),
      await decodeRgb(await readFile(file('project', data.triggered))),
    ]
    expect(triggered).toMatchObject({ height: 32, width: 32 })
    const expected = clean.pixels.map((value, i) => {
      const [x, y] = [i % 32, Math.floor(i / 32) % 32]
      return x < 4 && y < 4 ? 255 * ((x + y) % 2) : value
    })
    expect(triggered.pixels).toEqual(expected)
  })

  it('run a plugin that has its own copies of them to the same record', async () => {
    const elsewhere = file('elsewhere')
    await install(
      elsewhere,
      packed.filter(({ name }) => ['onnxgrad', '@ageb/lab'].includes(name)),
    )
    const zod = path.join(elsewhere, 'node_modules', 'zod')
    await rm(zod, { recursive: true })
    await cp(path.join(root, 'node_modules', 'zod'), zod, { recursive: true })
    for (const name of ['package.json', 'my-attack.js'])
      await cp(path.join(example, name), path.join(elsewhere, name))
    for (const name of ['onnxgrad', '@ageb/lab'])
      await appendFile(
        path.join(elsewhere, 'node_modules', name, 'dist', 'index.js'),
        `\nprocess.stderr.write('its own ${name}\\n')\n`,
      )
    const plain = (await readFile(path.join(example, 'experiment.yaml'), 'utf8')).replace(/^plugins.*$/m, '')
    await writeFile(file('project', 'plain.yaml'), plain)
    const plugin = ['--plugin', path.join(elsewhere, 'my-attack.js')]
    const args = ['run', 'plain.yaml', '--out', 'own', ...plugin, ...experiment]
    const { stderr } = await ageb(args, 'another-store')
    for (const name of ['onnxgrad', '@ageb/lab']) expect(stderr).toContain(`its own ${name}\n`)
    const record = name => readFile(file('project', name, 'record.json'), 'utf8')
    expect(await record('own')).toBe(await record('run'))
  })
})
