import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { numberToHex } from 'viem'
import { createLogger } from '../../core/log.ts'
import { KEPT_STATES } from '../../devnet/anvil.ts'
import type { Hex } from '../../protocols/adapter.ts'
import { createPrisma } from '../../prisma/client.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import { createProposals, createTransactionService, hashesOf, loadPolicy, signWithKey } from '../../proposals/index.ts'
import type { DaoPolicy, Intent, ProposalRecord, Proposals } from '../../proposals/index.ts'
import { GUARD_ADDRESS } from '../../proposals/guard.ts'
import { parseReview, serializeReview } from '../../proposals/review.ts'
import { SAFE_ABI, encodeExecution, lower } from '../../proposals/safe.ts'
import { joinSignatures } from '../../proposals/sign.ts'
import { readParameter } from '../../proposals/simulate.ts'
import { catalog } from '../../protocols/curie/parameters.ts'
import { startTestPostgres } from '../support/postgres.ts'
import type { TestPostgres } from '../support/postgres.ts'
import { startServiceDouble } from './service-double.ts'
import { executor, mined, mirrorChain, owners, startTestChain } from './chain.ts'
import type { TestChain } from './chain.ts'

// Each test takes about a second on an idle machine; two busy cores take longer.
let chain: TestChain
let postgres: TestPostgres
let prisma: PrismaClient
let proposals: Proposals
let snapshot: string
let policy: DaoPolicy

beforeAll(async () => {
  ;[chain, postgres] = await Promise.all([startTestChain(), startTestPostgres()])
  prisma = createPrisma(await postgres.freshDatabase())
  policy = await loadPolicy({ catalog, deployment: chain.deployment }, null)
  proposals = createProposals({ prisma, catalog, policy, deployment: chain.deployment, rpcUrl: chain.url, stateDir: chain.stateDir, log: createLogger('test', 'silent') })
})

afterAll(async () => {
  await prisma?.$disconnect()
  await postgres?.stop()
  await chain?.stop()
})

beforeEach(async () => {
  if (snapshot !== undefined) await chain.rpc.call('evm_revert', [snapshot])
  snapshot = (await chain.rpc.call('evm_snapshot')) as string
  await prisma.$executeRaw`TRUNCATE "Proposal", "ProposalSignature", "ProposalEvent", "Parameter", "Checkpoint", "Recommendation", "RecommendationRun"`
  await mirrorChain(prisma, chain)
})

const market = () => chain.deployment.markets[0]!
const band = (toE6: bigint, symbol = market().symbol) => ({ parameter: 'marketMaxPriceSpreadRatio', subject: symbol, to: toE6 })
const onChain = (parameter: string, subject = market().baseToken) => readParameter({ catalog, deployment: chain.deployment }, chain.client, { parameter, subject })
/** Sent by somebody outside of here, and mined. */
const sent = async (to: Hex, data: Hex) => mined(chain, { from: executor.address, to, data })
const states = (proposal: ProposalRecord) => proposal.events.map((event) => event.toState)

async function signBy(proposal: ProposalRecord, ...indices: number[]): Promise<ProposalRecord> {
  let record = proposal
  for (const i of indices) {
    const { signer, signature } = await signWithKey(owners[i]!.privateKey, { chainId: chain.deployment.chainId, safe: chain.deployment.safe!.address }, proposal.safeTx)
    record = await proposals.addSignature(proposal.id, signer, signature)
  }
  return record
}

async function ready(changes: readonly Intent[] = [band(70_000n)]): Promise<ProposalRecord> {
  const { id } = await proposals.draft({ title: 'Tighten', changes })
  await proposals.simulate(id)
  return signBy(await proposals.requestSignatures(id), 0, 2)
}

