/** A JSON-RPC endpoint on the loopback address that behaves as providers do: what it refuses, and in which words, is set per test. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { optimism } from '../../protocols/curie/deployments.ts'

export type RpcAnswer = { readonly result?: unknown; readonly error?: { readonly code: number; readonly message: string } }
type Call = { readonly id: number; readonly method: string; readonly params: readonly unknown[] }

export type Provider = {
  readonly url: string
  readonly calls: Call[]
  /** Headers of the last request. */
  readonly headers: () => IncomingMessage['headers']
  close(): Promise<void>
}

export type Behaviour = {
  /** Answers instead of the chain; undefined lets the chain answer. */
  readonly rpc?: (call: Call) => RpcAnswer | undefined
  /** Answers instead of JSON-RPC altogether; false lets JSON-RPC answer. */
  readonly http?: (request: IncomingMessage, response: ServerResponse, body: string) => boolean
  readonly chainId?: number
  readonly head?: number
  readonly headTimestamp?: number
}

export const HEAD = 130_000_000
export const NOW_SEC = 1_750_000_000
export const hashOf = (block: number): string => `0x${block.toString(16).padStart(64, '0')}`

/** Optimism, as an archive node tells of it that has no logs. */
export async function startProvider(behaviour: Behaviour = {}): Promise<Provider> {
  const { rpc, http, chainId = optimism.chainId, head = HEAD, headTimestamp = NOW_SEC - 2 } = behaviour
  const calls: Call[] = []
  let headers: IncomingMessage['headers'] = {}
  const chain = ({ method, params }: Call): RpcAnswer => {
    switch (method) {
      case 'eth_chainId':
        return { result: `0x${chainId.toString(16)}` }
      case 'net_version':
        return { result: String(chainId) }
      case 'eth_getBlockByNumber': {
        const number = params[0] === 'latest' ? head : Number(params[0])
        return { result: number > head ? null : { number: `0x${number.toString(16)}`, hash: hashOf(number), timestamp: `0x${headTimestamp.toString(16)}` } }
      }
      case 'eth_getCode':
        return { result: '0x6080' }
      case 'eth_call':
        return { result: '0x' }
      case 'eth_getBalance':
        return { result: '0x0' }
      case 'eth_getLogs':
      case 'eth_getBlockReceipts':
        return { result: [] }
      default:
        return { error: { code: -32601, message: `the method ${method} does not exist/is not available` } }
    }
  }
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      headers = request.headers
      if (http?.(request, response, body) === true) return
      const asked = JSON.parse(body) as Call | Call[]
      const answer = (call: Call): object => {
        calls.push(call)
        return { jsonrpc: '2.0', id: call.id, ...(rpc?.(call) ?? chain(call)) }
      }
      response.setHeader('content-type', 'application/json').end(JSON.stringify(Array.isArray(asked) ? asked.map(answer) : answer(asked)))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    headers: () => headers,
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

/** Blocks that an eth_getLogs asks for. */
export function rangeOf({ params }: Call): number {
  const { fromBlock, toBlock } = params[0] as { fromBlock: string; toBlock: string }
  return Number(toBlock) - Number(fromBlock) + 1
}
