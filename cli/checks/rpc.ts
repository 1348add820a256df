/**
 * What an RPC must be able to do before graph-node is let loose on it for hours, each asked for once, and explained in a sentence.
 * The wordings of refusals are those of geth, op-geth, reth, erigon, Nethermind, Alchemy, Infura, QuickNode, dRPC and the public
 * Optimism endpoints; one that is not known is quoted.
 */
import type { Deployment } from '../../protocols/adapter.ts'
import { describe, Fault, postJson } from './http.ts'
import type { Finding } from './finding.ts'

export type RpcExamination = {
  readonly findings: readonly Finding[]
  /** Head of the chain; null where it could not be read. */
  readonly head: number | null
  /** Most blocks that it takes in one eth_getLogs, up to what graph-node may use. */
  readonly logBlocks: number
  /** Most calls that it takes in one request, up to what the API may use. */
  readonly batch: number
}

/** graph-node scans up to as many blocks at once where an RPC allows it; more makes single answers too large. */
const WANTED_LOG_BLOCKS = 10_000
const LOG_BLOCKS = [WANTED_LOG_BLOCKS, 5_000, 2_000, 1_000, 500, 100, 10, 5, 1] as const
/** Below this a first synchronisation takes days longer. */
const SLOW_LOG_BLOCKS = 1_000
const BATCHES = [100, 20, 10, 3, 1] as const
const LOGS_TIMEOUT_MS = 60_000
/** A head older than this is that of a node which is still synchronising, s. */
const STALE_HEAD_SEC = 600

