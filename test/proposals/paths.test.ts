import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { decodeFunctionData, maxUint256 } from 'viem'
import type { Hex } from 'viem'
import { catalog } from '../../protocols/curie/parameters.ts'
import type { Call, Deployment, Governance } from '../../protocols/adapter.ts'
import { build, cancellation, crossCheck, readRecordedSafe } from '../../proposals/build.ts'
import type { Built, Plan, Signable } from '../../proposals/build.ts'
import type { Change } from '../../proposals/draft.ts'
import { GUARD_ADDRESS, guardCall, guardRefusal } from '../../proposals/guard.ts'
import { executeQueuedCall, governanceOf, mayExecute, queuedStatus, readQueued, readQueuedEvents, readRecordedGovernance, safeDeadlineSec, TIMELOCK_ABI } from '../../proposals/paths.ts'
import type { Queued } from '../../proposals/paths.ts'
import { decodeMultiSend, encodeExecution, lower, SAFE_ABI } from '../../proposals/safe.ts'
import { joinSignatures, signWithKey } from '../../proposals/sign.ts'
import { readParameter } from '../../proposals/simulate.ts'
import { executor, handToTimelock, mined, owners, startTestChain } from './chain.ts'
import type { TestChain } from './chain.ts'

const DELAY = 172_800
let chain: TestChain
let deployment: Deployment
let snapshot: string

beforeAll(async () => {
  chain = await startTestChain()
  deployment = await handToTimelock(chain, DELAY)
})
afterAll(() => chain?.stop())
beforeEach(async () => {
  if (snapshot !== undefined) await chain.rpc.call('evm_revert', [snapshot])
  snapshot = (await chain.rpc.call('evm_snapshot')) as string
})

const target = () => ({ catalog, deployment })
const timelock = () => (governanceOf(deployment) as Extract<Governance, { kind: 'TIMELOCK' }>).address
const now = async () => (await chain.client.getBlock()).timestamp
const read = (parameter: string, subject: Hex) => readParameter(target(), chain.client, { parameter, subject })

async function changeOf(parameter: string, subject: Hex, to: bigint): Promise<Change> {
  return { parameter, scope: catalog.find(parameter).scope, subject: lower(subject), subjectLabel: parameter, from: await read(parameter, subject), to }
}
const changes = async (): Promise<Plan['changes']> => [
  await changeOf('marketMaxPriceSpreadRatio', deployment.markets[0]!.baseToken, 70_000n),
  await changeOf('distributionThreshold', deployment.contracts.clearingHouse, 123_456n),
  await changeOf('depositCap', deployment.collaterals[0]!.token, 777n),
]
async function plan(validForSec = BigInt(DELAY) + 3600n): Promise<Plan> {
  const nonce = await chain.client.readContract({ address: deployment.safe!.address, abi: SAFE_ABI, functionName: 'nonce' })
  return { changes: await changes(), validUntilSec: (await now()) + validForSec, nonce }
}

