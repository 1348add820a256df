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

const proposal = (state: ProposalState, signatures = 0): ProposalRecord => ({
  id: 'p', title: 't', state, stateReason: null, network: 'devnet', chainId: 31337, safe: subject, threshold: 2, nonce: 5,
  changes: [{ parameter: 'x', scope: 'PROTOCOL', subject, subjectLabel: 'protocol', from: 1n, to: 2n }],
  calls: [], safeTx: {} as never, hashes: {} as never, safeTxHash: hash, draftedAt: { number: 10n, hash, timestamp: 100n }, validUntil: 1000n, simulation: null, recommendationIds: [],
  executionTxHash: state === 'EXECUTED' ? hash : null, executedAtBlock: state === 'EXECUTED' ? 20n : null, appliedAtBlock: null, nonceUsedAtBlock: null,
  signatures: owners.slice(0, signatures).map((signer) => ({ signer, signature: '0x' })), events: [],
})

const small = (max: bigint) => fc.bigInt({ min: 0n, max })
const facts: fc.Arbitrary<Facts> = fc.record({
  head: fc.record({ number: small(40n), timestamp: small(2000n) }),
  safe: fc.record({ owners: fc.subarray(owners), threshold: fc.integer({ min: 1, max: 3 }), nonce: small(8n) }),
  indexed: fc.record({ number: small(40n), hash: fc.constant(hash), timestamp: small(2000n) }),
  values: fc.option(fc.record({ value: small(3n), updatedAtBlock: small(40n) })).map((value) => new Map(value === null ? [] : [[`x:${subject}`, value]])),
  log: fc.option(fc.record({ kind: fc.constantFrom('SUCCESS' as const, 'FAILURE' as const), safeTxHash: fc.constant(hash), txHash: fc.constant(hash), block: small(40n) })),
  includedAt: fc.option(small(40n)),
  announced: fc.option(small(3n)).map((value) => new Map(value === null ? [] : [[`x:${subject}`, value]])),
})
const quiet: Facts = { head: { number: 30n, timestamp: 500n }, safe: { owners, threshold: 2, nonce: 5n }, indexed: { number: 30n, hash, timestamp: 500n }, values: new Map([[`x:${subject}`, { value: 1n, updatedAtBlock: 3n }]]), log: null, includedAt: null, announced: new Map() }

describe('states', () => {
  test('behavior: tracking never takes a way that the table does not have, whatever the chain says', () => {
    fc.assert(
      fc.property(fc.constantFrom(...PROPOSAL_STATES), fc.integer({ min: 0, max: 3 }), facts, (state, signatures, each) => {
        const step = nextStep(proposal(state, signatures), each)
        expect(step === null || canGo(state, step.to)).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  test('behavior: what is applied or replaced stays so, and what is abandoned moves only by an execution', () => {
    fc.assert(
      fc.property(facts, (each) => {
        expect(nextStep(proposal('APPLIED'), each)).toBeNull()
        expect(nextStep(proposal('REPLACED'), each)).toBeNull()
        for (const state of ['STALE', 'EXPIRED', 'CANCELLED'] as const) expect([undefined, 'EXECUTED']).toContain(nextStep(proposal(state), each)?.to)
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

  test('behavior: every open state can be cancelled, and DRAFT cannot skip simulation or signatures', () => {
    for (const state of OPEN_STATES) expect(canGo(state, 'CANCELLED')).toBe(true)
    expect(TRANSITIONS.DRAFT).not.toContain('AWAITING_SIGNATURES')
    expect(TRANSITIONS.DRAFT).not.toContain('READY')
    expect(TRANSITIONS.SIMULATED).not.toContain('READY')
    expect(PROPOSAL_STATES.filter((state) => canGo(state, 'APPLIED'))).toEqual(['EXECUTED'])
  })

  test('error: a way that is not in the table is refused with the states that have it', () => {
    expect(() => assertTransition('5-ab', 'DRAFT', 'READY')).toThrow('Found proposal 5-ab in state DRAFT, to become READY allowed is AWAITING_SIGNATURES, READY, EXECUTED; look at its history, or draft a new one')
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
    ['executed, though past its deadline and cancelled', 'CANCELLED', { safe: { owners, threshold: 2, nonce: 6n }, head: { number: 30n, timestamp: 5000n }, log: { kind: 'SUCCESS', safeTxHash: hash, txHash: hash, block: 28n } }, 'EXECUTED'],
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