const WORDS = {
  range: /range|more than [\d,]+ (results|blocks|logs)|too many (blocks|logs|results)|response size|[\d,]+ blocks/i,
  preBedrock: /pre-?bedrock|historical (rpc|backend)|l2geth|-32801/i,
  noState:
    /missing trie node|state (is )?(un|not )available|historical state|state.{0,40}(pruned|not available)|pruned|archive|old data not available|no state available|header not found|block.{0,20}(too old|not available|out of range)|distance to target block|unknown block|required historical/i,
  noBlockHash: /cannot unmarshal object|invalid argument|invalid params|expected.*string|blockHash/i,
  noMethod: /method.{0,60}(not|isn't).{0,20}(found|exist|support|available|allowed|whitelist|enabled)|unsupported method|not supported|unknown method/i,
}

/** `history`: graph-node is ours, and asks for the protocol's whole past; otherwise only present blocks are asked for. */
export async function examineRpc(options: { readonly url: string; readonly deployment: Deployment; readonly history: boolean; readonly nowSec: number }): Promise<RpcExamination> {
  const { url, deployment, history } = options
  const name = `RPC ${new URL(url).host}`
  const findings: Finding[] = []
  const add = (level: Finding['level'], sentence: string): void => void findings.push({ level, part: 'rpc', sentence })
  const done = (head: number | null, logBlocks = 0, batch = 1): RpcExamination => ({ findings, head, logBlocks, batch })

  const ask = async <T>(method: string, params: readonly unknown[] = [], timeoutMs?: number): Promise<T> => {
    const answer = (await postJson(url, { jsonrpc: '2.0', id: 1, method, params }, timeoutMs === undefined ? {} : { timeoutMs })) as { result?: T; error?: { code?: number; message?: string } } | null
    if (answer?.error !== undefined) throw new Fault('rpc', String(answer.error.message ?? '').slice(0, 200), answer.error.code ?? null)
    if (answer === null || typeof answer !== 'object' || answer.result === undefined) throw new Fault('not-rpc', JSON.stringify(answer).slice(0, 80))
    return answer.result
  }
  /** The fault of a call that must work; null where it worked. */
  const fault = async (call: Promise<unknown>): Promise<Fault | null> => {
    try {
      await call
      return null
    } catch (error) {
      if (error instanceof Fault) return error
      throw error
    }
  }

  // 1. Does it answer, and for which chain?
  let chainId: number
  try {
    chainId = Number(await ask<string>('eth_chainId'))
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    add('stop', `${name}: ${describe(error)}; needed is a JSON-RPC endpoint of ${deployment.network} (chain id ${deployment.chainId}); ${remedy(error)}`)
    return done(null)
  }
  if (chainId !== deployment.chainId) {
    add('stop', `${name}: found chain id ${chainId}${CHAINS[chainId] === undefined ? '' : ` (${CHAINS[chainId]})`}, ${deployment.network} has ${deployment.chainId}; give an RPC of ${deployment.network}, or another --network`)
    return done(null)
  }

  // 2. Where does it stand?
  type Header = { number: string; hash: string; timestamp: string }
  let latest: Header
  try {
    latest = await ask<Header>('eth_getBlockByNumber', ['latest', false])
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    add('stop', `${name}: its newest block cannot be read, ${describe(error)}; ${remedy(error)}`)
    return done(null)
  }
  const head = Number(latest.number)
  const ageSec = options.nowSec - Number(latest.timestamp)
  if (head < deployment.startBlock) {
    add('stop', `${name}: found its head at block ${head}, the protocol starts at ${deployment.startBlock}; wait until the node has synchronised, or give one that has`)
    return done(head)
  }
  if (deployment.network !== 'devnet' && ageSec > STALE_HEAD_SEC) {
    add('warn', `${name}: its newest block ${head} is ${describeAge(ageSec)} old, so the node is synchronising or its chain stands still; figures will be as old as that`)
  }

  // 3. Are the contracts there?
  const atHead = { blockHash: latest.hash }
  const codeFault = await fault(
    ask<string>('eth_getCode', [deployment.contracts.clearingHouse, 'latest']).then((code) => {
      if (code === '0x') throw new Fault('rpc', 'no code')
    }),
  )
  if (codeFault?.said === 'no code') {
    add('stop', `${name}: found no contract at ${deployment.contracts.clearingHouse} (ClearingHouse) on its chain ${chainId}, which is another chain with the same id; give an RPC of ${deployment.network}`)
    return done(head)
  }
  if (codeFault !== null) add('stop', `${name}: the protocol's code cannot be read, ${describe(codeFault)}; ${remedy(codeFault)}`)

  // 4. State by block hash (EIP-1898), now and at the start.
  const callAt = (block: unknown): Promise<unknown> => ask('eth_call', [{ to: deployment.contracts.clearingHouse, data: '0x' }, block])
  const nowFault = await fault(callAt(atHead))
  if (nowFault !== null && !isRevert(nowFault)) {
    if (nowFault.kind === 'rpc' && WORDS.noBlockHash.test(nowFault.said)) {
      add('stop', `${name}: it does not take a block by its hash (EIP-1898): "${nowFault.said}"; needed is geth 1.9.6 or later, or what is as new; give a newer node`)
    } else {
      add('stop', `${name}: a call at its newest block failed, ${describe(nowFault)}; ${remedy(nowFault)}`)
    }
  }
  if (history && nowFault?.kind !== 'rate-limited') await examineState()

  async function examineState(): Promise<void> {
    const { startBlock } = deployment
    const number = `0x${startBlock.toString(16)}`
    let first: Header | null
    try {
      first = await ask<Header | null>('eth_getBlockByNumber', [number, false])
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      add('stop', `${name}: block ${startBlock}, where the protocol starts, cannot be read, ${describe(error)}; ${remedy(error)}`)
      return
    }
    if (first === null) {
      add('stop', `${name}: it does not have block ${startBlock}, where the protocol starts; needed is a node with the whole history; give an archive node`)
      return
    }
    const at = { blockHash: first.hash }
    const lost = (await fault(ask('eth_getBalance', [deployment.contracts.clearingHouse, at]))) ?? (await fault(callAt(at)))
    if (lost === null || isRevert(lost)) return
    const text = `${lost.status ?? ''} ${lost.said}`
    if (WORDS.preBedrock.test(text)) {
      add('stop', `${name}: it has no state from before Bedrock (block 105,235,063): "${lost.said}"; the protocol starts at ${startBlock}; give an archive node that hands older calls to a legacy geth (--rollup.historicalrpc), or a provider's archive endpoint`)
    } else if (lost.kind === 'rate-limited' || (lost.kind !== 'rpc' && lost.kind !== 'unauthorized')) {
      add('stop', `${name}: the state of block ${startBlock} cannot be read, ${describe(lost)}; ${remedy(lost)}`)
    } else if (WORDS.noState.test(text) || lost.kind === 'unauthorized') {
      add('stop', `${name}: it keeps no archive state: at block ${startBlock} it said "${lost.said}"; graph-node reads what contracts were set up with at that block; give an archive node, or a provider's plan that includes archive data`)
    } else {
      add('stop', `${name}: the state of block ${startBlock} cannot be read: "${lost.said}"; needed is an archive node; give one`)
    }
  }

  // 5. Logs: how many blocks at once?
  let logBlocks = 0
  if (history && findings.every(({ level }) => level !== 'stop')) {
    const measured = await measureLogs()
    logBlocks = measured.blocks
    if (measured.blocks === 0) {
      add('stop', `${name}: eth_getLogs does not work even for one block, ${describe(measured.fault!, LOGS_TIMEOUT_MS)}; ${remedy(measured.fault!)}`)
    } else if (measured.blocks < WANTED_LOG_BLOCKS) {
      const requests = Math.ceil((head - deployment.startBlock) / measured.blocks)
      const sentence = `${name}: it gives the logs of at most ${format(measured.blocks)} blocks at once ("${measured.fault!.said}"); graph-node is set to that, which makes at least ${format(requests)} requests up to block ${format(head)}`
      add('warn', measured.blocks < SLOW_LOG_BLOCKS ? `${sentence}; a plan or a node with a wider range is many times faster` : sentence)
    }
  }

  async function measureLogs(): Promise<{ readonly blocks: number; readonly fault: Fault | null }> {
    const { contracts, startBlock } = deployment
    const address = [contracts.clearingHouse, contracts.vault, contracts.exchange, contracts.accountBalance, contracts.insuranceFund]
    let refusal: Fault | null = null
    let blocks: number = WANTED_LOG_BLOCKS
    // No range may reach beyond the head: that is refused for another reason.
    const most = head - startBlock + 1
    for (;;) {
      const to = startBlock + Math.min(blocks, most) - 1
      const found = await fault(ask('eth_getLogs', [{ address, fromBlock: `0x${startBlock.toString(16)}`, toBlock: `0x${to.toString(16)}` }], LOGS_TIMEOUT_MS))
      if (found === null) return { blocks, fault: refusal }
      refusal = found
      if (found.kind === 'rate-limited' || found.kind === 'unreachable') return { blocks: 0, fault: found }
      const hint = limitIn(found.said)
      const lower = LOG_BLOCKS.find((one) => one < Math.min(blocks, most))
      if (hint !== null && hint < Math.min(blocks, most)) blocks = hint
      else if (lower !== undefined) blocks = lower
      else return { blocks: 0, fault: found }
    }
  }

  // 6. What only costs speed.
  let batch = 1
  if (findings.every(({ level }) => level !== 'stop')) {
    for (const size of BATCHES) {
      batch = size
      if (size === 1 || (await takesBatch(url, size))) break
    }
    if (batch < BATCHES[0]) add('warn', `${name}: it takes ${batch === 1 ? 'no batches' : `batches of ${batch} calls`} where ${BATCHES[0]} are asked for; calls are split accordingly, which makes margins slower`)
    const receipts = history ? await fault(ask('eth_getBlockReceipts', [latest.hash])) : null
    if (receipts !== null && (WORDS.noMethod.test(receipts.said) || receipts.status === -32601)) {
      add('warn', `${name}: it has no eth_getBlockReceipts (geth 1.13, erigon 2.41 or later have it); graph-node asks for receipts one by one instead, which is slower`)
    }
    const version = history ? await fault(ask('net_version')) : null
    if (version !== null) add('stop', `${name}: it refuses net_version, by which graph-node knows a chain, ${describe(version)}; enable the net namespace or give another RPC`)
  }
  if (findings.every(({ level }) => level !== 'stop')) {
    add('good', `${name}: chain id ${chainId}, head ${format(head)}${history ? `, archive state from block ${format(deployment.startBlock)}, logs of ${format(logBlocks)} blocks at once` : ''}`)
  }
  return done(head, logBlocks, batch)
}

async function takesBatch(url: string, size: number): Promise<boolean> {
  try {
    const calls = Array.from({ length: size }, (_, id) => ({ jsonrpc: '2.0', id, method: 'eth_chainId', params: [] }))
    const answers = await postJson(url, calls)
    return Array.isArray(answers) && answers.length === size && answers.every((answer: { error?: unknown }) => answer.error === undefined)
  } catch (error) {
    if (error instanceof Fault) return false
    throw error
  }
}

/** The state was there: the contract itself refused. */
const isRevert = (fault: Fault): boolean => fault.kind === 'rpc' && (fault.status === 3 || /revert|invalid opcode|out of gas/i.test(fault.said))

/** Blocks that a refusal of eth_getLogs says it would take; null where it names none. */
export function limitIn(said: string): number | null {
  const suggested = /\[(0x[0-9a-f]+), ?(0x[0-9a-f]+)\]/i.exec(said)
  if (suggested !== null) return positive(Number(suggested[2]) - Number(suggested[1]) + 1)
  if (!WORDS.range.test(said)) return null
  // "range 20000 exceeds limit of 10000", "limited to a 10,000 range", "up to a 500 block range", "maximum block range: 5000", "over 10000 blocks".
  const named = /(?:limit(?:ed)?(?: of| to| is|:)?(?: a| an| 0 -)?|up to(?: a)?|max(?:imum)?[a-z ]*(?: is| of|:)?|more than|over|exceeds?(?: the)?(?: range)?(?: of)?)\s*([\d,]*\d)/i.exec(said)
  // Ten thousand results is a limit on answers, not on blocks.
  return named === null || /results/i.test(said) ? null : positive(Number(named[1]!.replaceAll(',', '')))
}

const positive = (value: number): number | null => (Number.isInteger(value) && value > 0 ? value : null)

const CHAINS: Readonly<Record<number, string>> = { 1: 'Ethereum', 10: 'Optimism', 56: 'BNB Chain', 100: 'Gnosis', 137: 'Polygon', 8453: 'Base', 42161: 'Arbitrum', 11155111: 'Sepolia', 11155420: 'Optimism Sepolia', 31337: 'a local devnet' }

function remedy({ kind, said }: Fault): string {
  switch (kind) {
    case 'unauthorized':
      return 'check the key in RPC_URL, and that the plan includes this network'
    case 'rate-limited':
      return 'wait, or take a plan that allows more requests: graph-node alone makes dozens a second'
    case 'html':
    case 'not-json':
    case 'not-rpc':
    case 'not-found':
      return "RPC_URL must be the endpoint that takes JSON-RPC by POST, not a provider's web page; copy it from the provider again"
    case 'tls':
      return 'check the address, or the certificates of this machine (NODE_EXTRA_CA_CERTS)'
    case 'rpc':
      return WORDS.noMethod.test(said) ? 'enable the eth namespace or give another RPC' : 'see what the provider says of it, or give another RPC'
    default:
      return 'check RPC_URL, and that the node runs'
  }
}

const format = (value: number): string => value.toLocaleString('en-US')
const describeAge = (sec: number): string => (sec < 7200 ? `${Math.round(sec / 60)} min` : sec < 172_800 ? `${Math.round(sec / 3600)} h` : `${Math.round(sec / 86_400)} days`)