describe('the way forward, on the real protocol and Safe', () => {
  test('behavior: a drafted price band reaches the chain and is APPLIED once the index shows it', async () => {
    const before = await onChain('marketMaxPriceSpreadRatio')
    const to = before === 70_000n ? 80_000n : 70_000n
    const drafted = await proposals.draft({ title: 'Tighten the band', changes: [band(to)] })
    expect(drafted).toMatchObject({ state: 'DRAFT', threshold: 2, changes: [{ parameter: 'marketMaxPriceSpreadRatio', subject: lower(market().baseToken), from: before, to }] })
    expect(drafted.calls.map((call) => call.to)).toEqual([GUARD_ADDRESS, lower(chain.deployment.contracts.marketRegistry)])
    expect(drafted.safeTx).toMatchObject({ operation: 1, to: lower(chain.deployment.safe!.multiSendCallOnly), gasPrice: 0n, baseGas: 0n, safeTxGas: 0n })

    const simulated = await proposals.simulate(drafted.id)
    expect(simulated.state).toBe('SIMULATED')
    expect(simulated.simulation).toMatchObject({ success: true, failure: null, parameters: [{ before: String(before), after: String(to) }] })
    expect(await onChain('marketMaxPriceSpreadRatio')).toBe(before)

    await proposals.requestSignatures(drafted.id)
    expect((await signBy(drafted, 1)).state).toBe('AWAITING_SIGNATURES')
    expect((await signBy(drafted, 0)).state).toBe('READY')
    const executed = await proposals.execute(drafted.id, executor)
    expect(executed.state).toBe('EXECUTED')
    expect(await onChain('marketMaxPriceSpreadRatio')).toBe(to)

    expect(await proposals.track()).toEqual([])
    await mirrorChain(prisma, chain)
    expect(await proposals.track()).toMatchObject([{ id: drafted.id, from: 'EXECUTED', to: 'APPLIED' }])
    expect(states(await proposals.get(drafted.id))).toEqual(['DRAFT', 'SIMULATED', 'AWAITING_SIGNATURES', 'AWAITING_SIGNATURES', 'READY', 'EXECUTED', 'APPLIED'])
  })

  test('behavior: several changes go as one MultiSendCallOnly batch, and the Safe itself gives the same hash', async () => {
    const proposal = await ready([band(70_000n), { parameter: 'maxTickCrossedWithinBlock', subject: market().symbol, to: 521n }, { parameter: 'liquidationPenaltyRatio', to: 31_000n }])
    const tx = proposal.safeTx
    expect(tx).toMatchObject({ operation: 1, to: lower(chain.deployment.safe!.multiSendCallOnly) })
    const hash = await chain.client.readContract({
      address: chain.deployment.safe!.address,
      abi: SAFE_ABI,
      functionName: 'getTransactionHash',
      args: [tx.to, tx.value, tx.data, tx.operation, tx.safeTxGas, tx.baseGas, tx.gasPrice, tx.gasToken, tx.refundReceiver, tx.nonce],
    })
    expect(hash).toBe(proposal.safeTxHash)
    expect(proposal.simulation!.results.map((result) => result.success)).toEqual([true, true, true, true])
    await proposals.execute(proposal.id, executor)
    expect([await onChain('marketMaxPriceSpreadRatio'), await onChain('maxTickCrossedWithinBlock'), await onChain('liquidationPenaltyRatio', chain.deployment.contracts.clearingHouse)]).toEqual([70_000n, 521n, 31_000n])
  })

  test('behavior: recommendations are drafted by id; advisory and unknown ones are refused together', async () => {
    const { timestamp } = await chain.client.getBlock()
    const at = { blockNumber: 1n, blockHash: '0x', blockTimestamp: timestamp, inputsDigest: '', codeVersion: '', inputs: {} }
    await prisma.recommendationRun.create({ data: { id: 'run', ...at } })
    const row = (id: string, parameter: string, subject: string, recommended: number, advisory: string | null) => ({
      id, runId: 'run', parameter, scope: 'MARKET', subject, subjectLabel: 'x', current: 0, recommended, modelValue: 0, direction: 'TIGHTEN', urgency: 1, confidence: 1, reason: '',
      evidence: [], adjustments: [], model: '', modelVersion: '', inputsDigest: '', inputs: {}, settable: advisory === null, advisory,
    })
    await prisma.recommendation.createMany({ data: [row('a', 'marketMaxPriceSpreadRatio', lower(market().baseToken), 65_432, null), row('b', 'imRatio', lower(chain.deployment.contracts.clearingHouse), 1, 'advisory: needs an upgrade')] })
    const drafted = await proposals.draft({ title: 'From a recommendation', recommendationIds: ['a'], changes: [{ parameter: 'liquidationPenaltyRatio', to: 31_000n }] })
    expect(drafted).toMatchObject({ recommendationIds: ['a'], changes: [{ parameter: 'marketMaxPriceSpreadRatio', to: 65_432n }, { parameter: 'liquidationPenaltyRatio', to: 31_000n }] })
    await expect(proposals.draft({ title: 'Both', recommendationIds: ['b', 'c'] })).rejects.toThrow(/^Found 2 faults in the draft: \(1\) Found recommendation b for imRatio .+ \(2\) Found no recommendation c, /)
    await expect(proposals.draft({ title: ' ', recommendationIds: ['a'] })).rejects.toThrow(/^Found a title of 0 characters, allowed are 1 to 200; /)
    await expect(proposals.draft({ title: 'Long', recommendationIds: ['a'], validForSec: 1.5 })).rejects.toThrow(/^Found validForSec 1.5, allowed are whole seconds from 60 to 7776000; /)
    await expect(proposals.get('nope')).rejects.toThrow('There is no proposal nope; list the proposals to see their ids')
    const file = await proposals.exportBatch(drafted.id)
    expect(file.transactions).toHaveLength(3)
    expect(file.meta.description).toContain(drafted.safeTxHash)
  })

  test('behavior: of a file of desired values only what differs is drafted, by its own title; a check finds the same and writes nothing', async () => {
    const [present, penalty] = [await onChain('marketMaxPriceSpreadRatio'), await onChain('liquidationPenaltyRatio', lower(chain.deployment.contracts.clearingHouse))]
    const desired = (band: bigint) => `title: What we want\nvalidFor: 2 d\nprotocol: { liquidationPenaltyRatio: raw ${penalty} }\nmarkets: { ${market().symbol}: { marketMaxPriceSpreadRatio: raw ${band} } }\n`
    const checked = await proposals.check({ desired: desired(70_000n) })
    expect(checked).toMatchObject({ changes: [{ parameter: 'marketMaxPriceSpreadRatio', from: present, to: 70_000n }] })
    expect(await proposals.check({ desired: desired(present) })).toEqual({ changes: [], findings: [{ rule: 'draft', severity: 'BLOCK', parameter: null, subject: null, text: expect.stringContaining('Found every desired value in force already') }] })
    // The policy ends at 20 %.
    expect((await proposals.check({ desired: desired(700_000n) })).findings).toContainEqual(expect.objectContaining({ rule: 'policy-bounds', severity: 'BLOCK' }))
    expect(await proposals.list()).toEqual([])
    const drafted = await proposals.draft({ desired: desired(70_000n), by: '0xsteward' })
    expect(drafted).toMatchObject({ title: 'What we want', changes: checked.changes, findings: checked.findings, draftedBy: '0xsteward', validUntil: drafted.draftedAt.timestamp + 172_800n })
    expect((await proposals.check({ title: 'Again', changes: [band(71_000n)] })).findings).toEqual([expect.objectContaining({ rule: 'draft', text: expect.stringContaining(`in open proposal ${drafted.id} already`) })])
  })

  test('behavior: a batch file that was exported is drafted again as the same changes, at the present values; what cannot be undone wants its name', async () => {
    const drafted = await proposals.draft({ title: 'There and back', changes: [band(70_000n), { parameter: 'liquidationPenaltyRatio', to: 31_000n }] })
    const file = JSON.stringify(await proposals.exportBatch(drafted.id))
    await proposals.cancel(drafted.id)
    const again = await proposals.importBatch({ file, by: null })
    expect(again).toMatchObject({ title: 'There and back', changes: drafted.changes, nonce: drafted.nonce })
    const { to, data } = catalog.encodeChange(chain.deployment, { name: 'marketStatus', subject: market().baseToken }, 1n)
    const pause = JSON.stringify({ version: '1.0', chainId: '31337', meta: {}, transactions: [{ to, value: '0', data }] })
    await expect(proposals.importBatch({ file: pause })).rejects.toThrow(`type "marketStatus of ${market().symbol}" to confirm it`)
  })

  test("behavior: an account's threshold that no event has announced is drafted from the contract's own answer", async () => {
    const subject = lower(owners[0]!.address)
    expect(await prisma.parameter.count({ where: { name: 'whitelistedDebtThreshold' } })).toBe(0)
    // An account without a threshold of its own has the general one (CollateralManager.getDebtThresholdByTrader).
    const general = await onChain('debtThreshold', chain.deployment.contracts.clearingHouse)
    const { id, changes } = await proposals.draft({ title: 'Its own threshold', changes: [{ parameter: 'whitelistedDebtThreshold', subject, to: general + 1n }] })
    expect(changes).toMatchObject([{ subject, from: general, to: general + 1n }])
    expect(await proposals.simulate(id)).toMatchObject({ state: 'SIMULATED', simulation: { parameters: [{ before: String(general), after: String(general + 1n) }] } })
  })

  test("behavior: an account's threshold that the index has as 0 is drafted from what the contract takes, too", async () => {
    const subject = lower(owners[0]!.address)
    await prisma.parameter.create({ data: { id: 'account-threshold', protocolId: lower(chain.deployment.contracts.clearingHouse), name: 'whitelistedDebtThreshold', scope: 'ACCOUNT', subject, contract: lower(chain.deployment.contracts.collateralManager), value: '0', source: 'EVENT', changeCount: 2, updatedAtBlock: 1n, updatedAtTimestamp: 1n } })
    const general = await onChain('debtThreshold', chain.deployment.contracts.clearingHouse)
    const { id, changes } = await proposals.draft({ title: 'Its own threshold again', changes: [{ parameter: 'whitelistedDebtThreshold', subject, to: general + 1n }] })
    expect(changes).toMatchObject([{ subject, from: general, to: general + 1n }])
    expect(await proposals.simulate(id)).toMatchObject({ state: 'SIMULATED' })
    // What the index has is no drift.
    await proposals.requestSignatures(id)
    await proposals.track()
    expect((await proposals.get(id)).state).toBe('AWAITING_SIGNATURES')
  })

  describe('while the index moves on', () => {
    /** A block comes before each of the first `times` transactions. */
    const moving = (times: number): Proposals => {
      let left = times
      const step = async (work: never, options: never): Promise<unknown> => {
        if (left-- > 0) {
          await chain.rpc.call('anvil_mine', ['0x1'])
          await mirrorChain(prisma, chain)
        }
        return prisma.$transaction(work, options)
      }
      const stepping = new Proxy(prisma, { get: (of, key) => (key === '$transaction' ? step : Reflect.get(of, key)) })
      return createProposals({ prisma: stepping, catalog, policy, deployment: chain.deployment, rpcUrl: chain.url, stateDir: chain.stateDir, log: createLogger('test', 'silent') })
    }
    const unannounced = () => ({ title: 'Its own threshold', changes: [{ parameter: 'whitelistedDebtThreshold', subject: lower(owners[0]!.address), to: 1n }] })

    test('behavior: the chain is asked again at the new block', async () => {
      expect((await moving(1).check(unannounced())).changes).toHaveLength(1)
      const { draftedAt } = await moving(2).draft(unannounced())
      expect(draftedAt.number).toBe((await chain.client.getBlock()).number)
    })

    test('error: an index that never stands still is said in one sentence, and nothing is drafted', async () => {
      await expect(moving(5).draft(unannounced())).rejects.toMatchObject({ code: 'UNAVAILABLE', message: 'index: it moved on 5 times before what the chain had answered could be used; try again' })
      expect(await prisma.proposal.count()).toBe(0)
    })
  })

  test("behavior: the collateral buffer's largest value is 100 % less the maintenance margin as indexed", async () => {
    const generous = createProposals({ prisma, catalog, policy: { ...policy, parameters: new Map([['mmRatioBuffer', { min: null, max: null, step: { relativeE6: null, absolute: null }, minDelaySec: 0, exempt: [] }]]), invariants: [] }, deployment: chain.deployment, rpcUrl: chain.url, stateDir: chain.stateDir, log: createLogger('test', 'silent') })
    const buffer = (to: bigint) => generous.draft({ title: 'Buffer', changes: [{ parameter: 'mmRatioBuffer', to }] })
    await expect(buffer(937_501n)).rejects.toThrow('Found 937501 for mmRatioBuffer, allowed is 0 to 937500 ')
    await prisma.parameter.updateMany({ where: { name: 'mmRatio' }, data: { value: 100_000 } })
    await expect(buffer(900_001n)).rejects.toThrow('Found 900001 for mmRatioBuffer, allowed is 0 to 900000 ')
    await prisma.parameter.updateMany({ where: { name: 'mmRatio' }, data: { value: 50_000 } })
    await expect(buffer(950_001n)).rejects.toThrow('Found 950001 for mmRatioBuffer, allowed is 0 to 950000 ')
    const { id } = await buffer(950_000n)
    // Derived again without the chain it stays what was drafted; the chain itself still has 6.25 % and refuses it.
    expect(await proposals.simulate(id)).toMatchObject({ state: 'DRAFT', stateReason: 'Call 2 (mmRatioBuffer of protocol) fails: reverted with "CM_ICMR"' })
  })

  test('behavior: proposals drafted after one another take one nonce each and are executed in that order', async () => {
    const first = await ready([band(70_000n)])
    const second = await ready([band(71_000n, chain.deployment.markets[1]!.symbol)])
    expect(second.nonce).toBe(first.nonce + 1)
    await expect(proposals.execute(second.id, executor)).rejects.toThrow('execute what is queued before it')
    await proposals.execute(first.id, executor)
    expect((await proposals.execute(second.id, executor)).state).toBe('EXECUTED')
  })
})

