import { readdir, readFile, realpath, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  datasetInfo,
  downloadFileToCacheDir,
  getHFHubCachePath,
  getRepoFolderName,
  HubApiError,
  listFiles,
  modelInfo,
} from '@huggingface/hub'
import { InputError } from 'onnxgrad'
import { cannotBeWritten, ensureFolder, errorCode, isForbidden, isOutOfSpace } from '../files/write-file.js'

/** What a text names on the Hugging Face hub. */
export interface HubId {
  /** `owner/name`. */
  readonly name: string
  /** Branch, tag or commit. */
  readonly revision: string
}

/** A repository on the hub, and what of it is wanted. */
export interface HubRequest extends HubId {
  readonly type: 'dataset' | 'model'
  /** What is wanted, for messages: `its split 'train'`. */
  readonly what: string
  /**
   * The wanted files of all that there are, in the order in which they are to be fetched.
   * @throws InputError if they are not all there.
   */
  choose(paths: readonly string[]): string[]
}

/** Reads `owner/name` or `owner/name@revision`; undefined if the text is neither. */
export function parseHubId(text: string): HubId | undefined {
  const groups = /^(?<name>\w[\w.-]*\/\w[\w.-]*)(?:@(?<revision>\w[\w./-]*))?$/.exec(text)?.groups
  if (!groups?.name || groups.revision?.includes('..')) return undefined
  return { name: groups.name, revision: groups.revision ?? 'main' }
}

/**
 * Files of a repository on the hub, fetched if need be into the cache that the Python library uses too
 * (`HF_HUB_CACHE`, `HF_HOME`). Respects `HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE`. Where the hub cannot be
 * reached, what an earlier call fetched serves.
 *
 * @returns paths of the chosen files, all of one commit
 * @throws InputError if the repository or the files do not exist or cannot be had
 */
export async function fetchFromHub(request: HubRequest, warn: (message: string) => void): Promise<string[]> {
  const { name, what, revision } = request
  if (isSet(process.env.HF_HUB_OFFLINE)) {
    const cached = await cachedFiles(request)
    if (cached) return cached
    throw new InputError(
      `There is no folder ${name} here, ${what} (revision ${revision}) is not ` +
        `in the cache ${getHFHubCachePath()}, and ` +
        'HF_HUB_OFFLINE forbids fetching it: unset HF_HUB_OFFLINE once.',
    )
  }
  try {
    return await download(request)
  } catch (error) {
    if (error instanceof InputError) throw error
    if (isForbidden(error) || isOutOfSpace(error)) {
      // It is not the hub that is at fault: what is there already may be enough.
      const cached = await cachedFiles(request)
      if (!cached) throw cannotBeWritten(getHFHubCachePath(), error)
      warn(
        `${getHFHubCachePath()} cannot be written (${errorCode(error)}): ${name} is used as it was fetched earlier.`,
      )
      return cached
    }
    const problem = describe(error, request)
    const cached = error instanceof HubApiError ? undefined : await cachedFiles(request)
    if (!cached) {
      throw new InputError(`There is no folder ${name} here, and ${hubUrl()} cannot give it: ${problem}.`)
    }
    warn(`${hubUrl()} cannot be reached: ${name} is used as it was fetched earlier.`)
    return cached
  }
}

async function download(request: HubRequest): Promise<string[]> {
  const accessToken = process.env.HF_TOKEN
  const common = { hubUrl: hubUrl(), ...(accessToken ? { accessToken } : {}) }
  const { name, type, revision } = request
  const repo = { type, name }
  const question = { ...common, name, revision }
  const { sha } =
    type === 'dataset'
      ? await datasetInfo({ ...question, additionalFields: ['sha'] })
      : await modelInfo({ ...question, additionalFields: ['sha'] })
  if (!/^[0-9a-f]{40}$/.test(sha)) throw new Error(`it answers with '${sha}' where a commit is expected`)

  const sizes = new Map<string, number>()
  for await (const entry of listFiles({ ...common, repo, revision: sha, recursive: true })) {
    if (entry.type === 'file') sizes.set(entry.path, entry.size)
  }
  const files: string[] = []
  const chosen = request.choose([...sizes.keys()])
  // The hub's client would report of a read-only cache that a folder does not exist.
  await ensureFolder(join(repoFolder(request), 'blobs'))
  for (const path of chosen) {
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
  if (revision !== sha) await rememberRevision(request, sha)
  return files
}

/**
 * Writes down which commit a branch or tag was, as the Python library does; offline work looks there. In a cache that
 * cannot be written it is not noted: the files are there all the same.
 */
async function rememberRevision(request: HubRequest, sha: string): Promise<void> {
  const path = join(repoFolder(request), 'refs', request.revision)
  try {
    await ensureFolder(dirname(path))
    await writeFile(path, sha)
  } catch (error) {
    if (!isForbidden(error)) throw error
  }
}

/** The files from an earlier fetch, or undefined if they are not all there. */
async function cachedFiles(request: HubRequest): Promise<string[] | undefined> {
  const folder = repoFolder(request)
  try {
    const sha = /^[0-9a-f]{40}$/.test(request.revision)
      ? request.revision
      : (await readFile(join(folder, 'refs', request.revision), 'utf8')).trim()
    const snapshot = join(folder, 'snapshots', sha)
    const paths = (await readdir(snapshot, { recursive: true })).map(path => path.replaceAll('\\', '/'))
    const files = request.choose(paths).map(path => join(snapshot, path))
    // A snapshot holds links, whose targets somebody may have removed.
    await Promise.all(files.map(file => stat(file)))
    return files
  } catch {
    return undefined
  }
}

/**
 * The commit of a data set or model that was fetched from the hub under a text like `owner/name@revision`; undefined if
 * it was not, or the text names a path on this machine.
 */
export async function hubCommit(type: HubRequest['type'], text: string): Promise<string | undefined> {
  // A data set may name a folder of its repository: `owner/name:FOLDER`.
  const id = parseHubId(text.replace(/:[^@]*/, ''))
  if (!id || (await stat(text).catch(() => undefined))) return undefined
  if (/^[0-9a-f]{40}$/.test(id.revision)) return id.revision
  const file = join(repoFolder({ ...id, type }), 'refs', id.revision)
  return readFile(file, 'utf8').then(
    sha => sha.trim(),
    () => undefined,
  )
}

function repoFolder({ type, name }: Pick<HubRequest, 'type' | 'name'>): string {
  return join(getHFHubCachePath(), getRepoFolderName({ type, name }))
}

/** Address of the hub. */
export function hubUrl(): string {
  return (process.env.HF_ENDPOINT || 'https://huggingface.co').replace(/\/+$/, '')
}

function isSet(flag: string | undefined): boolean {
  return ['1', 'on', 'yes', 'true'].includes((flag ?? '').toLowerCase())
}

/** What went wrong and what to do, to follow a colon. */
function describe(error: unknown, { type }: HubRequest): string {
  if (error instanceof HubApiError) {
    const { statusCode } = error
    if (statusCode === 401 || statusCode === 403 || statusCode === 404) {
      const noun = type === 'dataset' ? 'data set' : 'model'
      return (
        `it answers ${statusCode}, so the ${noun} or revision does not exist or is not open to you; ` +
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
