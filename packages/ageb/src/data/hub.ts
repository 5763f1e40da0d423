import { mkdir, readdir, readFile, realpath, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  datasetInfo,
  downloadFileToCacheDir,
  getHFHubCachePath,
  getRepoFolderName,
  HubApiError,
  listFiles,
} from '@huggingface/hub'
import { InputError } from 'onnxgrad'
import { filesOfSplit } from './split-files.js'

/** A data set on the Hugging Face hub. */
export interface HubDataset {
  /** `owner/name`. */
  readonly name: string
  /** Branch, tag or commit. */
  readonly revision: string
}

/** Reads `owner/name` or `owner/name@revision`; undefined if the text is neither. */
export function parseHubId(text: string): HubDataset | undefined {
  const groups = /^(?<name>\w[\w.-]*\/\w[\w.-]*)(?:@(?<revision>\w[\w./-]*))?$/.exec(text)?.groups
  if (!groups?.name || groups.revision?.includes('..')) return undefined
  return { name: groups.name, revision: groups.revision ?? 'main' }
}

/**
 * The files of one split of a data set on the hub, fetched if need be: only the split's Parquet files, into
 * the cache that the Python library uses too (`HF_HUB_CACHE`, `HF_HOME`). Respects `HF_ENDPOINT`, `HF_TOKEN`
 * and `HF_HUB_OFFLINE`. Where the hub cannot be reached, what an earlier call fetched serves.
 *
 * @returns paths in the order of the shards
 * @throws InputError if the data set or the split does not exist or cannot be had
 */
export async function fetchSplit(dataset: HubDataset, split: string, warn: (message: string) => void) {
  if (isSet(process.env.HF_HUB_OFFLINE)) {
    const cached = await cachedSplit(dataset, split)
    if (cached) return cached
    throw new InputError(
      `There is no folder ${dataset.name} here, its split '${split}' (revision ${dataset.revision}) is not ` +
        `in the cache ${getHFHubCachePath()}, and ` +
        'HF_HUB_OFFLINE forbids fetching it: unset HF_HUB_OFFLINE once.',
    )
  }
  try {
    return await download(dataset, split)
  } catch (error) {
    if (error instanceof InputError) throw error
    const problem = describe(error)
    const cached = error instanceof HubApiError ? undefined : await cachedSplit(dataset, split)
    if (!cached) {
      throw new InputError(
        `There is no folder ${dataset.name} here, and ${hubUrl()} cannot give it: ${problem}.`,
      )
    }
    warn(`${hubUrl()} cannot be reached; going on with ${dataset.name} as fetched earlier.`)
    return cached
  }
}

async function download(dataset: HubDataset, split: string): Promise<string[]> {
  const accessToken = process.env.HF_TOKEN
  const common = { hubUrl: hubUrl(), ...(accessToken ? { accessToken } : {}) }
  const { name } = dataset
  const repo = { type: 'dataset', name } as const
  const { sha } = await datasetInfo({
    ...common,
    name,
    revision: dataset.revision,
    additionalFields: ['sha'],
  })
  if (!/^[0-9a-f]{40}$/.test(sha)) throw new Error(`it answers with '${sha}' where a commit is expected`)

  const sizes = new Map<string, number>()
  for await (const entry of listFiles({ ...common, repo, revision: sha, recursive: true })) {
    if (entry.type === 'file' && entry.path.endsWith('.parquet')) sizes.set(entry.path, entry.size)
  }
  const files: string[] = []
  for (const path of filesOfSplit([...sizes.keys()], split, `${name} on ${hubUrl()}`)) {
    const file = await downloadFileToCacheDir({ ...common, repo, revision: sha, path })
    const { size } = await stat(file)
    if (size !== sizes.get(path)) {
      // The link's target is what is wrong: the hub's client would only link to it again.
      throw new InputError(
        `${await realpath(file)} has ${size} bytes where ${sizes.get(path)} are expected: ` +
          'delete it and try again.',
      )
    }
    files.push(file)
  }
  if (dataset.revision !== sha) await rememberRevision(dataset, sha)
  return files
}

/** Writes down which commit a branch or tag was, as the Python library does; offline work looks there. */
async function rememberRevision(dataset: HubDataset, sha: string): Promise<void> {
  const path = join(repoFolder(dataset), 'refs', dataset.revision)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, sha)
}

/** The split's files from an earlier fetch, or undefined if they are not all there. */
async function cachedSplit(dataset: HubDataset, split: string): Promise<string[] | undefined> {
  const folder = repoFolder(dataset)
  try {
    const sha = /^[0-9a-f]{40}$/.test(dataset.revision)
      ? dataset.revision
      : (await readFile(join(folder, 'refs', dataset.revision), 'utf8')).trim()
    const snapshot = join(folder, 'snapshots', sha)
    const paths = (await readdir(snapshot, { recursive: true })).map(path => path.replaceAll('\\', '/'))
    const files = filesOfSplit(paths, split, dataset.name).map(path => join(snapshot, path))
    // A snapshot holds links, whose targets somebody may have removed.
    await Promise.all(files.map(file => stat(file)))
    return files
  } catch {
    return undefined
  }
}

function repoFolder({ name }: HubDataset): string {
  return join(getHFHubCachePath(), getRepoFolderName({ type: 'dataset', name }))
}

function hubUrl(): string {
  return (process.env.HF_ENDPOINT || 'https://huggingface.co').replace(/\/+$/, '')
}

function isSet(flag: string | undefined): boolean {
  return ['1', 'on', 'yes', 'true'].includes((flag ?? '').toLowerCase())
}

/** What went wrong and what to do, to follow a colon. */
function describe(error: unknown): string {
  if (error instanceof HubApiError) {
    const { statusCode } = error
    if (statusCode === 401 || statusCode === 403 || statusCode === 404) {
      return (
        `it answers ${statusCode}, so the data set or revision does not exist or is not open to you; ` +
        'check the spelling, or set HF_TOKEN'
      )
    }
    return `it answers ${statusCode}; try again later`
  }
  if (error instanceof TypeError && /access token/.test(error.message))
    return "HF_TOKEN must start with 'hf_'"
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const message = cause instanceof Error ? cause.message || cause.name : String(cause)
  return `${message}; check the connection, or give a local folder`
}
