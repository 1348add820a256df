/** The real protocol behind its real Safe on a fresh anvil, without a history: what proposals need of a chain. */
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Abi, Hex, PublicClient, TransactionReceipt } from 'viem'
import { createPublicClient, encodeDeployData, encodeFunctionData, http, parseAbi, zeroAddress, zeroHash } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { freePort } from '../../core/ports.ts'
import { startAnvil } from '../../devnet/anvil.ts'
import type { Anvil } from '../../devnet/anvil.ts'
import { compileOwnContracts } from '../../devnet/artifacts.ts'
import { Signer, mineBlock } from '../../devnet/chain.ts'
import type { RawBlock } from '../../devnet/chain.ts'
import { deploymentBlocks, planDeployment, safeTransaction } from '../../devnet/deploy.ts'
import { DEVNET_CHAIN_ID, devnetAccounts } from '../../devnet/keys.ts'
import type { RpcClient } from '../../devnet/rpc.ts'
import type { Deployment } from '../../protocols/adapter.ts'
import { catalog } from '../../protocols/curie/parameters.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import { receiptOf } from '../../proposals/receipt.ts'
import { TIMELOCK_ABI } from '../../proposals/paths.ts'
import { SAFE_ABI, lower } from '../../proposals/safe.ts'

export type TestChain = {
  readonly url: string
  readonly client: PublicClient
  readonly rpc: RpcClient
  readonly deployment: Deployment
  readonly stateDir: string
  stop(): Promise<void>
}

/** Takes about 6 s. Every transaction then gets a block of its own, 2 s after the one before. */
export async function startTestChain(): Promise<TestChain> {
  const stateDir = await mkdtemp(join(tmpdir(), 'bulwark-proposals-'))
  const plan = await planDeployment(await compileOwnContracts(join(import.meta.dirname, '../../.bulwark/cache')))
  const anvil = await deployed(stateDir, await deploymentBlocks(plan, new Signer()))
  await anvil.rpc.call('anvil_setBlockTimestampInterval', [2])
  await anvil.rpc.call('evm_setAutomine', [true])
  const stop = async (): Promise<void> => {
    await anvil.stop()
    await rm(stateDir, { recursive: true, force: true })
  }
  const client = createPublicClient({ transport: http(anvil.url, { batch: { wait: 2 } }), cacheTime: 0 })
  return { url: anvil.url, client, rpc: anvil.rpc, deployment: plan.deployment, stateDir, stop }
}

/**
 * A chain with these blocks. On a machine that is short of time, anvil now and then leaves a sender's transactions out of a block
 * for good, and says nothing: such a chain is thrown away.
 */
async function deployed(stateDir: string, blocks: readonly RawBlock[], attempts = 5): Promise<Anvil> {
  const anvil = await startAnvil({ port: await freePort(), stateDir })
  for (const block of blocks) {
    await mineBlock(anvil.rpc, block)
    const taken = Number(await anvil.rpc.call('eth_getBlockTransactionCountByNumber', ['latest']))
    if (taken === block.transactions.length) continue
    await anvil.stop()
    if (attempts === 1) throw new Error(`anvil took ${taken} of ${block.transactions.length} transactions into a block`)
    return deployed(stateDir, blocks, attempts - 1)
  }
  return anvil
}

/** Throws where a transaction is not mined within a minute. */
export async function minedReceipt(client: PublicClient, hash: Hex): Promise<TransactionReceipt> {
  const receipt = await receiptOf(client, hash, { timeoutMs: 60_000, everyMs: 10 })
  if (receipt === null) throw new Error(`Found transaction ${hash} not mined after 60 s`)
  return receipt
}

/** Sends from an account that the chain unlocks, and answers once it is mined: anvil names a transaction before its block. */
export async function mined({ rpc, client }: Pick<TestChain, 'rpc' | 'client'>, transaction: { readonly from: Hex; readonly to?: Hex; readonly data: Hex; readonly gas?: Hex }): Promise<TransactionReceipt> {
  return minedReceipt(client, await rpc.call<Hex>('eth_sendTransaction', [{ gas: '0x400000', gasPrice: '0x0', ...transaction }]))
}

export const owners = devnetAccounts('safeOwner', DEVNET_CHAIN_ID)
export const executor = privateKeyToAccount(devnetAccounts('spare', DEVNET_CHAIN_ID)[0]!.privateKey)

