import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Hex } from '../../protocols/adapter.ts'
import { OPEN_STATES, PROPOSAL_STATES, TRANSITIONS, assertTransition, canGo } from '../../proposals/state.ts'
import type { ProposalState } from '../../proposals/state.ts'
import type { ProposalRecord } from '../../proposals/store.ts'
import { nextStep } from '../../proposals/track.ts'
import type { Facts } from '../../proposals/track.ts'

const hash = `0x${'ab'.repeat(32)}` as Hex
const subject = `0x${'01'.repeat(20)}` as Hex
const owners = [1, 2, 3].map((n) => `0x${`0${n}`.repeat(20)}` as Hex)

const proposal = (state: ProposalState, signatures = 0, scheduled = state === 'QUEUED'): ProposalRecord => ({
  id: 'p', title: 't', state, stateReason: null, network: 'devnet', chainId: 31337, safe: subject, threshold: 2, nonce: 5,
  changes: [{ parameter: 'x', scope: 'PROTOCOL', subject, subjectLabel: 'protocol', from: 1n, to: 2n }],
  calls: [], safeTx: {} as never, hashes: {} as never, safeTxHash: hash, draftedAt: { number: 10n, hash, timestamp: 100n }, validUntil: 1000n, simulation: null, impact: null, findings: [], evidence: [], draftedBy: null, playbook: null, cancellation: null, aftermath: null, recommendationIds: [],
  scheduled: scheduled ? { txHash: hash, block: 15n, readyAtSec: 600n } : null,
  executionTxHash: state === 'EXECUTED' ? hash : null, executedAtBlock: state === 'EXECUTED' ? 20n : null, appliedAtBlock: null, nonceUsedAtBlock: null,
  signatures: owners.slice(0, signatures).map((signer) => ({ signer, signature: '0x' })), events: [],
})

const log = (kind: 'SUCCESS' | 'FAILURE' = 'SUCCESS') => ({ kind, safeTxHash: hash, txHash: hash, block: 28n })
const small = (max: bigint) => fc.bigInt({ min: 0n, max })
const facts: fc.Arbitrary<Facts> = fc.record({
  head: fc.record({ number: small(40n), timestamp: small(2000n) }),
  delaySec: small(50n),
  safe: fc.record({ owners: fc.subarray(owners), threshold: fc.integer({ min: 1, max: 3 }), nonce: small(8n) }),
  indexed: fc.record({ number: small(40n), hash: fc.constant(hash), timestamp: small(2000n) }),
  values: fc.option(fc.record({ value: small(3n), updatedAtBlock: small(40n) })).map((value) => new Map(value === null ? [] : [[`x:${subject}`, value]])),
  log: fc.option(fc.record({ kind: fc.constantFrom('SUCCESS' as const, 'FAILURE' as const), safeTxHash: fc.constant(hash), txHash: fc.constant(hash), block: small(40n) })),
  rejection: fc.option(fc.constantFrom(log('SUCCESS'), log('FAILURE'))),
  timelock: fc.option(
    fc.record({
      status: fc.constantFrom('UNSET' as const, 'WAITING' as const, 'READY' as const, 'EXPIRED' as const, 'DONE' as const).map((state) => ({ state, readyAtSec: state === 'UNSET' || state === 'DONE' ? null : 600n, secondsLeft: null })),
      events: fc.array(fc.constantFrom('SCHEDULED' as const, 'EXECUTED' as const, 'CANCELLED' as const).map((kind) => ({ kind, txHash: hash, block: 29n })), { maxLength: 3 }),
    }),
  ),
  includedAt: fc.option(small(40n)),
  announced: fc.option(small(3n)).map((value) => new Map(value === null ? [] : [[`x:${subject}`, value]])),
})
const quiet: Facts = { head: { number: 30n, timestamp: 500n }, delaySec: 0n, rejection: null, timelock: null, safe: { owners, threshold: 2, nonce: 5n }, indexed: { number: 30n, hash, timestamp: 500n }, values: new Map([[`x:${subject}`, { value: 1n, updatedAtBlock: 3n }]]), log: null, includedAt: null, announced: new Map() }

