/** What goes out as a Transaction Builder file comes back as the same changes. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BulwarkError } from '../../core/errors.ts'
import type { Deployment } from '../../protocols/adapter.ts'
import { curie } from '../../protocols/curie/index.ts'
import { build } from '../../proposals/build.ts'
import type { Plan } from '../../proposals/build.ts'
import { labelOf } from '../../proposals/draft.ts'
import type { Change } from '../../proposals/draft.ts'
import { batchChecksum, batchFile } from '../../proposals/export.ts'
import type { BatchFile } from '../../proposals/export.ts'
import { parseBatch } from '../../proposals/import.ts'
import { lower } from '../../proposals/safe.ts'
import type { ProposalRecord } from '../../proposals/store.ts'

const { catalog } = curie
const direct: Deployment = curie.deployments['devnet']!
const delayed: Deployment = { ...direct, governance: { kind: 'TIMELOCK', address: '0x00000000000000000000000000000000000070c1', minDelaySec: 172_800 } }
const refs = catalog.refs(direct).filter((ref) => catalog.find(ref.name).setter !== null)

/** Changes of distinct parameters, each within its setter's bounds. */
const changes = fc.uniqueArray(fc.record({ at: fc.nat(refs.length - 1), from: fc.bigInt({ min: 0n, max: 2n ** 40n }), seed: fc.bigInt({ min: 0n, max: 2n ** 40n }) }), { minLength: 1, maxLength: 6, selector: ({ at }) => at }).map((picked) =>
  picked.map(({ at, from, seed }): Change => {
    const ref = refs[at]!
    const { scope, bounds } = catalog.find(ref.name)
    return { parameter: ref.name, scope, subject: lower(ref.subject), subjectLabel: labelOf(direct, scope, lower(ref.subject)), from, to: bounds.min + (seed % (bounds.max - bounds.min + 1n)) }
  }),
)

/** null where a setter refuses a value for a reason that bounds do not say. */
function exported(deployment: Deployment, list: readonly Change[], title: string): BatchFile | null {
  const plan = { changes: list as unknown as Plan['changes'], validUntilSec: 2_000_000_000n, nonce: 7n }
  try {
    const built = build({ catalog, deployment }, plan)
    return batchFile({ title, chainId: deployment.chainId, safe: lower(deployment.safe!.address), nonce: 7, changes: plan.changes, calls: built.calls, safeTx: built.safeTx, hashes: built.hashes, safeTxHash: built.hashes.safeTxHash, draftedAt: { number: 1n, hash: '0x', timestamp: 1_700_000_000n } } as unknown as ProposalRecord)
  } catch (error) {
    if (error instanceof BulwarkError && error.code === 'BAD_INPUT') return null
    throw error
  }
}

describe('a batch file', () => {
  test.each([['made by the Safe', direct], ['through a timelock', delayed]])('behavior: %s: what is exported comes back as the same changes, in their order, for any parameters and values', (_, deployment) => {
    let read = 0
    fc.assert(
      fc.property(changes, (list) => {
        const file = exported(deployment, list, 'Round trip')
        fc.pre(file !== null)
        const { title, intents } = parseBatch({ catalog, deployment }, JSON.stringify(file))
        read++
        expect(title).toBe('Round trip')
        expect(intents.map(({ parameter, subject, to }) => ({ parameter, subject: subject?.toLowerCase(), to }))).toEqual(list.map(({ parameter, subject, to }) => ({ parameter, subject, to })))
      }),
      { numRuns: 60 },
    )
    expect(read).toBe(60)
  })

  test('error: a byte of its calls that was changed shows by the checksum; with the checksum repaired, by what the calls do', () => {
    const list: Change[] = [{ parameter: 'liquidationPenaltyRatio', scope: 'PROTOCOL', subject: lower(direct.contracts.clearingHouse), subjectLabel: 'protocol', from: 25_000n, to: 30_000n }]
    const file = exported(direct, list, 'x')!
    const last = file.transactions.at(-1)!
    // 30,000 is 0x7530: 0x7531 is 30,001.
    const edited = { ...file, transactions: [...file.transactions.slice(0, -1), { ...last, data: last.data.replace(/7530$/, '7531') }] }
    expect(() => parseBatch({ catalog, deployment: direct }, JSON.stringify(edited))).toThrow('the file was damaged or edited')
    const repaired = { ...edited, meta: { ...edited.meta, checksum: batchChecksum(edited) } }
    // No security control: whoever edits it repairs it, and it says what its calls do.
    expect(parseBatch({ catalog, deployment: direct }, JSON.stringify(repaired)).intents).toMatchObject([{ parameter: 'liquidationPenaltyRatio', to: 30_001n }])
    // The file of a Safe that owns the protocol schedules nowhere, and another timelock is none of ours.
    expect(() => parseBatch({ catalog, deployment: direct }, JSON.stringify(exported(delayed, list, 'x')))).toThrow(/is no parameter's setter/)
  })
})
