import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Hex } from 'viem'
import { devnet } from '../../protocols/curie/deployments.ts'
import { catalog } from '../../protocols/curie/parameters.ts'
import { build } from '../../proposals/build.ts'
import type { Plan } from '../../proposals/build.ts'
import type { Change } from '../../proposals/draft.ts'
import { guardCall } from '../../proposals/guard.ts'
import { rollbackOf } from '../../proposals/rollback.ts'
import { encodeExecution, lower, SAFE_ABI } from '../../proposals/safe.ts'
import { joinSignatures, signWithKey } from '../../proposals/sign.ts'
import { readParameter } from '../../proposals/simulate.ts'
import { executor, mined, owners, startTestChain } from './chain.ts'
import type { TestChain } from './chain.ts'

const WEEK = 604_800n
const target = { catalog, deployment: devnet }
const refs = catalog.refs(devnet).filter((ref) => catalog.find(ref.name).setter !== null && !catalog.find(ref.name).irreversible)
const changeOf = (ref: { name: string; subject: Hex }, from: bigint, to: bigint): Change => ({ parameter: ref.name, scope: catalog.find(ref.name).scope, subject: ref.subject, subjectLabel: ref.name, from, to })

describe('the way back, derived', () => {
  const plans: fc.Arbitrary<Plan> = fc.uniqueArray(fc.nat(refs.length - 1), { minLength: 1, maxLength: 6 }).chain((indices) =>
    fc.record({
      changes: fc.tuple(...indices.map((i) => {
        const { bounds } = catalog.find(refs[i]!.name)
        const value = fc.bigInt({ min: bounds.min, max: bounds.max < bounds.min + 1_000_000n ? bounds.max : bounds.min + 1_000_000n })
        return fc.tuple(value, value).filter(([from, to]) => from !== to).map(([from, to]) => changeOf(refs[i]!, from, to))
      })) as unknown as fc.Arbitrary<Plan['changes']>,
      validUntilSec: fc.bigInt({ min: 1n, max: 2n ** 40n }),
      nonce: fc.bigInt({ min: 0n, max: 2n ** 40n }),
    }),
  )

  test('behavior: undoes every change in reverse order, expects what the proposal sets, and takes the nonce after it', () => {
    fc.assert(
      fc.property(plans, (plan) => {
        const back = rollbackOf(target, plan)
        expect(back.reason).toBeNull()
        expect(back.plan).toEqual({ changes: plan.changes.map((change) => ({ ...change, from: change.to, to: change.from })).toReversed(), validUntilSec: plan.validUntilSec + WEEK, nonce: plan.nonce + 1n })
        expect(back.built).toEqual(build(target, back.plan!))
        expect(back.built!.calls[0]).toEqual(guardCall(target, back.plan!.changes, plan.validUntilSec + WEEK))
        expect(back.built!.calls.slice(1).map((call) => catalog.decodeChange(devnet, call))).toEqual(plan.changes.map((change) => ({ ref: { name: change.parameter, subject: change.subject }, value: change.from })).toReversed())
        // Back from the way back is where it started, a nonce and a deadline later.
        expect(rollbackOf(target, back.plan!).plan!.changes).toEqual(plan.changes)
      }),
      { numRuns: 50 },
    )
  })

  test('behavior: none exists where one change is irreversible, or where its setter would not take the old value back; the reason says which', () => {
    const fee = changeOf({ name: 'feeRatio', subject: lower(devnet.markets[0]!.baseToken) }, 1n, 2n)
    const pause = { ...changeOf({ name: 'marketStatus', subject: lower(devnet.markets[1]!.baseToken) }, 0n, 1n), subjectLabel: devnet.markets[1]!.symbol }
    const plan = { validUntilSec: 1n, nonce: 1n }
    expect(rollbackOf(target, { ...plan, changes: [fee, pause] })).toEqual({ plan: null, built: null, reason: `No rollback exists: the chain cannot take back marketStatus of ${devnet.markets[1]!.symbol}` })
    const never = changeOf({ name: 'surplusBeneficiary', subject: lower(devnet.contracts.clearingHouse) }, 0n, 5n)
    expect(rollbackOf(target, { ...plan, changes: [fee, never] }).reason).toMatch(/^No rollback exists: Found 0 for surplusBeneficiary, allowed is 1 to /)
  })

  test('error: a plan that cannot be built has no way back either: it throws as building it does', () => {
    const wrong = changeOf({ name: 'feeRatio', subject: lower(devnet.markets[0]!.baseToken) }, 1n, 1_000_001n)
    expect(() => rollbackOf(target, { changes: [wrong], validUntilSec: 1n, nonce: 1n })).toThrow(/^Found 1000001 for feeRatio, allowed is 0 to 1000000/)
  })

  test("behavior: behind a timelock, it stays open for the delay longer, because it has to wait as well", () => {
    const behind = { catalog, deployment: { ...devnet, governance: { kind: 'TIMELOCK', address: lower(executor.address), minDelaySec: 100 } as const } }
    const change = changeOf({ name: 'feeRatio', subject: lower(devnet.markets[0]!.baseToken) }, 1n, 2n)
    const back = rollbackOf(behind, { changes: [change], validUntilSec: 1_000n, nonce: 1n })
    expect(back.plan!.validUntilSec).toBe(1_000n + WEEK + 100n)
    expect(back.built!.queued).toMatchObject({ queueUntilSec: 1_000n + WEEK, executeUntilSec: 1_000n + WEEK + 100n })
  })
})

