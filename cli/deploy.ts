/** `npm run bulwark -- deploy-subgraph`: our subgraph into a graph-node that runs elsewhere, by its admin port and an IPFS node. */
import { readFile } from 'node:fs/promises'
import { dirname, join, normalize, relative, sep } from 'node:path'
import { parseArgs } from 'node:util'
import { parse, stringify } from 'yaml'
import { BadInputError, InvariantError, UnavailableError } from '../core/errors.ts'
import { endpointOf } from '../core/endpoint.ts'
import { hideSecretsOf } from '../core/log.ts'
import { deploymentOf } from '../protocols/curie/deployments.ts'
import { buildSubgraph } from '../subgraph/build.ts'
import { describe, Fault, postJson } from './checks/http.ts'
import { loadEnvFile, PROJECT } from './options.ts'
import { SUBGRAPH_NAME } from './services/graphNode.ts'

const TIMEOUT_MS = 120_000

export type DeployOptions = {
  /** graph-node's admin port (JSON-RPC, 8020). */
  readonly adminUrl: string
  /** The API of the IPFS node that graph-node reads from (5001). */
  readonly ipfsUrl: string
  /** Under which it can be queried: `/subgraphs/name/<name>`. */
  readonly name: string
  /** Key of a hosted graph-node's admin port; null for one of ours. */
  readonly apiKey: string | null
}

export async function deploySubgraph(args: readonly string[]): Promise<void> {
  loadEnvFile()
  let values: { 'graph-node-admin'?: string; ipfs?: string; network?: string; name?: string }
  try {
    ;({ values } = parseArgs({ args: [...args], options: { 'graph-node-admin': { type: 'string' }, ipfs: { type: 'string' }, network: { type: 'string' }, name: { type: 'string' } } }))
  } catch (error) {
    throw new BadInputError(`Found ${(error as Error).message.split('. ')[0]}, allowed are --graph-node-admin, --ipfs, --network and --name; correct the command line`)
  }
  const name = values.name ?? SUBGRAPH_NAME
  if (!/^[a-z0-9][a-z0-9_-]*(\/[a-z0-9][a-z0-9_-]*)?$/i.test(name)) throw new BadInputError('Found another --name than graph-node takes, allowed are letters, digits, - and _, with at most one / in it; choose such a name')
  const options: DeployOptions = { adminUrl: httpUrl('--graph-node-admin', values['graph-node-admin']), ipfsUrl: httpUrl('--ipfs', values.ipfs), name, apiKey: process.env['GRAPH_NODE_ADMIN_KEY'] || null }
  const deployment = deploymentOf(values.network ?? (process.env['NETWORK'] || 'optimism'))
  process.stderr.write(`building the subgraph of ${deployment.network}\n`)
  const { manifest } = await buildSubgraph({ network: deployment.network, deployment, cacheDir: process.env['STATE_DIR'] ? join(process.env['STATE_DIR'], 'cache') : join(PROJECT, '.bulwark', 'cache') })
  const id = await deployBuild(manifest, options, (line) => process.stderr.write(`${line}\n`))
  process.stdout.write(`${id}\n`)
}

function httpUrl(option: string, text: string | undefined): string {
  if (text === undefined) throw new BadInputError(`Found no ${option}, needed is the address of ${option === '--ipfs' ? "an IPFS node's API, such as http://127.0.0.1:5001" : "graph-node's admin port, such as http://127.0.0.1:8020"}; give it`)
  if (!URL.canParse(text) || !['http:', 'https:'].includes(new URL(text).protocol)) throw new BadInputError(`Found no http address for ${option}, allowed is one that begins with http:// or https://; correct it`)
  return text
}

/**
 * Adds a build's files to IPFS and deploys them; answers with the deployment's id, the IPFS hash of its manifest.
 * The same build has the same id, and deploying it again leaves graph-node where it stands. Throws UnavailableError.
 */