describe('execution', () => {
  test('behavior: waits for the block where blocks come by the clock', async () => {
    const proposal = await ready()
    await chain.rpc.call('evm_setAutomine', [false])
    await chain.rpc.call('evm_setIntervalMining', [1])
    try {
      const executed = await proposals.execute(proposal.id, executor)
      expect(executed).toMatchObject({ state: 'EXECUTED', executionTxHash: expect.stringMatching(/^0x[0-9a-f]{64}$/) })
      expect(await onChain('marketMaxPriceSpreadRatio')).toBe(70_000n)
    } finally {
      await chain.rpc.call('evm_setIntervalMining', [0])
      await chain.rpc.call('evm_setAutomine', [true])
    }
  })

  test("error: a refusal carries the contract's own reason and changes nothing", async () => {
    const proposal = await ready()
    // The second signature is damaged in the database alone: the Safe finds it (GS026), and says so.
    await prisma.proposalSignature.updateMany({ where: { signer: lower(owners[2]!.address) }, data: { signature: `0x${'11'.repeat(64)}1b` } })
    await expect(proposals.execute(proposal.id, executor)).rejects.toThrow(`Execution of proposal ${proposal.id} failed: reverted with "GS026"; check the signatures and whether the nonce has moved`)
    expect(await proposals.get(proposal.id)).toMatchObject({ state: 'READY', executionTxHash: null })
  })
})