describe('the way back, on the real protocol and Safe', () => {
  let chain: TestChain
  let snapshot: string
  beforeAll(async () => {
    chain = await startTestChain()
  })
  afterAll(() => chain?.stop())
  beforeEach(async () => {
    if (snapshot !== undefined) await chain.rpc.call('evm_revert', [snapshot])
    snapshot = (await chain.rpc.call('evm_snapshot')) as string
  })

  const read = (change: { parameter: string; subject: Hex }) => readParameter({ catalog, deployment: chain.deployment }, chain.client, change)
  async function execute(plan: Plan): Promise<'success' | 'reverted'> {
    const safe = chain.deployment.safe!.address
    const { safeTx } = build({ catalog, deployment: chain.deployment }, plan)
    const signatures = await Promise.all([owners[0]!, owners[1]!].map((owner) => signWithKey(owner.privateKey, { chainId: chain.deployment.chainId, safe }, safeTx)))
    return (await mined(chain, { from: executor.address, to: safe, data: encodeExecution(safeTx, joinSignatures(signatures, 2)) })).status
  }
  async function planOf(wishes: readonly (readonly [name: string, to: bigint])[]): Promise<Plan> {
    const { timestamp } = await chain.client.getBlock()
    const nonce = await chain.client.readContract({ address: chain.deployment.safe!.address, abi: SAFE_ABI, functionName: 'nonce' })
    const changes = await Promise.all(wishes.map(async ([name, to]) => {
      const { subject } = catalog.refs(chain.deployment).find((ref) => ref.name === name)!
      return changeOf({ name, subject }, await read({ parameter: name, subject }), to)
    }))
    return { changes: changes as unknown as Plan['changes'], validUntilSec: timestamp + 3600n, nonce }
  }

  test('behavior: after the proposal it restores every value, even when the proposal was executed in its last second', async () => {
    const plan = await planOf([['marketMaxPriceSpreadRatio', 70_000n], ['depositCap', 5n], ['mmRatioBuffer', 900_000n], ['clearingHousePaused', 1n]])
    const back = rollbackOf({ catalog, deployment: chain.deployment }, plan)
    // Before the proposal there is nothing to undo: the precondition says no.
    expect(await execute({ ...back.plan!, nonce: plan.nonce })).toBe('reverted')
    await chain.rpc.call('evm_setNextBlockTimestamp', [Number(plan.validUntilSec)])
    expect(await execute(plan)).toBe('success')
    for (const change of plan.changes) expect(await read(change)).toBe(change.to)
    expect(await execute(back.plan!)).toBe('success')
    for (const change of plan.changes) expect(await read(change)).toBe(change.from)
  })

  test('behavior: an irreversible change executes like any other, and has no way back', async () => {
    const plan = await planOf([['marketStatus', 1n], ['feeRatio', 2_000n]])
    expect(rollbackOf({ catalog, deployment: chain.deployment }, plan).plan).toBeNull()
    expect(await execute(plan)).toBe('success')
    expect(await read(plan.changes[0])).toBe(1n)
    // Paused twice: the precondition expects an open market.
    expect(await execute({ ...plan, nonce: plan.nonce + 1n })).toBe('reverted')
  })
})
