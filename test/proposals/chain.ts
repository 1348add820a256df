/** The real protocol behind its real Safe on a fresh anvil, without a history: what proposals need of a chain. */
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Hex, PublicClient } from 'viem'
import { createPublicClient, http } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { startAnvil } from '../../devnet/anvil.ts'
import { compileOwnContracts } from '../../devnet/artifacts.ts'
import { Signer, mineBlock } from '../../devnet/chain.ts'
import { deploymentBlocks, planDeployment } from '../../devnet/deploy.ts'
import { DEVNET_CHAIN_ID, devnetAccounts } from '../../devnet/keys.ts'
import type { RpcClient } from '../../devnet/rpc.ts'
import type { Deployment } from '../../protocols/adapter.ts'
import { catalog } from '../../protocols/curie/parameters.ts'
import type { PrismaClient } from '../../prisma/client.ts'

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
  const anvil = await startAnvil({ port: await freePort(), stateDir })
  const plan = await planDeployment(await compileOwnContracts(join(import.meta.dirname, '../../.bulwark/cache')))
  for (const block of await deploymentBlocks(plan, new Signer())) await mineBlock(anvil.rpc, block)
  await anvil.rpc.call('anvil_setBlockTimestampInterval', [2])
  await anvil.rpc.call('evm_setAutomine', [true])
  const stop = async (): Promise<void> => {
    await anvil.stop()
    await rm(stateDir, { recursive: true, force: true })
  }
  const client = createPublicClient({ transport: http(anvil.url, { batch: { wait: 2 } }), cacheTime: 0 })
  return { url: anvil.url, client, rpc: anvil.rpc, deployment: plan.deployment, stateDir, stop }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
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