describe('states', () => {
  test('behavior: tracking never takes a way that the table does not have, whatever the chain says', () => {
    fc.assert(
      fc.property(fc.constantFrom(...PROPOSAL_STATES), fc.integer({ min: 0, max: 3 }), fc.boolean(), facts, (state, signatures, scheduled, each) => {
        // What was scheduled came there by QUEUED, and goes on from there.
        const step = nextStep(proposal(state, signatures, scheduled && canGo('QUEUED', state) && !['READY', 'AWAITING_SIGNATURES'].includes(state)), each)
        expect(step === null || canGo(state, step.to)).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  test('behavior: what is replaced stays so, what is applied too while the chain has it, and what is abandoned moves only by an execution', () => {
    fc.assert(
      fc.property(facts, (each) => {
        expect(nextStep(proposal('APPLIED'), each) === null).toBe(each.includedAt !== null)
        expect(nextStep(proposal('REPLACED'), each) === null).toBe(each.safe.nonce > 5n && each.log?.kind !== 'SUCCESS')
        for (const state of ['STALE', 'EXPIRED', 'WITHDRAWN'] as const) expect([undefined, 'EXECUTED', 'QUEUED']).toContain(nextStep(proposal(state), each)?.to)
      }),
    )
  })

  test('behavior: nothing is APPLIED before the index has reached its execution and shows the value', () => {
    fc.assert(
      fc.property(facts, (each) => {
        const step = nextStep(proposal('EXECUTED'), each)
        const current = each.values.get(`x:${subject}`)
        const shown = (current?.value === 2n && current.updatedAtBlock >= 20n) || each.announced.get(`x:${subject}`) === 2n
        expect(step?.to === 'APPLIED').toBe(each.indexed.number >= 20n && each.includedAt === 20n && shown)
      }),
      { numRuns: 2000 },
    )
  })

  test('behavior: CANCELLED is the chain\'s word alone: a rejection at that nonce, or an operation that was taken out of the timelock', () => {
    fc.assert(
      fc.property(fc.constantFrom(...PROPOSAL_STATES), fc.integer({ min: 0, max: 3 }), facts, (state, signatures, each) => {
        const record = proposal(state, signatures)
        if (nextStep(record, each)?.to !== 'CANCELLED') return
        const rejected = each.safe.nonce > 5n && each.rejection?.kind === 'SUCCESS' && each.log?.kind !== 'SUCCESS'
        const takenOut = record.scheduled !== null && each.timelock?.status.state === 'UNSET' && each.timelock.events.some((event) => event.kind === 'CANCELLED')
        expect(rejected || takenOut).toBe(true)
      }),
      { numRuns: 3000 },
    )
  })

  test('behavior: every open state can be given up, and DRAFT cannot skip simulation or signatures', () => {
    for (const state of OPEN_STATES) expect(canGo(state, 'WITHDRAWN') || canGo(state, 'CANCELLING')).toBe(true)
    for (const state of ['AWAITING_SIGNATURES', 'READY'] as const) expect(canGo(state, 'WITHDRAWN')).toBe(false)
    expect(TRANSITIONS.DRAFT).not.toContain('AWAITING_SIGNATURES')
    expect(TRANSITIONS.DRAFT).not.toContain('READY')
    expect(TRANSITIONS.SIMULATED).not.toContain('READY')
    expect(PROPOSAL_STATES.filter((state) => canGo(state, 'APPLIED'))).toEqual(['EXECUTED'])
  })

  test('error: a way that is not in the table is refused with the states that have it', () => {
    expect(() => assertTransition('5-ab', 'DRAFT', 'READY')).toThrow('Found proposal 5-ab in state DRAFT, to become READY allowed is AWAITING_SIGNATURES, READY, QUEUED, EXECUTED, APPLIED, REPLACED; look at its history, or draft a new one')
  })
})

describe('what happened', () => {
  const cases: [string, ProposalState, Partial<Facts>, ProposalState | undefined][] = [
    ['nothing', 'AWAITING_SIGNATURES', {}, undefined],
    ['the deadline second itself is still valid', 'DRAFT', { head: { number: 30n, timestamp: 1000n } }, undefined],
    ['a second past the deadline', 'DRAFT', { head: { number: 30n, timestamp: 1001n } }, 'EXPIRED'],
    ['another value', 'SIMULATED', { values: new Map([[`x:${subject}`, { value: 3n, updatedAtBlock: 25n }]]) }, 'STALE'],
    ['the nonce used by another', 'SIMULATED', { safe: { owners, threshold: 2, nonce: 6n } }, 'REPLACED'],
    ['executed and failed inside', 'SIMULATED', { safe: { owners, threshold: 2, nonce: 6n }, log: { kind: 'FAILURE', safeTxHash: hash, txHash: hash, block: 28n } }, 'REPLACED'],
    ['executed, though past its deadline and about to be cancelled', 'CANCELLING', { safe: { owners, threshold: 2, nonce: 6n }, head: { number: 30n, timestamp: 5000n }, log: { kind: 'SUCCESS', safeTxHash: hash, txHash: hash, block: 28n } }, 'EXECUTED'],
    ['a reorganisation that took what replaced it', 'REPLACED', { safe: { owners, threshold: 2, nonce: 5n } }, 'DRAFT'],
    ['a reorganisation that put it where another was', 'REPLACED', { safe: { owners, threshold: 2, nonce: 6n }, log: log() }, 'EXECUTED'],
    ['still replaced', 'REPLACED', { safe: { owners, threshold: 2, nonce: 6n } }, undefined],
    ['another transaction at its nonce', 'CANCELLING', { safe: { owners, threshold: 2, nonce: 6n } }, 'REPLACED'],
    ['nothing yet at its nonce', 'CANCELLING', {}, undefined],
    ['its rejection', 'CANCELLING', { safe: { owners, threshold: 2, nonce: 6n }, rejection: log() }, 'CANCELLED'],
    ['a rejection that nobody asked for here', 'READY', { safe: { owners, threshold: 2, nonce: 6n }, rejection: log() }, 'CANCELLED'],
    ['a reorganisation that took the rejection', 'CANCELLED', { safe: { owners, threshold: 2, nonce: 5n } }, 'CANCELLING'],
    ['the Safe queued it', 'READY', { safe: { owners, threshold: 2, nonce: 6n }, log: log(), timelock: { status: { state: 'WAITING', readyAtSec: 900n, secondsLeft: 400n }, events: [] } }, 'QUEUED'],
    ['no time left for the delay', 'READY', { delaySec: 501n }, 'EXPIRED'],
    ['the last second for the delay', 'SIMULATED', { delaySec: 500n }, undefined],
    ['the timelock waits', 'QUEUED', { includedAt: 15n, timelock: { status: { state: 'WAITING', readyAtSec: 600n, secondsLeft: 100n }, events: [] } }, undefined],
    ['the timelock executed it', 'QUEUED', { includedAt: 15n, timelock: { status: { state: 'DONE', readyAtSec: null, secondsLeft: null }, events: [{ kind: 'EXECUTED', txHash: hash, block: 29n }] } }, 'EXECUTED'],
    ['the Safe took it out of the timelock', 'QUEUED', { includedAt: 15n, timelock: { status: { state: 'UNSET', readyAtSec: null, secondsLeft: null }, events: [{ kind: 'CANCELLED', txHash: hash, block: 29n }] } }, 'CANCELLED'],
    ['a value that drifted while it was queued', 'QUEUED', { includedAt: 15n, values: new Map([[`x:${subject}`, { value: 3n, updatedAtBlock: 25n }]]), timelock: { status: { state: 'READY', readyAtSec: 400n, secondsLeft: 0n }, events: [] } }, 'STALE'],
    ['a reorganisation that took the scheduling', 'QUEUED', { includedAt: null, timelock: { status: { state: 'UNSET', readyAtSec: null, secondsLeft: null }, events: [] } }, 'AWAITING_SIGNATURES'],
    ['a reorganisation that took the execution after the index had it', 'APPLIED', { includedAt: null }, 'AWAITING_SIGNATURES'],
    ['nothing of that kind', 'APPLIED', { includedAt: 20n }, undefined],
    ['its deadline while it was queued', 'QUEUED', { includedAt: 15n, timelock: { status: { state: 'EXPIRED', readyAtSec: 600n, secondsLeft: 0n }, events: [] } }, 'EXPIRED'],
  ]
  test.each(cases)('behavior: %s', (_, state, change, to) => {
    expect(nextStep(proposal(state), { ...quiet, ...change })?.to).toBe(to)
  })

  test('behavior: signatures of removed owners do not count', () => {
    expect(nextStep(proposal('AWAITING_SIGNATURES', 2), quiet)?.to).toBe('READY')
    expect(nextStep(proposal('READY', 2), { ...quiet, safe: { owners: owners.slice(1), threshold: 2, nonce: 5n } })?.to).toBe('AWAITING_SIGNATURES')
    expect(nextStep(proposal('READY', 2), { ...quiet, safe: { owners, threshold: 3, nonce: 5n } })?.to).toBe('AWAITING_SIGNATURES')
  })
})