describe('cancelling', () => {
  const rejectBy = async (id: string, ...indices: number[]): Promise<ProposalRecord> => {
    let record = await proposals.get(id)
    for (const i of indices) {
      const { signer, signature } = await signWithKey(owners[i]!.privateKey, { chainId: 31337, safe: chain.deployment.safe!.address }, record.cancellation!.safeTx)
      record = await proposals.addSignature(id, signer, signature, 'CANCELLATION')
    }
    return record
  }

  test('behavior: what nobody was asked to sign is WITHDRAWN, and its nonce is free', async () => {
    const { id, nonce } = await proposals.draft({ title: 'One', changes: [band(70_000n)] })
    expect(await proposals.cancel(id, 'steward')).toMatchObject({ state: 'WITHDRAWN', stateReason: 'Withdrawn by steward: nobody was asked to sign it' })
    expect(await proposals.draft({ title: 'Two', changes: [band(71_000n)] })).toMatchObject({ nonce })
  })

  test('behavior: with signatures out it is CANCELLING until the rejection at its nonce is executed, and then CANCELLED', async () => {
    const proposal = await ready()
    const cancelling = await proposals.cancel(proposal.id)
    expect(cancelling).toMatchObject({ state: 'CANCELLING', cancellation: { kind: 'REJECTION', safeTx: { to: proposal.safe, data: '0x', operation: 0, value: 0n, nonce: BigInt(proposal.nonce) } } })
    expect(cancelling.stateReason).toMatch(/until then the 2 signatures given stay valid$/)
    // It still holds its nonce: what is drafted now comes after the rejection.
    expect((await proposals.draft({ title: 'Next', changes: [band(71_000n)] })).nonce).toBe(proposal.nonce + 1)
    await expect(proposals.executeCancellation(proposal.id, executor)).rejects.toThrow(/0 of 2 signatures/)
    await expect(proposals.addSignature(proposal.id, proposal.signatures[0]!.signer, proposal.signatures[0]!.signature, 'CANCELLATION')).rejects.toThrow('allowed is a signature of exactly that Safe transaction')
    expect(await rejectBy(proposal.id, 0, 1)).toMatchObject({ state: 'CANCELLING' })
    const done = await proposals.executeCancellation(proposal.id, executor)
    expect(done).toMatchObject({ state: 'CANCELLED' })
    expect(done.stateReason).toMatch(new RegExp(`^Rejected: the empty transaction at nonce ${proposal.nonce} was executed in 0x`))
    const data = encodeExecution(proposal.safeTx, joinSignatures(proposal.signatures, 2))
    await expect(chain.client.call({ account: executor.address, to: proposal.safe, data })).rejects.toThrow('GS026')
  })

  test('behavior: a reorganisation that takes the rejection away makes it CANCELLING again', async () => {
    const proposal = await ready()
    await proposals.cancel(proposal.id)
    await rejectBy(proposal.id, 1, 2)
    const before = await chain.rpc.call('evm_snapshot')
    await proposals.executeCancellation(proposal.id, executor)
    await chain.rpc.call('evm_revert', [before])
    await chain.rpc.call('evm_mine')
    expect(await proposals.track()).toMatchObject([{ from: 'CANCELLED', to: 'CANCELLING' }])
  })
})

