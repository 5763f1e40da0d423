import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** The part of the hub's interface that fetching uses, with a few public repositories, served on this machine. */
export interface TestHub {
  readonly url: string
  /** Paths that were asked for; empty it to count anew. */
  readonly requests: string[]
  close(): void
}

/** What is served: files by their paths, which may be added later, of each `datasets/owner/name` or `models/owner/name`. */
export type TestRepositories = Readonly<Record<string, ReadonlyMap<string, Buffer>>>

/** The commit that each has. */
export const testCommit = '0123456789abcdef0123456789abcdef01234567'

/** Starts one. */
export async function startTestHub(repositories: TestRepositories): Promise<TestHub> {
  const requests: string[] = []
  const server: Server = createServer((request, response) => {
    const { pathname } = new URL(request.url!, 'http://hub')
    requests.push(pathname)
    const [id, files] = Object.entries(repositories).find(([id]) => isOf(id, pathname)) ?? ['', new Map()]
    answer(id, files, pathname, request, response)
  })
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/`, requests, close: () => server.close() }
}

/** Files of models are served without the word that those of data sets have in front. */
const resolvedOf = (id: string) => `/${id.replace(/^models\//, '')}/resolve/${testCommit}/`
const isOf = (id: string, pathname: string) =>
  pathname.startsWith(`/api/${id}/`) || pathname.startsWith(resolvedOf(id))

const digest = (file: Buffer) => createHash('sha1').update(file).digest('hex')

function answer(
  id: string,
  files: ReadonlyMap<string, Buffer>,
  pathname: string,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const json = (value: unknown) =>
    response.setHeader('Content-Type', 'application/json').end(JSON.stringify(value))
  const entries = [...files].map(([path, file]) => ({
    type: 'file',
    path,
    size: file.length,
    oid: digest(file),
  }))
  const resolved = resolvedOf(id)
  if (pathname === `/api/${id}/revision/main`) {
    json({ _id: '1', id, sha: testCommit, private: false, gated: false, downloads: 0, likes: 0 })
  } else if (pathname === `/api/${id}/tree/${testCommit}`) {
    json(entries)
  } else if (pathname === `/api/${id}/paths-info/${testCommit}`) {
    let body = ''
    request.on('data', chunk => {
      body += chunk
    })
    request.on('end', () => json(entries.filter(({ path }) => JSON.parse(body).paths.includes(path))))
  } else if (pathname.startsWith(resolved) && files.has(pathname.slice(resolved.length))) {
    const file = files.get(pathname.slice(resolved.length))!
    response.setHeader('ETag', `"${digest(file)}"`)
    if (request.headers.range === 'bytes=0-0') {
      response.writeHead(206, { 'Content-Range': `bytes 0-0/${file.length}` }).end(file.subarray(0, 1))
    } else {
      response.end(file)
    }
  } else {
    response.statusCode = 404
    json({ error: 'Repository not found' })
  }
}
