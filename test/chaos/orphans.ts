/**
 * The chain's address as a node would serve it: blocks that a reorg took off the chain are still known by their hashes.
 * anvil forgets them at once, and graph-node, which goes back along its own branch block by block, then asks for ever for
 * one that it has not kept itself.
 */
import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { RpcClient } from '../../devnet/rpc.ts'

type Call = { readonly id?: unknown; readonly method?: string; readonly params?: readonly unknown[] }
type Transaction = { readonly hash: string }
type Block = { readonly hash: string; readonly transactions: readonly Transaction[] }
type Receipt = { readonly logs: readonly { readonly address: string; readonly topics: readonly string[] }[] }

export type Orphans = {
  /** Keeps these blocks, which are still on the chain. */
  remember(rpc: RpcClient, fromNumber: number, toNumber: number): Promise<void>
  /** Where the chain answers, orphans included. */
  readonly url: string
  stop(): Promise<void>
}

export async function serveOrphans(targetUrl: string): Promise<Orphans> {
  const kept = new Map<string, { block: Block; receipts: readonly Receipt[] }>()
  const agent = new Agent({ keepAlive: true })

  /** undefined: not about an orphan. */
  function answer({ method, params = [] }: Call): unknown {
    const first = params[0]
    const named = typeof first === 'object' && first !== null ? (first as { blockHash?: unknown }).blockHash : first
    const orphan = typeof named === 'string' ? kept.get(named.toLowerCase()) : undefined
    if (orphan === undefined) return undefined
    switch (method) {
      case 'eth_getBlockByHash':
        return params[1] === true ? orphan.block : { ...orphan.block, transactions: orphan.block.transactions.map(({ hash }) => hash) }
      case 'eth_getBlockReceipts':
        return orphan.receipts
      case 'eth_getLogs': {
        const { address, topics = [] } = first as { address?: string | string[]; topics?: (string | string[] | null)[] }
        const is = (wanted: string | readonly string[] | null | undefined, found: string | undefined): boolean =>
          wanted === null || wanted === undefined || [wanted].flat().some((one) => one.toLowerCase() === found?.toLowerCase())
        return orphan.receipts.flatMap(({ logs }) => logs).filter((log) => is(address, log.address) && topics.every((topic, i) => is(topic, log.topics[i])))
      }
      default:
        return undefined
    }
  }

  const forward = (body: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const onward = request(targetUrl, { method: 'POST', agent, headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
        response.on('error', reject)
      })
      onward.on('error', reject)
      onward.end(body)
    })

  async function route(body: string): Promise<string> {
    const asked = JSON.parse(body) as Call | Call[]
    const calls = [asked].flat()
    if (calls.every((call) => answer(call) === undefined)) return await forward(body)
    const answers = await Promise.all(
      calls.map(async (call) => {
        const result = answer(call)
        return result === undefined ? await forward(JSON.stringify(call)) : JSON.stringify({ jsonrpc: '2.0', id: call.id, result })
      }),
    )
    return Array.isArray(asked) ? `[${answers.join(',')}]` : (answers[0] ?? '')
  }

  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      route(Buffer.concat(chunks).toString('utf8')).then(
        (answered) => outgoing.setHeader('content-type', 'application/json').end(answered),
        () => outgoing.writeHead(502).end(),
      )
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    remember: async (rpc, fromNumber, toNumber) => {
      const numbers = Array.from({ length: toNumber - fromNumber + 1 }, (_, i) => `0x${(fromNumber + i).toString(16)}`)
      const blocks = (await rpc.batch(numbers.map((number) => ['eth_getBlockByNumber', [number, true]]))) as Block[]
      const receipts = (await rpc.batch(numbers.map((number) => ['eth_getBlockReceipts', [number]]))) as Receipt[][]
      for (const [i, block] of blocks.entries()) kept.set(block.hash.toLowerCase(), { block, receipts: receipts[i] ?? [] })
    },
    stop: async () => {
      server.closeAllConnections()
      agent.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
