import { afterEach, describe, expect, test } from '@jest/globals'
import { freePort } from '../../core/ports.ts'
import { examineRpc, limitIn } from '../../cli/checks/rpc.ts'
import { optimism } from '../../protocols/curie/deployments.ts'
import { NOW_SEC, rangeOf, startProvider, type Behaviour, type Provider } from './provider.ts'

/** As a provider's URL carries a key. */
const KEY = 'wXyZ0123456789abcdefGHIJ'
let provider: Provider | null = null
afterEach(async () => {
  await provider?.close()
  provider = null
})

async function examine(behaviour: Behaviour = {}, options: { history?: boolean } = {}) {
  provider = await startProvider(behaviour)
  const examined = await examineRpc({ url: `${provider.url}/v2/${KEY}`, deployment: optimism, history: options.history ?? true, nowSec: NOW_SEC })
  for (const { sentence } of examined.findings) expect(sentence).not.toContain(KEY)
  return examined
}
const stops = ({ findings }: Awaited<ReturnType<typeof examine>>): string[] => findings.filter(({ level }) => level === 'stop').map(({ sentence }) => sentence)
const warnings = ({ findings }: Awaited<ReturnType<typeof examine>>): string[] => findings.filter(({ level }) => level === 'warn').map(({ sentence }) => sentence)
const refuse = (method: string, code: number, message: string): Behaviour => ({ rpc: (call) => (call.method === method ? { error: { code, message } } : undefined) })

describe('an RPC that can do everything', () => {
  test('behavior: is said to be good, with 10,000 blocks at once', async () => {
    const examined = await examine()
    expect(examined).toMatchObject({ head: 130_000_000, logBlocks: 10_000, batch: 100 })
    expect(examined.findings).toEqual([{ level: 'good', part: 'rpc', sentence: expect.stringMatching(/^RPC 127\.0\.0\.1:\d+: chain id 10, head 130,000,000, archive state from block 513,473, logs of 10,000 blocks at once$/) }])
  })

  test('behavior: credentials in its URL are sent as a header', async () => {
    provider = await startProvider()
    const examined = await examineRpc({ url: provider.url.replace('http://', 'http://user:p%40ss@'), deployment: optimism, history: true, nowSec: NOW_SEC })
    expect(stops(examined)).toEqual([])
    expect(provider.headers().authorization).toBe(`Basic ${Buffer.from('user:p@ss').toString('base64')}`)
  })

  test('behavior: where a graph-node is there already, neither history nor logs are asked for', async () => {
    const examined = await examine(refuse('eth_getLogs', -32601, 'the method eth_getLogs does not exist'), { history: false })
    expect(stops(examined)).toEqual([])
    expect(provider!.calls.map(({ method }) => method)).not.toContain('eth_getLogs')
    expect(provider!.calls.filter(({ method }) => method === 'eth_getBalance')).toEqual([])
  })
})

describe('an RPC that does not answer in JSON-RPC', () => {
  test('error: nobody listens', async () => {
    const examined = await examineRpc({ url: `http://127.0.0.1:${await freePort()}/${KEY}`, deployment: optimism, history: true, nowSec: NOW_SEC })
    expect(stops(examined)).toEqual([expect.stringMatching(/^RPC 127\.0\.0\.1:\d+: nobody listens there; needed is a JSON-RPC endpoint of optimism \(chain id 10\); check RPC_URL, and that the node runs$/)])
  })

  test.each<[string, Behaviour['http'], RegExp]>([
    ['a web page', (_, response) => !!response.setHeader('content-type', 'text/html').end('<!DOCTYPE html><html><head><title>Dashboard</title></head></html>'), /it answered a web page \(HTML\): "Dashboard"; .*must be the endpoint that takes JSON-RPC by POST/],
    ['HTTP 429 without a body', (_, response) => !!response.writeHead(429).end(), /it limits the rate of requests \(429\); .*wait, or take a plan that allows more requests/],
    ["Alchemy's limit of compute units", (_, response) => !!response.writeHead(429).end(JSON.stringify({ jsonrpc: '2.0', id: 1, error: { code: 429, message: 'Your app has exceeded its compute units per second capacity.' } })), /it limits the rate of requests \(429\): "Your app has exceeded its compute units/],
    ["QuickNode's limit of credits, with HTTP 200", (_, response) => !!response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, error: { code: -32012, message: 'credits limited to 6000/sec' } })), /it limits the rate of requests \(-32012\)/],
    ['a key that is not accepted', (_, response) => !!response.writeHead(401).end(JSON.stringify({ jsonrpc: '2.0', error: { code: -32000, message: `Must be authenticated! ${KEY}` }, id: 1 })), /it refused access \(HTTP 401\): "Must be authenticated! \[secret\]"; .*check the key in RPC_URL/],
    ['a wrong path', (_, response) => !!response.writeHead(404).end('Not Found'), /it has nothing at that path \(HTTP 404\)/],
    ['a server in trouble', (_, response) => !!response.writeHead(503).end('upstream connect error'), /it answered HTTP 503: "upstream connect error"/],
    ['other JSON', (_, response) => !!response.end('{"hello":"world"}'), /its answer is JSON of another kind/],
    ['a broken connection', (_, response) => !!response.destroy(), /the connection broke|nobody listens/],
  ])('error: %s is named', async (_name, http, sentence) => {
    expect(stops(await examine({ http: http! }))).toEqual([expect.stringMatching(sentence)])
  })
})