export async function deployBuild(manifestFile: string, options: DeployOptions, say: (line: string) => void): Promise<string> {
  const dir = dirname(manifestFile)
  const added = new Map<string, Promise<string>>()
  const add = async (file: string): Promise<{ '/': string }> => {
    const path = normalize(join(dir, file))
    if (relative(dir, path).startsWith(`..${sep}`)) throw new InvariantError(`The manifest names ${file}, allowed are files of the build; build it again`)
    const adding = added.get(path) ?? readFile(path).then((content) => addToIpfs(options.ipfsUrl, content, file))
    added.set(path, adding)
    return { '/': `/ipfs/${await adding}` }
  }
  /** Every `file: path` of a manifest becomes a link to what was added. */
  const link = async (node: unknown): Promise<unknown> => {
    if (Array.isArray(node)) return Promise.all(node.map(link))
    if (typeof node !== 'object' || node === null) return node
    const entries: [string, unknown][] = []
    for (const [key, value] of Object.entries(node)) entries.push([key, key === 'file' && typeof value === 'string' ? await add(value) : await link(value)])
    return Object.fromEntries(entries)
  }
  const manifest = stringify(await link(parse(await readFile(manifestFile, 'utf8'))), { aliasDuplicateObjects: false })
  const id = await addToIpfs(options.ipfsUrl, Buffer.from(manifest, 'utf8'), 'subgraph.yaml')
  say(`added ${added.size + 1} files to IPFS: ${id}`)

  await admin(options, 'subgraph_create', { name: options.name }).catch((error: unknown) => {
    if (!(error instanceof UnavailableError) || !/already exists/i.test(error.message)) throw error
  })
  await admin(options, 'subgraph_deploy', { name: options.name, ipfs_hash: id })
  say(`deployed as ${options.name}`)
  return id
}

async function addToIpfs(ipfsUrl: string, content: Buffer, name: string): Promise<string> {
  const { url, headers } = endpointOf(ipfsUrl)
  const form = new FormData()
  form.append('file', new Blob([new Uint8Array(content)]), name)
  const fail = (found: string, action: string): UnavailableError => new UnavailableError({ part: 'IPFS', found: `${name} was not added, ${hideSecretsOf([ipfsUrl])(found)}`, action })
  let response: Response
  let text: string
  try {
    response = await fetch(new URL('api/v0/add?pin=true&cid-version=0', url.endsWith('/') ? url : `${url}/`), { method: 'POST', headers, body: form, signal: AbortSignal.timeout(TIMEOUT_MS) })
    text = await response.text()
  } catch {
    throw fail('it did not answer', 'check --ipfs, and that the node runs')
  }
  if (!response.ok) throw fail(`it answered HTTP ${response.status}: ${text.slice(0, 120).trim()}`, "check that --ipfs is the API of an IPFS node (5001), not its gateway")
  // One JSON object a line; progress lines, where there are any, have no hash.
  const hash = text.split('\n').flatMap((line) => {
    try {
      return [(JSON.parse(line) as { Hash?: string }).Hash]
    } catch {
      return []
    }
  }).findLast((one) => one !== undefined)
  if (hash === undefined || !/^[A-Za-z0-9]{46,64}$/.test(hash)) throw fail(`its answer has no hash: ${text.slice(0, 120).trim()}`, 'check that --ipfs is the API of an IPFS node (5001)')
  return hash
}

async function admin({ adminUrl, apiKey }: DeployOptions, method: string, params: object): Promise<unknown> {
  let answer: { result?: unknown; error?: { message?: string } }
  try {
    answer = (await postJson(adminUrl, { jsonrpc: '2.0', id: 1, method, params }, { apiKey, timeoutMs: TIMEOUT_MS })) as typeof answer
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    throw new UnavailableError({ part: 'graph-node', found: `${method} failed, ${describe(error, TIMEOUT_MS)}`, action: 'check --graph-node-admin (its admin port, 8020), and that graph-node runs' })
  }
  if (answer.error !== undefined) throw new UnavailableError({ part: 'graph-node', found: `${method} answered "${answer.error.message ?? 'no reason'}"`, action: 'see its log; it must reach the same IPFS node, and know the network' })
  return answer.result
}