describe('guardrails', () => {
  test('error: a draft against the policy names each rule with its numbers', async () => {
    await expect(proposals.draft({ title: 'Too far', changes: [{ parameter: 'liquidationPenaltyRatio', to: 70_000n }] })).rejects.toThrow(
      /^Found 3 faults in the draft: \(1\) Rule policy-bounds: found 7\.00 % for liquidationPenaltyRatio of protocol, the policy allows 0\.50 % to 6\.25 %.+\(2\) Rule policy-step: .+\(3\) Rule policy-invariant: .*Rule penalty-eats-equity|^Found \d faults in the draft: \(1\) Rule policy-bounds/,
    )
  })

  test('error: a tick cap of 0 is a playbook\'s, and of no other draft', async () => {
    const stop = { title: 'Stop', changes: [{ parameter: 'maxTickCrossedWithinBlock', subject: market().symbol, to: 0n }] }
    await expect(proposals.draft(stop)).rejects.toThrow('Rule tick-cap: a tick cap of 0 stops every trade, closing too')
    expect(await proposals.draft({ ...stop, playbook: 'HALT' })).toMatchObject({ state: 'DRAFT', playbook: 'HALT' })
  })

  test('behavior: an executed proposal is rolled back in one step that the policy would not let anyone else take', async () => {
    const before = await onChain('marketMaxPriceSpreadRatio', chain.deployment.markets[1]!.baseToken)
    const proposal = await ready([band(70_000n, chain.deployment.markets[1]!.symbol)])
    await expect(proposals.draftRollback(proposal.id)).rejects.toThrow(/in state READY, to roll it back allowed is APPLIED, EXECUTED/)
    await proposals.execute(proposal.id, executor)
    await mirrorChain(prisma, chain)
    await proposals.track()
    const limits = { min: null, max: null, step: { relativeE6: null, absolute: 1n }, minDelaySec: 0, exempt: [] }
    const strict = createProposals({ prisma, catalog, policy: { ...policy, parameters: new Map([['marketMaxPriceSpreadRatio', limits]]) }, deployment: chain.deployment, rpcUrl: chain.url, stateDir: chain.stateDir, log: createLogger('test', 'silent') })
    const claim = { title: 'No rollback', changes: [band(before + 1n, chain.deployment.markets[1]!.symbol)], playbook: `rollback of ${proposal.id}` }
    await expect(strict.draft(claim)).rejects.toThrow('Rule policy-step')
    const back = await strict.draftRollback(proposal.id, 'steward')
    expect(back).toMatchObject({ changes: [{ from: 70_000n, to: before }], playbook: `rollback of ${proposal.id}`, draftedBy: 'steward' })
    await strict.simulate(back.id)
    await strict.requestSignatures(back.id)
    await signBy(back, 0, 1)
    await proposals.execute(back.id, executor)
    expect(await onChain('marketMaxPriceSpreadRatio', chain.deployment.markets[1]!.baseToken)).toBe(before)
  })

  test('error: a policy that became stricter stops the signature, by its rule', async () => {
    const { id } = await proposals.draft({ title: 'Band', changes: [band(70_000n)] })
    await proposals.simulate(id)
    const proposal = await proposals.requestSignatures(id)
    const strict = createProposals({ prisma, catalog, policy: { ...policy, parameters: new Map() }, deployment: chain.deployment, rpcUrl: chain.url, stateDir: chain.stateDir, log: createLogger('test', 'silent') })
    const { signer, signature } = await signWithKey(owners[0]!.privateKey, { chainId: 31337, safe: proposal.safe }, proposal.safeTx)
    await expect(strict.addSignature(id, signer, signature)).rejects.toMatchObject({ code: 'BLOCKED', message: expect.stringContaining('rule policy-parameter') })
    expect((await proposals.addSignature(id, signer, signature)).signatures).toHaveLength(1)
  })

  test('behavior: what only warns is kept with the draft', async () => {
    const { findings } = await proposals.draft({ title: 'Debt', changes: [{ parameter: 'maxFundingRate', to: 130_000n }] })
    expect(findings).toEqual([])
    const fast = await proposals.draft({ title: 'Faster', changes: [{ parameter: 'maxTickCrossedWithinBlock', subject: chain.deployment.markets[1]!.symbol, to: 700n }] })
    expect(fast.findings).toMatchObject([{ rule: 'tick-cap', severity: 'WARN', text: expect.stringContaining('found 700 ticks, above 500') }])
  })
})

