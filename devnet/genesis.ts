import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Hex, keccak256, numberToHex, toRlp, zeroAddress, zeroHash } from 'viem'
import { DEVNET_CHAIN_ID } from './keys.ts'

/** Chain time of the genesis block: 2026-01-01T00:00:00Z. Fixed, so that every devnet is the same devnet. */
export const GENESIS_TIMESTAMP_SEC = 1_767_225_600

export const BLOCK_GAS_LIMIT = 300_000_000

const EMPTY_TRIE: Hex = keccak256(toRlp('0x'))
const NO_UNCLES: Hex = keccak256(toRlp([]))
const EMPTY_BLOOM: Hex = `0x${'00'.repeat(256)}`

/** Fields of a block header in the order in which they are hashed (Cancun). */
const HEADER = {
  parentHash: zeroHash,
  sha3Uncles: NO_UNCLES,
  miner: zeroAddress,
  stateRoot: EMPTY_TRIE,
  transactionsRoot: EMPTY_TRIE,
  receiptsRoot: EMPTY_TRIE,
  logsBloom: EMPTY_BLOOM,
  difficulty: '0x0',
  number: '0x0',
  gasLimit: numberToHex(BLOCK_GAS_LIMIT),
  gasUsed: '0x0',
  timestamp: numberToHex(GENESIS_TIMESTAMP_SEC),
  extraData: '0x',
  mixHash: zeroHash,
  nonce: '0x0000000000000000',
  baseFeePerGas: '0x0',
  withdrawalsRoot: EMPTY_TRIE,
  blobGasUsed: '0x0',
  excessBlobGas: '0x0',
  parentBeaconBlockRoot: zeroHash,
} as const satisfies Record<string, Hex>

/** RLP writes a zero as an empty string, but fixed-width fields as they are. */
const rlpField = (value: Hex): Hex => (value === '0x0' ? '0x' : value.length % 2 === 1 ? `0x0${value.slice(2)}` : value)

export const GENESIS_HASH: Hex = keccak256(toRlp(Object.values(HEADER).map(rlpField)))

const GENESIS_BLOCK = { ...HEADER, hash: GENESIS_HASH, totalDifficulty: '0x0', size: '0x200', transactions: [], uncles: [], withdrawals: [] }

/** What an empty chain of one block answers. Anything that it has not got is null. */
function answer(method: string, params: readonly unknown[]): unknown {
  switch (method) {
    case 'eth_chainId': return numberToHex(DEVNET_CHAIN_ID)
    case 'net_version': return String(DEVNET_CHAIN_ID)
    case 'web3_clientVersion': return 'bulwark-genesis'
    case 'eth_blockNumber':
    case 'eth_gasPrice':
    case 'eth_maxPriorityFeePerGas':
    case 'eth_getBalance':
    case 'eth_getTransactionCount': return '0x0'
    case 'eth_getBlockByNumber': return params[0] === '0x0' || params[0] === 'latest' || params[0] === 'earliest' ? GENESIS_BLOCK : null
    case 'eth_getBlockByHash': return params[0] === GENESIS_HASH ? GENESIS_BLOCK : null
    case 'eth_getCode': return '0x'
    case 'eth_getStorageAt': return zeroHash
    case 'eth_getAccountInfo': return { balance: '0x0', nonce: '0x0', code: '0x' }
    case 'eth_getLogs':
    case 'eth_getBlockReceipts': return []
    default: return null
  }
}

type Request = { readonly id: unknown; readonly method: string; readonly params?: readonly unknown[] }

/**
 * Serves a chain of one empty block on a free port of the loopback interface, for anvil to fork from.
 *
 * Why: a chain of its own makes anvil hash its whole state again for every block, three quarters of the time that a
 * history takes to replay; a fork does not. The price is a state root of zero in the headers. Block hashes still commit
 * to every transaction, receipt and log.
 */
export function serveGenesis(): Promise<{ readonly url: string; close(): void }> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const reply = ({ id, method, params }: Request) => ({ jsonrpc: '2.0', id, result: answer(method, params ?? []) })
      let body: unknown
      try {
        const asked = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Request | Request[]
        body = Array.isArray(asked) ? asked.map(reply) : reply(asked)
      } catch {
        body = { jsonrpc: '2.0', id: null, error: { code: -32_700, message: 'not JSON' } }
      }
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(body))
    })
  })
  server.unref()
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      resolve({
        url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        close: () => {
          server.close()
          server.closeAllConnections()
        },
      })
    })
  })
}