describe('an RPC of another chain', () => {
  test('error: says which id was found, which is needed, and what to do', async () => {
    expect(stops(await examine({ chainId: 1 }))).toEqual([expect.stringMatching(/found chain id 1 \(Ethereum\), optimism has 10; give an RPC of optimism, or another --network$/)])
  })

  test('error: the same id without the contracts is another chain too', async () => {
    expect(stops(await examine({ rpc: ({ method }) => (method === 'eth_getCode' ? { result: '0x' } : undefined) }))).toEqual([expect.stringContaining(`found no contract at ${optimism.contracts.clearingHouse} (ClearingHouse)`)])
  })

  test('error: a node that has not synchronised as far as the protocol', async () => {
    expect(stops(await examine({ head: 1000 }))).toEqual([expect.stringMatching(/found its head at block 1000, the protocol starts at 513473; wait until the node has synchronised/)])
  })

  test('behavior: an old head is a warning', async () => {
    expect(warnings(await examine({ headTimestamp: NOW_SEC - 7300 }))).toEqual([expect.stringMatching(/its newest block 130000000 is 2 h old/)])
  })
})

describe('an RPC without the past', () => {
  const atStart = (call: { method: string; params: readonly unknown[] }): boolean =>
    (call.method === 'eth_call' || call.method === 'eth_getBalance') && JSON.stringify(call.params).includes(`${(513473).toString(16)}"`)

  test.each([
    ['geth', -32000, 'missing trie node ef7df5d88cb1614dc3f143879a653cd90717ee42e967c5fabbcd7505a968f314 (path ) state 0x00 is not available, not found'],
    ['geth, path scheme', -32000, 'historical state 0x1234 is not available'],
    ['Infura', -32002, 'project ID does not have access to archive state'],
    ['reth', -32000, 'state at block #513473 is pruned'],
    ['erigon', -32000, 'old data not available due to pruning'],
    ['Nethermind', -32000, 'No state available for block 0x00'],
    ['dRPC', -32701, 'please specify archive, this is an archive request'],
  ])('error: %s keeps no archive state', async (_name, code, message) => {
    const found = stops(await examine({ rpc: (call) => (atStart(call) ? { error: { code, message } } : undefined) }))
    expect(found).toEqual([expect.stringMatching(/it keeps no archive state: at block 513473 it said ".*"; graph-node reads what contracts were set up with at that block; give an archive node/)])
  })

  test('error: op-geth without a legacy node behind it is named as such', async () => {
    const found = stops(await examine({ rpc: (call) => (atStart(call) ? { error: { code: -32801, message: 'no historical RPC is available for this historical (pre-bedrock) execution request' } } : undefined) }))
    expect(found).toEqual([expect.stringMatching(/it has no state from before Bedrock .*give an archive node that hands older calls to a legacy geth/)])
  })

  test('error: a node that does not have the first block', async () => {
    const found = stops(await examine({ rpc: ({ method, params }) => (method === 'eth_getBlockByNumber' && params[0] !== 'latest' ? { result: null } : undefined) }))
    expect(found).toEqual([expect.stringMatching(/it does not have block 513473, where the protocol starts/)])
  })

  test('error: a node that takes no block by its hash is too old', async () => {
    const found = stops(await examine(refuse('eth_call', -32602, 'invalid argument 1: json: cannot unmarshal object into Go value of type string')))
    expect(found[0]).toMatch(/it does not take a block by its hash \(EIP-1898\)/)
  })

  test('behavior: a contract that reverts has its state', async () => {
    expect(stops(await examine(refuse('eth_call', 3, 'execution reverted')))).toEqual([])
  })
})