describe('the Transaction Service', () => {
  test('behavior: signatures go there and come from there, and a draft takes a nonce above what waits there', async () => {
    const safe = chain.deployment.safe!
    const double = await startServiceDouble({ chainId: 31337, address: safe.address, owners: safe.owners, nonce: () => chain.client.readContract({ address: safe.address, abi: SAFE_ABI, functionName: 'nonce' }) })
    try {
      const service = createTransactionService({ url: double.url, apiKey: null, chainId: 31337, safe: safe.address })
      const here = createProposals({ prisma, catalog, policy, service, deployment: chain.deployment, rpcUrl: chain.url, stateDir: chain.stateDir, log: createLogger('test', 'silent') })
      const { id } = await here.draft({ title: 'Band', changes: [band(70_000n)] })
      await here.simulate(id)
      const proposal = await here.requestSignatures(id)
      await expect(here.publish(id)).rejects.toThrow('without signatures')
      await signBy(proposal, 0)
      await here.publish(id)
      // The second owner signs with another tool, which knows the service alone; a stranger and damaged bytes are there too.
      const stored = double.stored.get(proposal.safeTxHash)!
      const second = await signWithKey(owners[1]!.privateKey, { chainId: 31337, safe: safe.address }, proposal.safeTx)
      const doubled = (owner: Hex) => ({ owner, signature: second.signature, submissionDate: '' })
      stored.confirmations.push(doubled(safe.owners[2]!), doubled(second.signer), doubled(executor.address))
      expect(await here.pull(id)).toMatchObject({ added: 1, proposal: { state: 'READY' } })
      expect(await here.pull(id)).toMatchObject({ added: 0 })

      const elsewhere = { ...proposal.safeTx, nonce: proposal.safeTx.nonce + 1n }
      await service.publish(elsewhere, hashesOf({ chainId: 31337, safe: safe.address }, elsewhere), await signWithKey(owners[2]!.privateKey, { chainId: 31337, safe: safe.address }, elsewhere), 'by hand')
      const next = await here.draft({ title: 'Next', changes: [band(71_000n, chain.deployment.markets[1]!.symbol)] })
      expect(next.nonce).toBe(proposal.nonce + 2)
      expect(next.events[0]!.note).toMatch(/executed or rejected first: .*\(proposal .*in the Transaction Service\)$/)

      double.failWith = 503
      const blind = await here.draft({ title: 'Blind', changes: [{ parameter: 'liquidationPenaltyRatio', to: 26_000n }] })
      expect(blind.findings).toMatchObject([{ rule: 'queue-unknown', severity: 'UNKNOWN' }])
    } finally {
      await double.close()
    }
  })
})

describe('the review file', () => {
  test('behavior: holds what signers derive everything from, and the same proposal gives the same bytes', async () => {
    const proposal = await ready()
    const file = await proposals.exportReview(proposal.id)
    expect(file).toMatchObject({
      chainId: 31337, safe: proposal.safe, intent: { title: 'Tighten', nonce: String(proposal.nonce), validUntilSec: String(proposal.validUntil), changes: [{ parameter: 'marketMaxPriceSpreadRatio', to: '70000' }] },
      batch: { hashes: proposal.hashes }, rollback: { intent: { changes: [{ from: '70000' }] } }, simulation: { result: { success: true } }, signatures: [{}, {}],
    })
    const text = serializeReview(file)
    expect(serializeReview(await proposals.exportReview(proposal.id))).toBe(text)
    expect(parseReview(text)).toEqual(file)
  })
})

