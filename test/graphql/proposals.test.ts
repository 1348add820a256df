/** All of a proposal, the policy and a draft's findings, as the API says them: what is derived is held to the parts that derive it. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { hashTypedData } from 'viem'
import { startServer } from '../../api/graphql/server.ts'
import type { ApiServer } from '../../api/graphql/server.ts'
import { createWebhooks } from '../../api/graphql/webhooks.ts'
import { createPrisma, type PrismaClient, type Prisma } from '../../prisma/client.ts'
import { build, rejection } from '../../proposals/build.ts'
import type { Intent } from '../../proposals/draft.ts'
import type { DraftInput, SimulationResult } from '../../proposals/index.ts'
import { safeTxToJson } from '../../proposals/safe.ts'
import type { Hex } from '../../protocols/adapter.ts'
import { curie } from '../../protocols/curie/index.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { band, delayed, impact, rowOf, stop, validUntil } from './proposal-rows.ts'
import { BLOCK, addressOf, deployment, log, noChain, seed, services } from './support.ts'

jest.setTimeout(60_000)

const { catalog } = curie

let postgres: TestPostgres
let prisma: PrismaClient
let server: ApiServer
let slow: ApiServer
const asked: DraftInput[] = []
/** Transactions that stood open each time the chain was asked. */
const held: bigint[] = []

const simulation = {
  version: 2, block: '1000', blockHash: BLOCK.hash, timestampSec: BLOCK.timestamp.toString(), success: true, failure: null, gasUsed: '123456', stages: [{ what: 'execTransaction', timestampSec: '1700000002', success: true, gasUsed: '123456' }],
  results: [{ to: addressOf(77), what: 'the precondition', success: true, gasUsed: '9000', error: null }], parameters: [{ name: band.parameter, subject: band.subject, before: '100000', after: '62500', expected: '62500' }],
  others: { read: 90, changed: [] }, events: [], storage: [], accounts: [], warnings: ['One slot has no name.'], rollback: null,
} as unknown as SimulationResult

beforeAll(async () => {
  postgres = await startTestPostgres()
  prisma = createPrisma(await postgres.freshDatabase())
  await seed(prisma)
  const empty = rejection(deployment, 20n)
  const ending = { kind: 'REJECTION', safeTx: safeTxToJson(empty.safeTx), hashes: empty.hashes }
  await prisma.proposal.create({ data: rowOf('whole', deployment, [band], 20, { simulation: simulation as unknown as Prisma.InputJsonValue, impact: impact as unknown as Prisma.InputJsonValue, draftedBy: addressOf(60), playbook: 'calm', findings: [{ rule: 'policy-delay', severity: 'UNKNOWN', parameter: band.parameter, subject: band.subject, text: 'unknown since when' }], evidence: [{ recommendation: '1000-aaaa', digest: 'aa'.repeat(32), blockTimestamp: '1700000000' }] }) })
  await prisma.proposal.create({ data: { ...rowOf('ending', deployment, [band], 20, { state: 'CANCELLING', cancellation: ending }), signatures: { create: [{ signer: addressOf(50), signature: '0x12' }, { kind: 'CANCELLATION', signer: addressOf(51), signature: '0x34' }] } } as Prisma.ProposalCreateInput })
  await prisma.proposal.create({ data: rowOf('for-good', deployment, [stop], 21) })
  await prisma.proposal.create({ data: rowOf('queued', delayed, [band], 22, { state: 'QUEUED', scheduledTxHash: `0x${'77'.repeat(32)}`, scheduledAtBlock: 999n, readyAtSec: BLOCK.timestamp + 1n }) })
  await prisma.proposal.create({ data: rowOf('waiting', delayed, [band], 23) })
  await prisma.proposal.create({ data: rowOf('done', deployment, [band], 19, { state: 'APPLIED', impact: { ...impact, version: 1, accounts: { indexed: 49, readFromContracts: 5, cut: true, unreadable: [] } } as unknown as Prisma.InputJsonValue, aftermath: { untilSec: '1700086400', complete: true, parameters: [{ parameter: band.parameter, subject: band.subject, predicted: '62500', actual: null, kept: false }], liquidations: { predicted: { accounts: 2, liquidated: 1 }, accounts: 1, count: 3, notionalE18: '5', others: [], badDebt: '0' } } }) })
  const check = async (input: DraftInput) => {
    asked.push(input)
    const [first] = input.changes ?? []
    return first === undefined ? { changes: [], findings: [{ rule: 'draft', severity: 'BLOCK' as const, parameter: null, subject: null, text: 'nothing is asked for' }] } : { changes: [{ ...band, to: (first as Intent).to }], findings: [] }
  }
  const heldWhile = async <T>(answer: T): Promise<T> => {
    const [row] = await prisma.$queryRaw<[{ count: bigint }]>`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'`
    held.push(row.count)
    return answer
  }
  const executable = () => heldWhile({ to: addressOf(1) as Hex, value: 0n, data: '0x' as Hex, gas: 1n })
  const safe = () => heldWhile({ version: '1.4.1', owners: [], threshold: 2, nonce: 20n, mismatch: null })
  server = await startServer({ ...services(prisma, noChain, { proposals: { check, executable, safe } }), log, host: '127.0.0.1', port: 0 })
  slow = await startServer({ ...services(prisma, noChain), deployment: delayed, log, host: '127.0.0.1', port: 0 })
}, 90_000)
afterAll(async () => {
  await Promise.all([server?.close(), slow?.close()])
  await prisma?.$disconnect()
  await postgres?.stop()
}, 30_000)