/** Stands in for the mirror: one checkpoint at the chain's head, and every parameter as the chain has it. */
export async function mirrorChain(prisma: PrismaClient, chain: TestChain): Promise<void> {
  const head = await chain.client.getBlock()
  const known = new Map((await prisma.parameter.findMany()).map((row) => [row.id, row.value.toFixed(0)]))
  const rows = await Promise.all(
    catalog.refs(chain.deployment).map(async (ref) => {
      const read = catalog.encodeRead(chain.deployment, ref)
      const { data } = await chain.client.call({ to: read.to, data: read.data })
      return {
        id: `${ref.name}:${ref.subject}`,
        protocolId: chain.deployment.contracts.clearingHouse.toLowerCase(),
        name: ref.name,
        scope: catalog.find(ref.name).scope,
        subject: ref.subject.toLowerCase(),
        contract: read.to,
        value: catalog.decodeRead(ref, data as Hex).toString(),
        source: 'CALL' as const,
        changeCount: 0,
        updatedAtBlock: head.number,
        updatedAtTimestamp: head.timestamp,
      }
    }),
  )
  const changed = rows.filter((row) => known.get(row.id) !== row.value)
  await prisma.parameter.deleteMany({ where: { id: { in: changed.map((row) => row.id) } } })
  await prisma.parameter.createMany({ data: changed })
  await prisma.checkpoint.createMany({ data: [{ blockNumber: head.number, blockHash: head.hash, blockTimestamp: head.timestamp, rowCount: 0 }], skipDuplicates: true })
}

/**
 * Puts an OpenZeppelin TimelockController between the Safe and the protocol, as its owners would: the Safe hands the contracts
 * over, and the timelock takes them by its first operation. Returns the deployment that records it. Uses two of the Safe's nonces.
 */
export async function handToTimelock(chain: TestChain, minDelaySec: number, anyoneExecutes = true): Promise<Deployment> {
  const { deployment, rpc, client } = chain
  const safe = deployment.safe!
  const artifact = load('openzeppelin-contracts-v5/build/contracts/TimelockController.json')
  const send = async (transaction: { to?: Hex; data: Hex; from?: Hex }): Promise<TransactionReceipt> => {
    const receipt = await mined(chain, { from: executor.address, gas: '0x1000000', ...transaction })
    if (receipt.status !== 'success') throw new Error(`a transaction of the handover reverted: ${receipt.transactionHash}`)
    return receipt
  }
  const executors = [anyoneExecutes ? zeroAddress : safe.address]
  const { contractAddress: timelock } = await send({ data: encodeDeployData({ abi: artifact.abi, bytecode: artifact.bytecode, args: [BigInt(minDelaySec), [safe.address], executors, zeroAddress] }) })
  const { quoteToken: _, proxyAdmin: __, ...contracts } = deployment.contracts
  const owned = [...Object.values(contracts), ...deployment.markets.map((market) => market.baseToken)]
  const abi = parseAbi(['function setOwner(address newOwner)', 'function updateOwner()'])
  const bySafe = async (calls: readonly { to: Hex; data: Hex }[]): Promise<void> => {
    const nonce = await client.readContract({ address: safe.address, abi: SAFE_ABI, functionName: 'nonce' })
    const { data } = await safeTransaction(safe, Number(nonce), calls, 0n)
    await send({ from: owners[0]!.address, to: safe.address, data })
  }
  await bySafe(owned.map((to) => ({ to, data: encodeFunctionData({ abi, functionName: 'setOwner', args: [timelock!] }) })))
  const operation = [owned, owned.map(() => 0n), owned.map(() => encodeFunctionData({ abi, functionName: 'updateOwner' })), zeroHash, zeroHash] as const
  await bySafe([{ to: timelock!, data: encodeFunctionData({ abi: TIMELOCK_ABI, functionName: 'scheduleBatch', args: [...operation, BigInt(minDelaySec)] }) }])
  const { timestamp } = await client.getBlock()
  await rpc.call('evm_setNextBlockTimestamp', [Number(timestamp) + minDelaySec])
  const execute = { to: timelock!, data: encodeFunctionData({ abi: TIMELOCK_ABI, functionName: 'executeBatch', args: operation }) }
  if (anyoneExecutes) await send(execute)
  else await bySafe([execute])
  return { ...deployment, governance: { kind: 'TIMELOCK', address: lower(timelock!), minDelaySec } }
}

const load = (path: string): { abi: Abi; bytecode: Hex } => JSON.parse(readFileSync(new URL(`../../node_modules/${path}`, import.meta.url), 'utf8')) as { abi: Abi; bytecode: Hex }
