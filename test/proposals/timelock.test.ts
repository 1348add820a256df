import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { numberToHex } from 'viem'
import { createLogger } from '../../core/log.ts'
import { createPrisma } from '../../prisma/client.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import { build, createProposals, loadPolicy, signWithKey } from '../../proposals/index.ts'
import type { ProposalRecord, Proposals } from '../../proposals/index.ts'
import { GUARD_ADDRESS } from '../../proposals/guard.ts'
import { executeQueuedCall } from '../../proposals/paths.ts'
import { readParameter } from '../../proposals/simulate.ts'
import { catalog } from '../../protocols/curie/parameters.ts'
import type { Deployment } from '../../protocols/adapter.ts'
import { startTestPostgres } from '../support/postgres.ts'
import type { TestPostgres } from '../support/postgres.ts'
import { executor, handToTimelock, mined, mirrorChain, owners, startTestChain } from './chain.ts'
import type { TestChain } from './chain.ts'

const DELAY = 86_400
let chain: TestChain
let deployment: Deployment
let postgres: TestPostgres
let prisma: PrismaClient
let proposals: Proposals
let snapshot: string

beforeAll(async () => {
  ;[chain, postgres] = await Promise.all([startTestChain(), startTestPostgres()])
  deployment = await handToTimelock(chain, DELAY)
  prisma = createPrisma(await postgres.freshDatabase())
  const policy = await loadPolicy({ catalog, deployment }, null)
  proposals = createProposals({ prisma, catalog, policy, deployment, rpcUrl: chain.url, stateDir: chain.stateDir, log: createLogger('test', 'silent') })
})
afterAll(async () => {
  await prisma?.$disconnect()
  await postgres?.stop()
  await chain?.stop()
})
beforeEach(async () => {
  if (snapshot !== undefined) await chain.rpc.call('evm_revert', [snapshot])
  snapshot = (await chain.rpc.call('evm_snapshot')) as string
  await prisma.$executeRaw`TRUNCATE "Proposal", "ProposalSignature", "ProposalEvent", "Parameter", "Checkpoint"`
  await mirrorChain(prisma, chain)
})

const market = () => deployment.markets[0]!
const band = () => readParameter({ catalog, deployment }, chain.client, { parameter: 'marketMaxPriceSpreadRatio', subject: market().baseToken })
const states = (proposal: ProposalRecord) => proposal.events.map((event) => event.toState)

async function sign(proposal: ProposalRecord, kind: 'CHANGE' | 'CANCELLATION' = 'CHANGE'): Promise<ProposalRecord> {
  let record = proposal
  const safeTx = kind === 'CHANGE' ? proposal.safeTx : proposal.cancellation!.safeTx
  for (const owner of [owners[0]!, owners[1]!]) {
    const { signer, signature } = await signWithKey(owner.privateKey, { chainId: deployment.chainId, safe: deployment.safe!.address }, safeTx)
    record = await proposals.addSignature(proposal.id, signer, signature, kind)
  }
  return record
}

async function queued(): Promise<ProposalRecord> {
  const { id } = await proposals.draft({ title: 'Tighten the band', changes: [{ parameter: 'marketMaxPriceSpreadRatio', subject: market().symbol, to: 90_000n }] })
  // Other tools are given what the Safe calls, not what the timelock will.
  expect((await proposals.exportBatch(id)).transactions.map((call) => call.to)).toEqual([GUARD_ADDRESS, (deployment.governance as { address: string }).address])
  const simulated = await proposals.simulate(id)
  expect(simulated).toMatchObject({ state: 'SIMULATED', simulation: { success: true, rollback: { success: true }, stages: [{ what: 'execTransaction', success: true }, { what: 'execute', success: true }] } })
  await sign(await proposals.requestSignatures(id))
  const record = await proposals.execute(id, executor)
  expect(record.state).toBe('QUEUED')
  expect(await band()).toBe(100_000n)
  return record
}
async function pass(seconds: number): Promise<void> {
  const { timestamp } = await chain.client.getBlock()
  await chain.rpc.call('evm_setNextBlockTimestamp', [Number(timestamp) + seconds])
  await chain.rpc.call('evm_mine')
  await mirrorChain(prisma, chain)
}