describe('an RPC that limits the range of logs', () => {
  const limitedTo = (blocks: number, code: number, message: string): Behaviour => ({ rpc: (call) => (call.method === 'eth_getLogs' && rangeOf(call) > blocks ? { error: { code, message } } : undefined) })

  test.each([
    ['QuickNode', 5, -32615, 'eth_getLogs is limited to a 5 range'],
    ['Infura', 1000, -32602, 'range 10000 exceeds limit of 1000'],
    ['Alchemy', 500, -32600, 'You can make eth_getLogs requests with up to a 500 block range. Based on your parameters, this block range should work: [0x7d5c1, 0x7d7b4]'],
    ['BNB', 5000, -32000, 'exceed maximum block range: 5000'],
    ['public Optimism', 2000, -32062, 'Block range is too large'],
    ['another, in words that nobody knows', 2000, -32000, 'nope'],
    ['Infura by results', 1000, -32005, 'query returned more than 10000 results'],
  ])('behavior: %s: graph-node is set to what it takes', async (_name, blocks, code, message) => {
    const examined = await examine(limitedTo(blocks, code, message))
    expect(stops(examined)).toEqual([])
    expect(examined.logBlocks).toBe(blocks)
    // (130,000,000 − 513,473) / blocks, rounded up.
    const requests = Math.ceil(129_486_527 / blocks).toLocaleString('en-US')
    expect(warnings(examined)[0]).toContain(`it gives the logs of at most ${blocks.toLocaleString('en-US')} blocks at once ("${message}"); graph-node is set to that, which makes at least ${requests} requests`)
  })

  test('error: eth_getLogs that does not work at all', async () => {
    expect(stops(await examine(refuse('eth_getLogs', -32601, 'the method eth_getLogs is not available')))).toEqual([expect.stringMatching(/eth_getLogs does not work even for one block, .*enable the eth namespace or give another RPC$/)])
  })

  test.each([
    ['eth_getLogs is limited to a 10,000 range', 10_000],
    ['range 1000000 exceeds limit of 10000', 10_000],
    ['Try with this block range [0x1, 0xa].', 10],
    ['query returned more than 10000 results', null],
    ['You cannot query logs for more than 100000 blocks at once.', 100_000],
    ['ranges over 10000 blocks are not supported on freetier', 10_000],
    ['internal error', null],
  ])('behavior: "%s" names %p', (said, limit) => {
    expect(limitIn(said)).toBe(limit)
  })
})

describe('an RPC that is only slower', () => {
  test('behavior: without eth_getBlockReceipts it is a warning', async () => {
    const examined = await examine(refuse('eth_getBlockReceipts', -32601, 'the method eth_getBlockReceipts does not exist/is not available'))
    expect(stops(examined)).toEqual([])
    expect(warnings(examined)).toEqual([expect.stringMatching(/it has no eth_getBlockReceipts .*graph-node asks for receipts one by one instead/)])
  })

  test('behavior: a limit of batches is found and kept', async () => {
    const http: Behaviour['http'] = (_, response, body) => {
      const asked = JSON.parse(body) as unknown
      return Array.isArray(asked) && asked.length > 3 && !!response.writeHead(500).end(JSON.stringify({ error: { message: 'Batch of more than 3 requests are not allowed on free tier', code: 31 } }))
    }
    const examined = await examine({ http })
    expect(examined.batch).toBe(3)
    expect(warnings(examined)).toEqual([expect.stringMatching(/it takes batches of 3 calls where 100 are asked for/)])
  })

  test('error: without net_version graph-node cannot know the chain', async () => {
    expect(stops(await examine(refuse('net_version', -32601, 'the method net_version does not exist')))).toEqual([expect.stringMatching(/it refuses net_version, by which graph-node knows a chain/)])
  })
})