const ask = async (query: string, api = server): Promise<any> => { // oxlint-disable-line typescript/no-explicit-any
  const answer = (await (await fetch(`${api.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query }) })).json()) as { data: unknown; errors?: unknown }
  expect(answer.errors).toBeUndefined()
  return answer.data
}

describe('a proposal', () => {
  test('behavior: the ones in some states are found among any number of others, and none where no state is asked for', async () => {
    type Node = { id: string; state: string }
    const { all } = await ask('{ all: proposals(first: 200) { nodes { id state } } }') as { all: { nodes: Node[] } }
    const held = [...new Set(all.nodes.map(({ state }) => state))]
    expect(held.length).toBeGreaterThan(2)
    const asked = held.slice(1, 3)
    const wanted = all.nodes.filter(({ state }) => asked.includes(state))
    const { some, one, none } = await ask(`{ some: proposals(first: 200, states: [${asked.join(', ')}]) { totalCount nodes { id state } } one: proposals(state: ${held[0]}, states: [${asked.join(', ')}]) { totalCount } none: proposals(states: []) { totalCount } }`) as { some: { totalCount: number; nodes: Node[] }; one: { totalCount: number }; none: { totalCount: number } }
    expect(some).toEqual({ totalCount: wanted.length, nodes: wanted })
    expect([one.totalCount, none.totalCount]).toEqual([0, 0])
  })

  test('behavior: says its changes in words that come of the catalog, its path, its findings and what it stands on', async () => {
    const { proposal } = await ask('{ proposal(id: "whole") { chainId draftedBy playbook changes { sentence step irreversible confirmation description note } governance { kind timelock delaySec words } queue { status } findings { rule severity text } evidence { recommendation digest blockTimestamp } cancellation { kind } aftermath { complete } } }')
    expect(proposal).toMatchObject({
      chainId: 31337, draftedBy: addressOf(60), playbook: 'calm',
      changes: [{ sentence: 'Price band of vETH: 10.00 % → 6.25 % (raw 100000 → 62500)', step: '−37.50 %', irreversible: false, confirmation: null }],
      governance: { kind: 'SAFE', timelock: null, delaySec: 0, words: expect.stringContaining('at once') }, queue: null,
      findings: [{ rule: 'policy-delay', severity: 'UNKNOWN', text: 'unknown since when' }], evidence: [{ recommendation: '1000-aaaa', digest: 'aa'.repeat(32), blockTimestamp: '1700000000' }], cancellation: null, aftermath: null,
    })
  })

  test('behavior: the typed data that a wallet signs hashes to its safeTxHash', async () => {
    const { proposal } = await ask('{ proposal(id: "whole") { safeTxHash typedData } }')
    const { domain, types, primaryType, message } = proposal.typedData
    // viem's own EIP-712 over what JSON carries.
    expect(hashTypedData({ domain, types, primaryType, message })).toBe(proposal.safeTxHash)
  })

  test('behavior: the way back is the same changes turned round, at the next nonce; where there is none it says why', async () => {
    const { one, two } = await ask('{ one: proposal(id: "whole") { rollback { exists reason calls { to data } safeTxHash nonce validUntil } } two: proposal(id: "for-good") { changes { irreversible confirmation } rollback { exists reason calls { to } nonce } } }')
    const back = build({ catalog, deployment }, { changes: [{ ...band, from: band.to, to: band.from }], validUntilSec: BigInt(one.rollback.validUntil), nonce: 21n })
    expect(one.rollback).toMatchObject({ exists: true, reason: null, safeTxHash: back.hashes.safeTxHash, nonce: 21, calls: back.calls.map(({ to, data }) => ({ to, data })) })
    expect(two).toEqual({ changes: [{ irreversible: true, confirmation: 'marketStatus of vETH' }], rollback: { exists: false, reason: expect.stringContaining('No rollback exists'), calls: [], nonce: null } })
  })

  test('behavior: its simulation and impact come whole, signs and units kept; one of an earlier version with what it has', async () => {
    const fields = 'simulation { blockHash timestamp success gasUsed stages { what gasUsed } calls { what success gasUsed } parameters { expectedRaw } otherParametersRead otherParametersChanged { name } events storage accounts warnings rollback { success } }'
    const { whole, old, done } = await ask(`{ whole: proposal(id: "whole") { ${fields} impact { block newlyLiquidatable { account source falls before { value { value } } after { value { raw } marginRatio } gross { value } expectedBadDebt { value } } fund { value } cover uncovered { raw } nearMiss { move without with added } accountsRead accountsValued unvalued { reason count accounts } coverage fundTargetAfter { raw } notes } } old: proposal(id: "p1") { ${fields} impact { block } } done: proposal(id: "done") { impact { accountsValued unvalued { count } coverage } } }`)
    expect(whole.simulation).toMatchObject({ timestamp: BLOCK.timestamp.toString(), gasUsed: '123456', stages: [{ what: 'execTransaction', gasUsed: '123456' }], calls: [{ what: 'the precondition', success: true, gasUsed: '9000' }], parameters: [{ expectedRaw: '62500' }], otherParametersRead: 90, warnings: ['One slot has no name.'], rollback: null })
    expect(whole.impact).toMatchObject({
      newlyLiquidatable: [{ account: addressOf(3), source: 'CONTRACTS', falls: ['POSITIONS'], before: { value: { value: '9' } }, after: { value: { raw: '-1' }, marginRatio: -0.012345 }, gross: { value: '100' }, expectedBadDebt: null }],
      fund: { value: '-0.5' }, cover: 0.25, uncovered: { raw: '3' }, nearMiss: [{ move: -0.03, without: 1, with: 2, added: [addressOf(4)] }], accountsRead: 5, accountsValued: 41, unvalued: [{ reason: 'not read from the contracts', count: 8, accounts: [addressOf(5)] }], coverage: 'of 41 valued; 8 unknown', fundTargetAfter: { raw: '2' }, notes: ['Prices stand still.'],
    })
    expect(done.impact).toEqual({ accountsValued: null, unvalued: [], coverage: 'of an unknown share of 49 indexed' })
    expect(old).toMatchObject({ simulation: { success: true, stages: [], calls: [], otherParametersRead: 0, warnings: [], rollback: null }, impact: null })
  })

  test('behavior: signatures of its cancellation are not its own', async () => {
    const { proposal } = await ask('{ proposal(id: "ending") { state signatures { signer } cancellation { kind nonce safeTxHash typedData signatures { signer signature } } } }')
    expect(proposal).toMatchObject({ state: 'CANCELLING', signatures: [{ signer: addressOf(50) }], cancellation: { kind: 'REJECTION', nonce: 20, signatures: [{ signer: addressOf(51), signature: '0x34' }] } })
    const { domain, types, primaryType, message } = proposal.cancellation.typedData
    expect(hashTypedData({ domain, types, primaryType, message })).toBe(proposal.cancellation.safeTxHash)
  })

  test('behavior: what a wallet is given to sign is derived from the intent, whatever the row says', async () => {
    const honest = (await ask('{ proposal(id: "whole") { typedData } }')).proposal.typedData
    const { safeTx } = await prisma.proposal.findUniqueOrThrow({ where: { id: 'whole' } })
    await prisma.proposal.update({ where: { id: 'whole' }, data: { safeTx: { ...(safeTx as object), to: addressOf(66) } } })
    try {
      expect((await ask('{ proposal(id: "whole") { typedData } }')).proposal.typedData).toEqual(honest)
    } finally {
      await prisma.proposal.update({ where: { id: 'whole' }, data: { safeTx: safeTx as object } })
    }
  })

  test('behavior: where a timelock stands between, it says when it can be executed and until when', async () => {
    const fields = 'governance { kind timelock delaySec } queue { timelock operation predecessor status scheduleUntil scheduledTxHash scheduledAtBlock readyAt executeUntil }'
    const { queued, waiting, done } = await ask(`{ queued: proposal(id: "queued") { ${fields} } waiting: proposal(id: "waiting") { ${fields} } done: proposal(id: "done") { queue { status } } }`, slow)
    // The index stands one second before it is ready.
    expect(queued).toMatchObject({ governance: { kind: 'TIMELOCK', timelock: '0x00000000000000000000000000000000000070c1', delaySec: 3_600 }, queue: { status: 'WAITING', readyAt: String(BLOCK.timestamp + 1n), scheduledAtBlock: '999', executeUntil: String(validUntil) } })
    expect(BigInt(queued.queue.scheduleUntil)).toBeLessThanOrEqual(validUntil - 3_600n)
    expect(waiting.queue).toMatchObject({ status: 'NOT_SCHEDULED', scheduledTxHash: null, scheduledAtBlock: null, readyAt: null })
    expect(done.queue.status).toBe('DONE')
    await prisma.proposal.update({ where: { id: 'queued' }, data: { readyAtSec: BLOCK.timestamp } })
    expect((await ask('{ proposal(id: "queued") { queue { status } } }', slow)).proposal.queue.status).toBe('READY')
  })

  test('behavior: afterwards, what was predicted stands beside what came', async () => {
    const { proposal } = await ask('{ proposal(id: "done") { aftermath { untilSec complete parameters { predicted actual kept } liquidations { predicted { accounts liquidated } accounts count notionalE18 others badDebt } } } }')
    expect(proposal.aftermath).toEqual({ untilSec: '1700086400', complete: true, parameters: [{ predicted: '62500', actual: null, kept: false }], liquidations: { predicted: { accounts: 2, liquidated: 1 }, accounts: 1, count: 3, notionalE18: '5', others: [], badDebt: '0' } })
  })
})

describe('while the chain is asked', () => {
  test('behavior: no snapshot is held for what is to be sent, nor for the Safe as it is now', async () => {
    expect(await ask('{ proposalExecution(id: "whole") { transaction { gas } } }')).toEqual({ proposalExecution: { transaction: { gas: '1' } } })
    expect(await ask('{ protocol { safe { onChain { nonce } } } }')).toEqual({ protocol: { safe: { onChain: { nonce: 20 } } } })
    expect(held).toEqual([0n, 0n])
  })

  test('behavior: beside other figures it is of their block, and holds theirs', async () => {
    held.length = 0
    await ask('{ markets { id } protocol { accountCount safe { onChain { nonce } } } }')
    expect(held).toEqual([1n])
  })
})

describe('alerts', () => {
  test('behavior: a proposal that is being cancelled waits for signatures of that, and says what was given of which', async () => {
    const told: { key: string; data: { id: string; of: string; nonce: number; safeTxHash: string; signers: string[] } }[] = []
    const send = (async (_url: string, { body }: { body: string }) => {
      told.push(JSON.parse(body))
      return new Response(null, { status: 204 })
    }) as unknown as typeof fetch
    await createWebhooks({ prisma, log, urls: ['http://127.0.0.1:9/hook'], secret: 'a secret of tests', send }).run()
    const of = (id: string) => told.filter((one) => one.data.id === id)
    const { cancellation } = (await ask('{ proposal(id: "ending") { cancellation { safeTxHash } } }')).proposal
    expect(of('ending')).toMatchObject([{ key: `proposal:ending:${cancellation.safeTxHash}`, data: { of: 'CANCELLATION', nonce: 20, safeTxHash: cancellation.safeTxHash, signers: [addressOf(51)] } }])
    expect(of('p1')).toMatchObject([{ key: 'proposal:p1', data: { of: 'CHANGE', signers: [addressOf(50)] } }])
    // In the timelock, or applied: nothing to sign.
    expect([...of('queued'), ...of('done')]).toEqual([])
  })
})

describe('before a draft', () => {
  test('behavior: the policy says who may draft, and how far', async () => {
    const { policy } = await ask('{ policy { network stewards defaultValidForSec maxValidForSec evidenceMaxAgeSec parameters { name title minRaw maxRaw maxStepRelative maxStepRaw minDelaySec exemptRaw } invariants { name sum atMost } together } }')
    // policies/devnet.yaml, by hand: a band of 1 % to 20 %, steps of 15 %; a threshold from 10,000 USDC in steps of 300 %, 0 exempt.
    expect(policy).toMatchObject({ network: 'devnet', defaultValidForSec: 259_200, maxValidForSec: 1_209_600, evidenceMaxAgeSec: 21_600 })
    expect(policy.stewards).toEqual(['0x6d69f301d1da5c7818b5e61eecc745b30179c68b', '0xf0ce7bab13c99ba0565f426508a7cd8f4c247e5a'])
    const find = (name: string) => policy.parameters.find((one: { name: string }) => one.name === name)
    expect(find('marketMaxPriceSpreadRatio')).toEqual({ name: 'marketMaxPriceSpreadRatio', title: 'Price band', minRaw: '10000', maxRaw: '200000', maxStepRelative: null, maxStepRaw: '150000', minDelaySec: 0, exemptRaw: [] })
    expect(find('distributionThreshold')).toMatchObject({ minRaw: '10000000000', maxStepRelative: 3, maxStepRaw: null, exemptRaw: ['0'] })
    expect(policy.invariants[0]).toEqual({ name: 'the penalty stays below the maintenance margin', sum: { liquidationPenaltyRatio: 1, mmRatio: -1 }, atMost: '0' })
  })

  test('behavior: anybody may ask what a draft would find, and gets the same kind of findings for wishes that cannot be', async () => {
    const { good, bad } = await ask('{ good: validateDraft(input: { title: "x", desired: "a: b", changes: [{ parameter: "marketMaxPriceSpreadRatio", subject: "vETH", toRaw: "70000" }] }) { ok changes { sentence } findings { rule } } bad: validateDraft(input: {}) { ok changes { parameter } findings { rule severity text } } }')
    expect(good).toEqual({ ok: true, changes: [{ sentence: 'Price band of vETH: 10.00 % → 7.00 % (raw 100000 → 70000)' }], findings: [] })
    expect(bad).toEqual({ ok: false, changes: [], findings: [{ rule: 'draft', severity: 'BLOCK', text: 'nothing is asked for' }] })
    expect(asked[0]).toMatchObject({ title: 'x', desired: 'a: b', changes: [{ parameter: 'marketMaxPriceSpreadRatio', subject: 'vETH', to: 70_000n, confirm: null }] })
  })
})