describe('faults', () => {
  test('error: a batch that fails on the fork stays DRAFT with the failing call and the reason', async () => {
    // The deployed Exchange refuses nothing below 1000 ticks, but CollateralManager refuses a feed that is no contract (CM_PFNC).
    const collateral = chain.deployment.collaterals[0]!
    const { id } = await proposals.draft({ title: 'Broken feed', changes: [band(70_000n), { parameter: 'collateralPriceFeed', subject: collateral.symbol, to: BigInt(executor.address) }] })
    const simulated = await proposals.simulate(id)
    expect(simulated.state).toBe('DRAFT')
    expect(simulated.stateReason).toMatch(/^Call 3 \(collateralPriceFeed of \w+\) fails: reverted with ".+"$/)
    expect(simulated.simulation).toMatchObject({ success: false, gasUsed: null, results: [{ success: true }, { success: true }, { success: false }] })
    await expect(proposals.requestSignatures(id)).rejects.toThrow(/in state DRAFT, to ask for signatures allowed is SIMULATED/)
  })

  test('error: refuses a parameter that an open proposal changes already', async () => {
    const { id } = await proposals.draft({ title: 'One', changes: [band(70_000n)] })
    await expect(proposals.draft({ title: 'Two', changes: [band(71_000n)] })).rejects.toThrow(`in open proposal ${id} already`)
    await proposals.cancel(id)
    expect(await proposals.draft({ title: 'Two', changes: [band(70_000n)] })).toMatchObject({ id: `${id}-2`, state: 'DRAFT' })
  })

  test('error: refuses to execute below the threshold, and after a value has moved', async () => {
    const { id } = await proposals.draft({ title: 'Band', changes: [band(70_000n)] })
    await proposals.simulate(id)
    const proposal = await proposals.requestSignatures(id)
    await signBy(proposal, 0)
    await expect(proposals.execute(id, executor)).rejects.toMatchObject({ code: 'WRONG_STATE' })
    await signBy(proposal, 1)
    // Somebody else changes the same value on chain: impersonating the owner of the registry is that somebody.
    const call = catalog.encodeChange(chain.deployment, { name: 'marketMaxPriceSpreadRatio', subject: market().baseToken }, 99_000n)
    await chain.rpc.call('anvil_impersonateAccount', [chain.deployment.safe!.address])
    await mined(chain, { from: chain.deployment.safe!.address, to: call.to, data: call.data })
    await expect(proposals.execute(id, executor)).rejects.toThrow('marketMaxPriceSpreadRatio of vETH at 99000')
    await mirrorChain(prisma, chain)
    expect(await proposals.track()).toMatchObject([{ from: 'READY', to: 'STALE' }])
  })

  test('error: refuses signatures of strangers, twice, of other bytes and of the wrong length, and counts none of them', async () => {
    const { id } = await proposals.draft({ title: 'Band', changes: [band(70_000n)] })
    await proposals.simulate(id)
    const proposal = await proposals.requestSignatures(id)
    const domain = { chainId: 31337, safe: chain.deployment.safe!.address }
    const good = await signWithKey(owners[0]!.privateKey, domain, proposal.safeTx)
    const other = await signWithKey(owners[1]!.privateKey, domain, { ...proposal.safeTx, nonce: proposal.safeTx.nonce + 1n })
    await expect(proposals.addSignature(id, executor.address, good.signature)).rejects.toThrow("allowed are the Safe's owners")
    await expect(proposals.addSignature(id, other.signer, other.signature)).rejects.toThrow('allowed is a signature of exactly that Safe transaction')
    await expect(proposals.addSignature(id, other.signer, '0x1234')).rejects.toThrow('Found a signature of 2 bytes, allowed are 65')
    await proposals.addSignature(id, good.signer, good.signature)
    await expect(proposals.addSignature(id, good.signer, good.signature)).rejects.toThrow('Found a second signature')
    expect((await proposals.get(id)).signatures).toHaveLength(1)
  })

  test('error: stored bytes that were changed are found before anyone signs', async () => {
    const { id, safeTx } = await proposals.draft({ title: 'Band', changes: [band(70_000n)] })
    await proposals.simulate(id)
    const row = await prisma.proposal.findUniqueOrThrow({ where: { id } })
    await prisma.proposal.update({ where: { id }, data: { safeTx: { ...(row.safeTx as object), operation: 0 } } })
    await expect(proposals.requestSignatures(id)).rejects.toMatchObject({ code: 'TAMPERED', facts: { found: '0', expected: String(safeTx.operation) } })
  })

  test('error: an owner who signs after the deadline or after a value has moved is told so', async () => {
    const { id } = await proposals.draft({ title: 'Band', changes: [band(70_000n)], validForSec: 60 })
    await proposals.simulate(id)
    const proposal = await proposals.requestSignatures(id)
    await prisma.parameter.updateMany({ where: { name: 'marketMaxPriceSpreadRatio' }, data: { value: 5 } })
    await expect(signBy(proposal, 0)).rejects.toThrow(/^marketMaxPriceSpreadRatio of vETH was \d+ when drafted and is 5 since block \d+; draft it again$/)
    await prisma.checkpoint.updateMany({ data: { blockTimestamp: proposal.validUntil + 1n } })
    await expect(signBy(proposal, 0)).rejects.toMatchObject({ code: 'STALE_PROPOSAL', facts: { becomes: 'EXPIRED' } })
  })

  test('error: a chain that does not answer is named in one sentence, without its URL', async () => {
    const away = createProposals({ prisma, catalog, policy, deployment: chain.deployment, rpcUrl: 'http://127.0.0.1:20499/secret-key', stateDir: chain.stateDir, log: createLogger('test', 'silent') })
    const { id } = await proposals.draft({ title: 'Band', changes: [band(70_000n)] })
    for (const work of [() => away.simulate(id), () => away.track()]) {
      const error = await work().then(() => null, (each: unknown) => each)
      expect(error).toMatchObject({ code: 'UNAVAILABLE' })
      expect(inspect(error)).not.toContain('secret-key')
    }
  })

  test('error: names a Safe that is not the recorded one', async () => {
    const safe = { ...chain.deployment.safe!, threshold: 3 }
    const elsewhere = createProposals({ prisma, catalog, policy, deployment: { ...chain.deployment, safe }, rpcUrl: chain.url, stateDir: chain.stateDir, log: createLogger('test', 'silent') })
    await expect(elsewhere.draft({ title: 'Band', changes: [band(70_000n)] })).rejects.toThrow(/Found threshold 2 at Safe 0x[0-9a-f]{40}, recorded is 3/)
  })

  test('error: nobody signs a change where the Safe is no longer the recorded one; what cancels it can be signed', async () => {
    const { id } = await proposals.draft({ title: 'Band', changes: [band(70_000n)] })
    await proposals.simulate(id)
    const proposal = await proposals.requestSignatures(id)
    // Slot 4 of a Safe is its threshold.
    await chain.rpc.call('anvil_setStorageAt', [proposal.safe, numberToHex(4n, { size: 32 }), numberToHex(3n, { size: 32 })])
    await expect(signBy(proposal, 0)).rejects.toMatchObject({ code: 'SAFE_MISMATCH', message: `Found threshold 3 at Safe ${proposal.safe}, recorded is 2; correct the deployment's record before anything is signed` })
    expect((await proposals.get(id)).signatures).toEqual([])
    const { cancellation } = await proposals.cancel(id)
    const { signer, signature } = await signWithKey(owners[0]!.privateKey, { chainId: 31337, safe: proposal.safe }, cancellation!.safeTx)
    expect((await proposals.addSignature(id, signer, signature, 'CANCELLATION')).cancellation!.signatures).toMatchObject([{ signer }])
  })

  test('behavior: two owners who sign at once make it READY', async () => {
    const { id } = await proposals.draft({ title: 'Band', changes: [band(70_000n)] })
    await proposals.simulate(id)
    const proposal = await proposals.requestSignatures(id)
    await Promise.all([signBy(proposal, 0), signBy(proposal, 1)])
    expect(await proposals.get(id)).toMatchObject({ state: 'READY', signatures: [{}, {}] })
  })

  test('error: the index and the chain disagree on the block to simulate at', async () => {
    const { id } = await proposals.draft({ title: 'Band', changes: [band(70_000n)] })
    await prisma.checkpoint.updateMany({ data: { blockHash: `0x${'00'.repeat(32)}` } })
    await expect(proposals.simulate(id)).rejects.toThrow(/^mirror: block \d+ is 0x0{64} in the index and 0x[0-9a-f]{64} on chain; wait for the index to follow the reorganisation/)
  })

  test('behavior: two drafts at once take two nonces', async () => {
    const drafts = await Promise.all([band(70_000n), band(71_000n, chain.deployment.markets[1]!.symbol)].map((change) => proposals.draft({ title: 'At once', changes: [change] })))
    expect(new Set(drafts.map((draft) => draft.nonce)).size).toBe(2)
  })

  test("behavior: the fork leaves no process behind, and none shows the chain's URL to other users", async () => {
    const keyed = createProposals({ prisma, catalog, policy, deployment: chain.deployment, rpcUrl: `${chain.url}/?key=secret-key`, stateDir: chain.stateDir, log: createLogger('test', 'silent') })
    const { id } = await proposals.draft({ title: 'Band', changes: [band(70_000n)] })
    const shown = new Set<string>()
    const watch = setInterval(() => forks().forEach((commandLine) => shown.add(commandLine)), 20)
    const simulated = await keyed.simulate(id).finally(() => clearInterval(watch))
    expect(simulated.state).toBe('SIMULATED')
    expect([...shown].filter((commandLine) => commandLine.includes('--fork-url'))).not.toEqual([])
    expect([...shown].filter((commandLine) => commandLine.includes('secret-key') || commandLine.includes(chain.url))).toEqual([])
    expect(forks()).toEqual([])
  })
})

