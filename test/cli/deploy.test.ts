import { afterEach, describe, expect, test } from '@jest/globals'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { parse } from 'yaml'
import { deployBuild, deploySubgraph } from '../../cli/deploy.ts'

/** Content by hash, as an IPFS node keeps it. The hash is no real CID: it names its content, which is what matters here. */
type Ipfs = { readonly url: string; readonly stored: Map<string, string>; readonly paths: string[] }
type Admin = { readonly url: string; readonly calls: { method: string; params: Record<string, unknown> }[] }

const servers: Server[] = []
const dirs: string[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true })
})

async function listen(server: Server): Promise<string> {
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** kubo's POST /api/v0/add: multipart in, a line of JSON out. */
async function startIpfs(): Promise<Ipfs> {
  const stored = new Map<string, string>()
  const paths: string[] = []
  const server = createServer((request, response) => {
    void (async () => {
      paths.push(request.url ?? '')
      const form = await new Response(await buffer(request), { headers: { 'content-type': request.headers['content-type'] ?? '' } }).formData()
      const file = form.get('file') as File
      const content = Buffer.from(await file.arrayBuffer())
      const hash = `Qm${createHash('sha256').update(content).digest('hex').slice(0, 44)}`
      stored.set(hash, content.toString('utf8'))
      response.end(`{"Name":"${file.name}","Bytes":${content.length}}\n{"Name":"${file.name}","Hash":"${hash}","Size":"${content.length}"}\n`)
    })().catch(() => response.writeHead(500).end())
  })
  return { url: await listen(server), stored, paths }
}

async function startAdmin(answer: (method: string) => object = () => ({ result: {} })): Promise<Admin> {
  const calls: Admin['calls'] = []
  const server = createServer((request, response) => {
    void buffer(request).then((body) => {
      const call = JSON.parse(body.toString()) as { id: number; method: string; params: Record<string, unknown> }
      calls.push(call)
      response.end(JSON.stringify({ jsonrpc: '2.0', id: call.id, ...answer(call.method) }))
    })
  })
  return { url: await listen(server), calls }
}

function makeBuild(): string {
  const dir = mkdtempSync(join(tmpdir(), 'bulwark-build-'))
  dirs.push(dir)
  mkdirSync(join(dir, 'A'))
  writeFileSync(join(dir, 'schema.graphql'), 'type X @entity { id: ID! }')
  writeFileSync(join(dir, 'A', 'A.wasm'), 'wasm')
  writeFileSync(join(dir, 'A', 'abi.json'), '[]')
  writeFileSync(
    join(dir, 'subgraph.yaml'),
    `specVersion: 1.3.0
schema: { file: ./schema.graphql }
dataSources:
  - { kind: ethereum, name: A, mapping: { file: A/A.wasm, abis: [{ name: A, file: A/abi.json }] } }
  - { kind: ethereum, name: B, mapping: { file: A/A.wasm, abis: [{ name: A, file: A/abi.json }] } }
`,
  )
  return join(dir, 'subgraph.yaml')
}

describe('deploying a build', () => {
  test('behavior: every file is in IPFS once, the manifest links them, and graph-node is told its hash', async () => {
    const ipfs = await startIpfs()
    const admin = await startAdmin()
    const id = await deployBuild(makeBuild(), { adminUrl: admin.url, ipfsUrl: ipfs.url, name: 'bulwark', apiKey: null }, () => {})
    expect([...ipfs.stored.values()].filter((content) => !content.startsWith('specVersion')).toSorted()).toEqual(['[]', 'type X @entity { id: ID! }', 'wasm'])
    expect(ipfs.paths).toEqual(Array.from({ length: 4 }, () => '/api/v0/add?pin=true&cid-version=0'))
    const manifest = parse(ipfs.stored.get(id)!) as { schema: { file: { '/': string } }; dataSources: { name: string; mapping: { file: { '/': string }; abis: { name: string; file: { '/': string } }[] } }[] }
    const content = (link: { '/': string }): string | undefined => ipfs.stored.get(link['/'].replace('/ipfs/', ''))
    expect(content(manifest.schema.file)).toBe('type X @entity { id: ID! }')
    expect(manifest.dataSources.map(({ name, mapping }) => [name, content(mapping.file), mapping.abis.map((abi) => [abi.name, content(abi.file)])])).toEqual([
      ['A', 'wasm', [['A', '[]']]],
      ['B', 'wasm', [['A', '[]']]],
    ])
    expect(admin.calls.map(({ method, params }) => [method, params])).toEqual([
      ['subgraph_create', { name: 'bulwark' }],
      ['subgraph_deploy', { name: 'bulwark', ipfs_hash: id }],
    ])
  })

  test('behavior: deployed again, a name that exists is no obstacle, and the id is the same', async () => {
    const ipfs = await startIpfs()
    const admin = await startAdmin((method) => (method === 'subgraph_create' ? { error: { code: 1, message: 'subgraph already exists: bulwark' } } : { result: {} }))
    const options = { adminUrl: admin.url, ipfsUrl: ipfs.url, name: 'bulwark', apiKey: null }
    expect(await deployBuild(makeBuild(), options, () => {})).toBe(await deployBuild(makeBuild(), options, () => {}))
  })

  test("error: graph-node's refusal is quoted", async () => {
    const ipfs = await startIpfs()
    const admin = await startAdmin((method) => (method === 'subgraph_deploy' ? { error: { code: 0, message: 'network optimism is not supported' } } : { result: {} }))
    await expect(deployBuild(makeBuild(), { adminUrl: admin.url, ipfsUrl: ipfs.url, name: 'bulwark', apiKey: null }, () => {})).rejects.toThrow('graph-node: subgraph_deploy answered "network optimism is not supported"; see its log; it must reach the same IPFS node, and know the network')
  })

  test('error: a gateway in place of the API is named', async () => {
    const gateway = await listen(createServer((_request, response) => response.writeHead(404).end('404 page not found')))
    const admin = await startAdmin()
    await expect(deployBuild(makeBuild(), { adminUrl: admin.url, ipfsUrl: gateway, name: 'bulwark', apiKey: null }, () => {})).rejects.toThrow(/IPFS: .* was not added, it answered HTTP 404: 404 page not found; check that --ipfs is the API of an IPFS node \(5001\), not its gateway/)
    expect(admin.calls).toEqual([])
  })

  test.each([
    [[], /Found no --graph-node-admin, needed is the address of graph-node's admin port/],
    [['--graph-node-admin', 'http://127.0.0.1:1'], /Found no --ipfs, needed is the address of an IPFS node's API/],
    [['--graph-node-admin', 'host:8020', '--ipfs', 'http://127.0.0.1:1'], /Found no http address for --graph-node-admin/],
    [['--colour'], /allowed are --graph-node-admin, --ipfs, --network and --name/],
  ])('error: refuses %p in one sentence', async (args, sentence) => {
    await expect(deploySubgraph(args)).rejects.toThrow(sentence)
  })
})