async function send(call: Pick<Call, 'to' | 'data'>): Promise<{ status: 'success' | 'reverted'; hash: Hex; block: bigint }> {
  const { status, transactionHash, blockNumber } = await mined(chain, { from: executor.address, to: call.to, data: call.data })
  return { status, hash: transactionHash, block: blockNumber }
}
async function executeBySafe({ safeTx }: Signable) {
  const signatures = await Promise.all([owners[0]!, owners[1]!].map((owner) => signWithKey(owner.privateKey, { chainId: deployment.chainId, safe: deployment.safe!.address }, safeTx)))
  return send({ to: deployment.safe!.address, data: encodeExecution(safeTx, joinSignatures(signatures, 2)) })
}
const at = (sec: bigint) => chain.rpc.call('evm_setNextBlockTimestamp', [Number(sec)])
async function revertData(call: Pick<Call, 'to' | 'data'>): Promise<Hex> {
  const response = await fetch(chain.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_call', params: [{ to: call.to, data: call.data, from: executor.address }, 'latest'] }) })
  return ((await response.json()) as { error?: { data?: Hex } }).error?.data ?? '0x'
}
const queuedOf = (built: Built): Queued => {
  expect(built.queued).not.toBeNull()
  return built.queued!
}
const status = (queued: Queued) => readQueued(chain.client, queued)

describe('Safe → TimelockController', () => {
  test('behavior: what the Safe schedules is executed by anybody after the delay, and the parameters then stand on chain', async () => {
    const made = await plan()
    const built = build(target(), made)
    const queued = queuedOf(built)
    await readRecordedSafe(chain.client, deployment)
    await crossCheck(chain.url, deployment, built)
    expect(await status(queued)).toEqual({ state: 'UNSET', readyAtSec: null, secondsLeft: null })

    const scheduled = await executeBySafe(built)
    expect(scheduled.status).toBe('success')
    const scheduledAt = await now()
    expect(await status(queued)).toEqual({ state: 'WAITING', readyAtSec: scheduledAt + BigInt(DELAY), secondsLeft: BigInt(DELAY) })
    expect(await read('distributionThreshold', deployment.contracts.clearingHouse)).toBe(made.changes[1]!.from)
    expect((await send(executeQueuedCall(queued))).status).toBe('reverted')

    await at(scheduledAt + BigInt(DELAY))
    await chain.rpc.call('evm_mine')
    expect(await status(queued)).toMatchObject({ state: 'READY', secondsLeft: 0n })
    expect(await mayExecute(chain.client, queued, executor.address)).toBe(true)
    const executed = await send(executeQueuedCall(queued))
    expect(executed.status).toBe('success')
    for (const change of made.changes) expect(await read(change.parameter, change.subject)).toBe(change.to)
    expect(await status(queued)).toEqual({ state: 'DONE', readyAtSec: null, secondsLeft: null })
    expect(await readQueuedEvents(chain.client, queued, 0n, executed.block)).toEqual([
      { kind: 'SCHEDULED', txHash: scheduled.hash, block: scheduled.block },
      { kind: 'EXECUTED', txHash: executed.hash, block: executed.block },
    ])
    expect((await send(executeQueuedCall(queued))).status).toBe('reverted')
  })

  test("behavior: the operation's id is the timelock's own, its salt the Safe transaction's, and its first call the precondition", async () => {
    const made = await plan()
    const built = build(target(), made)
    const queued = queuedOf(built)
    const { functionName, args } = decodeFunctionData({ abi: TIMELOCK_ABI, data: built.safeCalls[1].data })
    expect(functionName).toBe('scheduleBatch')
    const [targets, values, payloads, predecessor, salt, delay] = args as readonly [Hex[], bigint[], Hex[], Hex, Hex, bigint]
    const id = await chain.client.readContract({
      address: timelock(),
      abi: [{ type: 'function', name: 'hashOperationBatch', stateMutability: 'pure', inputs: [{ type: 'address[]' }, { type: 'uint256[]' }, { type: 'bytes[]' }, { type: 'bytes32' }, { type: 'bytes32' }], outputs: [{ type: 'bytes32' }] }] as const,
      functionName: 'hashOperationBatch',
      args: [targets, values, payloads, predecessor, salt],
    })
    expect({ id, predecessor, salt, delay }).toEqual({ id: queued.id, predecessor: queued.predecessor, salt: queued.salt, delay: BigInt(DELAY) })
    expect(payloads).toEqual(built.calls.map((call) => call.data))
    expect(lower(targets[0]!)).toBe(GUARD_ADDRESS)
    expect(decodeMultiSend(built.safeTx.data)).toEqual(built.safeCalls.map((call) => ({ ...call, operation: 0 })))
    // The two preconditions differ by the delay alone: what cannot be executed in time is not scheduled.
    expect(built.safeCalls[0]).toEqual(guardCall(target(), made.changes, made.validUntilSec - BigInt(DELAY)))
    expect(built.calls[0]).toEqual(guardCall(target(), made.changes, made.validUntilSec))
    const next = queuedOf(build(target(), { ...made, nonce: made.nonce + 1n }))
    expect([next.salt === queued.salt, next.id === queued.id]).toEqual([false, false])
  })

  test('behavior: a value that drifts during the delay stops the execution, by the name of the parameter', async () => {
    const made = await plan()
    const built = build(target(), made)
    const queued = queuedOf(built)
    await executeBySafe(built)
    // Somebody else changes the value: impersonating the timelock is that somebody.
    const meddling = catalog.encodeChange(deployment, { name: 'depositCap', subject: deployment.collaterals[0]!.token }, 5n)
    await chain.rpc.call('anvil_impersonateAccount', [timelock()])
    await mined(chain, { from: timelock(), to: meddling.to, data: meddling.data })
    await at((await now()) + BigInt(DELAY))
    await chain.rpc.call('evm_mine')
    // The timelock passes the reason on.
    expect(guardRefusal(target(), made.changes, await revertData(executeQueuedCall(queued)))).toBe(`depositCap of depositCap is 5, expected ${made.changes[2]!.from}`)
    expect((await send(executeQueuedCall(queued))).status).toBe('reverted')
    expect(await read('marketMaxPriceSpreadRatio', deployment.markets[0]!.baseToken)).toBe(made.changes[0].from)
  })

  test('behavior: it cannot be executed after the deadline, nor scheduled when it could not be executed in time', async () => {
    const made = await plan(BigInt(DELAY) + 100n)
    const built = build(target(), made)
    const queued = queuedOf(built)
    const last = safeDeadlineSec(deployment, made.validUntilSec)
    expect([last, queued.executeUntilSec]).toEqual([queued.queueUntilSec, made.validUntilSec])
    const before = await chain.rpc.call('evm_snapshot')
    await at(last + 1n)
    expect((await executeBySafe(built)).status).toBe('reverted')
    await chain.rpc.call('evm_revert', [before])

    await at(last)
    expect((await executeBySafe(built)).status).toBe('success')
    expect(await status(queued)).toMatchObject({ state: 'WAITING', readyAtSec: made.validUntilSec })
    const waiting = await chain.rpc.call('evm_snapshot')
    await at(made.validUntilSec)
    expect((await send(executeQueuedCall(queued))).status).toBe('success')
    await chain.rpc.call('evm_revert', [waiting])
    await at(made.validUntilSec + 1n)
    await chain.rpc.call('evm_mine')
    expect(await status(queued)).toMatchObject({ state: 'EXPIRED' })
    expect(guardRefusal(target(), made.changes, await revertData(executeQueuedCall(queued)))).toMatch(/^the deadline \d+ has passed/)
  })

  test('behavior: the Safe takes a scheduled operation out again, and nobody can execute it then', async () => {
    const made = await plan()
    const built = build(target(), made)
    const queued = queuedOf(built)
    await executeBySafe(built)
    const cancelling = cancellation(deployment, queued, made.nonce + 1n)
    expect(cancelling.safeTx).toMatchObject({ operation: 0, to: timelock(), value: 0n })
    const cancelled = await executeBySafe(cancelling)
    expect(cancelled.status).toBe('success')
    expect(await status(queued)).toMatchObject({ state: 'UNSET' })
    expect((await readQueuedEvents(chain.client, queued, 0n, cancelled.block)).map((event) => event.kind)).toEqual(['SCHEDULED', 'CANCELLED'])
    await at((await now()) + BigInt(DELAY))
    expect((await send(executeQueuedCall(queued))).status).toBe('reverted')
  })

  test('error: a timelock that is not as recorded is named before anything is drafted', async () => {
    const other = (governance: Partial<Extract<Deployment['governance'], { kind: 'TIMELOCK' }>>): Deployment => ({ ...deployment, governance: { kind: 'TIMELOCK', address: timelock(), minDelaySec: DELAY, ...governance } })
    expect(await readRecordedGovernance(chain.client, deployment)).toEqual({ anyone: true, safe: false })
    await expect(readRecordedSafe(chain.client, other({ minDelaySec: 60 }))).rejects.toThrow(`Found a minimum delay of ${DELAY} at the timelock ${timelock()}, recorded is 60; correct the deployment's record before anything is signed`)
    await expect(readRecordedGovernance(chain.client, other({ address: executor.address }))).rejects.toThrow(`the timelock ${lower(executor.address)} did not answer`)
    const stranger = { ...deployment, safe: { ...deployment.safe!, address: executor.address } }
    await expect(readRecordedGovernance(chain.client, stranger)).rejects.toThrow("Found the Safe's right to propose: false at the timelock")
  })

  test('error: a deadline shorter than the delay itself is refused', async () => {
    const made = await plan()
    expect(() => build(target(), { ...made, validUntilSec: BigInt(DELAY) - 1n })).toThrow(`Found a deadline of ${DELAY - 1}, the timelock ${timelock()} takes ${DELAY} s; choose a later one`)
  })
})

describe('a timelock whose executor is the Safe', () => {
  test('behavior: says who may execute', async () => {
    const fresh = await startTestChain()
    try {
      const closed = await handToTimelock(fresh, 60, false)
      expect(await readRecordedGovernance(fresh.client, closed)).toEqual({ anyone: false, safe: true })
      const time = (await fresh.client.getBlock()).timestamp
      const change: Change = { parameter: 'marketMaxPriceSpreadRatio', scope: 'MARKET', subject: lower(closed.markets[0]!.baseToken), subjectLabel: 'vETH', from: 100_000n, to: 70_000n }
      const { queued } = build({ catalog, deployment: closed }, { changes: [change], validUntilSec: time + 3600n, nonce: 4n })
      expect([await mayExecute(fresh.client, queued!, executor.address), await mayExecute(fresh.client, queued!, closed.safe!.address)]).toEqual([false, true])
    } finally {
      await fresh.stop()
    }
  })
})

describe('the status of an operation', () => {
  test('behavior: follows from what the timelock keeps, the deadline and the time, for any of them', () => {
    const sec = fc.bigInt({ min: 2n, max: 2n ** 64n })
    fc.assert(
      fc.property(sec, sec, sec, (kept, executeUntilSec, nowSec) => {
        const { state, readyAtSec, secondsLeft } = queuedStatus({ executeUntilSec }, kept, nowSec)
        expect(readyAtSec).toBe(kept)
        expect(secondsLeft).toBe(kept > nowSec ? kept - nowSec : 0n)
        // Ready means executable in this very second; waiting, that there is a second in time at which it will be.
        expect(state === 'READY').toBe(kept <= nowSec && nowSec <= executeUntilSec)
        expect(state === 'WAITING').toBe(kept > nowSec && kept <= executeUntilSec)
      }),
    )
    expect(queuedStatus({ executeUntilSec: maxUint256 }, 0n, 5n).state).toBe('UNSET')
    expect(queuedStatus({ executeUntilSec: maxUint256 }, 1n, 5n).state).toBe('DONE')
  })
})