/** Command lines of the living forks that this file started: its own folder tells them from those of others. */
function forks(): readonly string[] {
  const folder = join(chain.stateDir, 'cache', 'fork')
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return []
    try {
      const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      return commandLine.includes(folder) ? [commandLine] : []
    } catch {
      return [] // gone since it was listed
    }
  })
}

describe('tracking', () => {
  test('behavior: an execution by others is found by the Safe log, also of a proposal that is being cancelled', async () => {
    const proposal = await ready()
    await proposals.cancel(proposal.id)
    const data = encodeExecution(proposal.safeTx, joinSignatures(proposal.signatures, 2))
    await sent(proposal.safe, data)
    expect(await proposals.track()).toMatchObject([{ from: 'CANCELLING', to: 'EXECUTED' }])
    await mirrorChain(prisma, chain)
    expect(await proposals.track()).toMatchObject([{ from: 'EXECUTED', to: 'APPLIED' }])
  })

  test('behavior: a nonce used by another transaction makes it REPLACED', async () => {
    const proposal = await ready()
    const safe = { chainId: 31337, safe: chain.deployment.safe!.address }
    // Somebody's plain transfer of nothing at the same nonce, made outside of here.
    const other = { ...proposal.safeTx, to: lower(executor.address), data: '0x' as const, operation: 0 as const }
    const signatures = await Promise.all([0, 1].map((i) => signWithKey(owners[i]!.privateKey, safe, other)))
    await sent(proposal.safe, encodeExecution(other, joinSignatures(signatures, 2)))
    expect(await proposals.track()).toMatchObject([{ id: proposal.id, from: 'READY', to: 'REPLACED' }])
  })

  test('behavior: chain time past its deadline makes it EXPIRED', async () => {
    const { id, validUntil } = await proposals.draft({ title: 'Short', changes: [band(70_000n)], validForSec: 60 })
    expect(await proposals.track()).toEqual([])
    await chain.rpc.call('evm_setNextBlockTimestamp', [Number(validUntil) + 1])
    await chain.rpc.call('evm_mine')
    expect(await proposals.track()).toMatchObject([{ id, from: 'DRAFT', to: 'EXPIRED' }])
  })

  test('behavior: a reorganisation that takes the execution away makes it READY again', async () => {
    const proposal = await ready()
    const before = await chain.rpc.call('evm_snapshot')
    await proposals.execute(proposal.id, executor)
    await chain.rpc.call('evm_revert', [before])
    await chain.rpc.call('evm_mine')
    expect(await proposals.track()).toMatchObject([{ from: 'EXECUTED', to: 'READY' }])
    expect((await proposals.execute(proposal.id, executor)).state).toBe('EXECUTED')
  })
})

// On a chain of its own: a chain that was rewound, as between the tests above, keeps some states for good.
describe('a chain that forgets', () => {
  test('error: a block whose state is gone is said in one sentence, to simulate at and to read at', async () => {
    const fresh = await startTestChain()
    try {
      const forgetful = createProposals({ prisma, catalog, policy, deployment: fresh.deployment, rpcUrl: fresh.url, stateDir: fresh.stateDir, log: createLogger('test', 'silent') })
      await prisma.$executeRaw`TRUNCATE "Parameter", "Checkpoint"`
      await mirrorChain(prisma, fresh)
      const { id, draftedAt } = await forgetful.draft({ title: 'Band', changes: [band(70_000n)] })
      await fresh.rpc.call('evm_mine')
      expect((await forgetful.simulate(id)).state).toBe('SIMULATED')
      for (let block = 0; block < KEPT_STATES + 1; block++) await fresh.rpc.call('evm_mine')
      const head = draftedAt.number + BigInt(KEPT_STATES) + 2n
      const sentence = new RegExp(`^chain: the state of indexed block ${draftedAt.number} is gone: the head is ${head}, and .+; wait for the index to catch up and try again, or name an RPC that keeps older states$`)
      await expect(forgetful.simulate(id)).rejects.toThrow(sentence)
      await expect(forgetful.draft({ title: 'Unseen', changes: [{ parameter: 'whitelistedDebtThreshold', subject: owners[0]!.address, to: 5n }] })).rejects.toThrow(sentence)
      // Once the index stands on a block that is kept, the same proposal simulates.
      await mirrorChain(prisma, fresh)
      expect((await forgetful.simulate(id)).state).toBe('SIMULATED')
    } finally {
      await fresh.stop()
    }
  })
})