describe('a proposal through a timelock', () => {
  test('behavior: from draft to APPLIED: queued by the Safe, executed by anybody after the delay, seen by the index', async () => {
    const { id } = await queued()
    // On a fork it would fail, since the timelock has it already.
    await expect(proposals.simulate(id)).rejects.toMatchObject({ code: 'WRONG_STATE' })
    expect((await proposals.get(id)).state).toBe('QUEUED')
    await expect(proposals.executeQueued(id, executor)).rejects.toThrow(/^Found the operation WAITING in the timelock, for \d+ s more, allowed is READY; wait$/)
    await mirrorChain(prisma, chain)
    expect(await proposals.track()).toEqual([])
    await pass(DELAY)
    const executed = await proposals.executeQueued(id, executor)
    expect(executed.state).toBe('EXECUTED')
    expect(await band()).toBe(90_000n)
    await mirrorChain(prisma, chain)
    expect(await proposals.track()).toMatchObject([{ id, from: 'EXECUTED', to: 'APPLIED' }])
    expect(states(await proposals.get(id))).toEqual(['DRAFT', 'SIMULATED', 'AWAITING_SIGNATURES', 'AWAITING_SIGNATURES', 'READY', 'QUEUED', 'EXECUTED', 'APPLIED'])
  })

  test('behavior: one that others executed at the timelock is found by its log', async () => {
    const { id, calls } = await queued()
    await pass(DELAY)
    const record = await proposals.get(id)
    const built = build({ catalog, deployment }, { changes: record.changes, validUntilSec: record.validUntil, nonce: record.safeTx.nonce })
    expect(built.calls).toEqual(calls)
    const { to, data } = executeQueuedCall(built.queued!)
    await mined(chain, { from: owners[2]!.address, to, data })
    expect(await proposals.track()).toMatchObject([{ id, from: 'QUEUED', to: 'EXECUTED' }])
    await mirrorChain(prisma, chain)
    expect(await proposals.track()).toMatchObject([{ id, from: 'EXECUTED', to: 'APPLIED' }])
  })

  test('behavior: the owners take it out again; it is CANCELLED once the timelock has forgotten it', async () => {
    const { id } = await queued()
    await mirrorChain(prisma, chain)
    const cancelling = await proposals.cancel(id)
    expect(cancelling.state).toBe('CANCELLING')
    await sign(cancelling, 'CANCELLATION')
    const cancelled = await proposals.executeCancellation(id, executor)
    expect(cancelled.state).toBe('CANCELLED')
    await pass(DELAY)
    await expect(proposals.executeQueued(id, executor)).rejects.toMatchObject({ code: 'WRONG_STATE' })
    expect(await band()).toBe(100_000n)
  })

  test('behavior: where another transaction takes the nonce of what takes it out, it is cancelled once more, and signed anew', async () => {
    const { id } = await queued()
    await mirrorChain(prisma, chain)
    const first = await proposals.cancel(id)
    await expect(proposals.cancel(id)).rejects.toMatchObject({ code: 'WRONG_STATE' })
    await sign(first, 'CANCELLATION')
    const nonce = first.cancellation!.safeTx.nonce
    await chain.rpc.call('anvil_setStorageAt', [deployment.safe!.address, numberToHex(5n, { size: 32 }), numberToHex(nonce + 1n, { size: 32 })])
    await expect(proposals.executeCancellation(id, executor)).rejects.toMatchObject({ code: 'STALE_PROPOSAL' })
    const second = await proposals.cancel(id)
    expect(second).toMatchObject({ state: 'CANCELLING', cancellation: { kind: 'TIMELOCK', safeTx: { nonce: nonce + 1n }, signatures: [] } })
    await sign(second, 'CANCELLATION')
    expect((await proposals.executeCancellation(id, executor)).state).toBe('CANCELLED')
  })

  test('error: a time for signers that is shorter than the delay is refused when it is drafted', async () => {
    await expect(proposals.draft({ title: 'Too short', changes: [{ parameter: 'marketMaxPriceSpreadRatio', subject: market().symbol, to: 90_000n }], validForSec: DELAY })).rejects.toThrow(`Found validForSec ${DELAY}, the timelock alone takes ${DELAY} s; choose a longer time`)
  })
})
