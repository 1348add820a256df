import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { encodeFunctionData, parseAbi } from 'viem'
import { build, safeOf } from '../../proposals/build.ts'
import type { Plan } from '../../proposals/build.ts'
import { labelOf } from '../../proposals/draft.ts'
import type { Change, Target } from '../../proposals/draft.ts'
import { rollbackOf } from '../../proposals/rollback.ts'
import { simulate } from '../../proposals/simulate.ts'
import type { SimulationResult } from '../../proposals/simulate.ts'
import type { Address, Deployment, Hex } from '../../protocols/adapter.ts'
import { catalog } from '../../protocols/curie/parameters.ts'
import { handToTimelock, startTestChain, type TestChain } from './chain.ts'

const DELAY_SEC = 86_400

let chain: TestChain
let timelocked: TestChain
let behindTimelock: Deployment
beforeAll(async () => {
  chain = await startTestChain()
  timelocked = await startTestChain()
  behindTimelock = await handToTimelock(timelocked, DELAY_SEC)
})
afterAll(async () => {
  await chain?.stop()
  await timelocked?.stop()
})

async function changeOf(of: TestChain, parameter: string, subject: string, to: bigint): Promise<Change> {
  const spec = catalog.find(parameter)
  const call = catalog.encodeRead(of.deployment, { name: parameter, subject: subject as Address })
  const { data } = await of.client.call({ to: call.to, data: call.data })
  return { parameter, scope: spec.scope, subject: subject.toLowerCase() as Address, subjectLabel: labelOf(of.deployment, spec.scope, subject as Address), from: catalog.decodeRead({ name: parameter, subject: subject as Address }, data!), to }
}

async function run(of: TestChain, deployment: Deployment, changes: readonly Change[], validForSec = 10n * 86_400n): Promise<SimulationResult> {
  const head = await of.client.getBlock()
  const target: Target = { catalog, deployment }
  const plan: Plan = { changes: changes as Plan['changes'], validUntilSec: head.timestamp + validForSec, nonce: 11n }
  const back = rollbackOf(target, plan)
  const { result } = await simulate(target, plan, build(target, plan), { rpcUrl: of.url, stateDir: of.stateDir, block: { number: head.number, hash: head.hash }, rollback: back.plan === null ? null : back })
  return result
}

const band = async (of: TestChain, to: bigint): Promise<Change> => await changeOf(of, 'marketMaxPriceSpreadRatio', of.deployment.markets[0]!.baseToken, to)
const penalty = async (of: TestChain, to: bigint): Promise<Change> => await changeOf(of, 'liquidationPenaltyRatio', of.deployment.contracts.clearingHouse, to)

describe('through the Safe', () => {
  test('behavior: one execution, each call with its gas, every other parameter as it was, and the chain untouched', async () => {
    const head = await chain.client.getBlockNumber()
    const result = await run(chain, chain.deployment, [await band(chain, 70_000n), await penalty(chain, 20_000n)])
    expect(result).toMatchObject({ version: 2, success: true, failure: null, warnings: [], accounts: [], stages: [{ what: 'execTransaction', success: true }] })
    expect(result.results.map((each) => [each.what, each.success])).toEqual([['the precondition', true], ['marketMaxPriceSpreadRatio of vETH', true], ['liquidationPenaltyRatio of protocol', true]])
    expect(result.results.every((each) => BigInt(each.gasUsed!) > 0n)).toBe(true)
    expect(result.results.reduce((sum, each) => sum + BigInt(each.gasUsed!), 0n)).toBeLessThan(BigInt(result.gasUsed!))
    expect(result.others).toEqual({ read: catalog.refs(chain.deployment).length - 2, changed: [] })
    expect(result.storage.flatMap((slot) => slot.variables.map((each) => each.label)).toSorted()).toEqual(['_liquidationPenaltyRatio', '_marketMaxPriceSpreadRatioMap[vETH]', 'nonce'])
    expect(await chain.client.getBlockNumber()).toBe(head)
  })

  test('behavior: the way back is run on what the batch left, in reverse order', async () => {
    const changes = [await band(chain, 70_000n), await penalty(chain, 20_000n)]
    const { rollback } = await run(chain, chain.deployment, changes)
    expect(rollback).toMatchObject({ success: true, others: { changed: [] }, warnings: [] })
    expect(rollback!.parameters.map(({ name, before, after }) => ({ name, before, after }))).toEqual([
      { name: 'liquidationPenaltyRatio', before: '20000', after: String(changes[1]!.from) },
      { name: 'marketMaxPriceSpreadRatio', before: '70000', after: String(changes[0]!.from) },
    ])
  })

  test('behavior: what cannot be undone has no way back', async () => {
    const result = await run(chain, chain.deployment, [await changeOf(chain, 'marketStatus', chain.deployment.markets[0]!.baseToken, 1n)])
    expect(result).toMatchObject({ success: true, rollback: null })
    expect(result.storage.flatMap((slot) => slot.variables).filter((each) => each.parameter !== null).map((each) => each.label)).toEqual(expect.arrayContaining(['_status', '_pausedTimestamp']))
  })

  test('error: a deadline that has passed is refused by the precondition', async () => {
    const result = await run(chain, chain.deployment, [await band(chain, 70_000n)], -1n)
    expect(result).toMatchObject({ success: false, gasUsed: null, rollback: null, failure: expect.stringMatching(/^Call 1 \(the precondition\) fails: the deadline \d+ has passed: the block's time is \d+$/) })
  })

  test('error: a call that the contract refuses is named with its reason, and none after it', async () => {
    // ClearingHouseConfig: a partial close above 100 % is refused (CHC_IPCR); the catalog would not encode it.
    const wide: Target['catalog'] = { ...catalog, encodeChange: (deployment, ref, value) => ref.name === 'partialCloseRatio' ? { to: deployment.contracts.clearingHouseConfig, value: 0n, data: encodeFunctionData({ abi: parseAbi(['function setPartialCloseRatio(uint24)']), functionName: 'setPartialCloseRatio', args: [Number(value)] }) } : catalog.encodeChange(deployment, ref, value) }
    const head = await chain.client.getBlock()
    const target: Target = { catalog: wide, deployment: chain.deployment }
    const changes = [await changeOf(chain, 'partialCloseRatio', chain.deployment.contracts.clearingHouse, 1_000_001n), await band(chain, 70_000n)]
    const plan: Plan = { changes: changes as unknown as Plan['changes'], validUntilSec: head.timestamp + 600n, nonce: 11n }
    const { result } = await simulate(target, plan, build(target, plan), { rpcUrl: chain.url, stateDir: chain.stateDir, block: { number: head.number, hash: head.hash } })
    expect(result.failure).toMatch(/^Call 2 \(partialCloseRatio of protocol\) fails: reverted with ".+"$/)
    expect(result.results.map((each) => each.success)).toEqual([true, false])
    expect(result.parameters.map((each) => each.after)).toEqual(result.parameters.map((each) => each.before))
  })

  test('error: a guard of the Safe that refuses is not gone around', async () => {
    // A guard that reverts with "no" on every check: its code is set on a copy of the chain alone.
    const guard: Address = '0x00000000000000000000000000000000000000d1'
    const word = 'no'.padEnd(2)
    const message = `0x08c379a0${'20'.padStart(64, '0')}${'2'.padStart(64, '0')}${Buffer.from(word).toString('hex').padEnd(64, '0')}` as Hex
    const length = (message.length - 2) / 2
    // CODECOPY the message that follows the 12 bytes of code, and revert with it.
    const code = `0x60${length.toString(16).padStart(2, '0')}600c60003960${length.toString(16).padStart(2, '0')}6000fd${message.slice(2)}`
    const snapshot = await chain.rpc.call<Hex>('evm_snapshot', [])
    await chain.rpc.call('anvil_setCode', [guard, code])
    await chain.rpc.call('anvil_setStorageAt', [safeOf(chain.deployment).address, '0x4a204f620c8c5ccdca3fd54d003badd85ba500436a431f0cbda4f558c93c34c8', `0x${guard.slice(2).padStart(64, '0')}`])
    await chain.rpc.call('evm_mine', [])
    const result = await run(chain, chain.deployment, [await band(chain, 70_000n)])
    expect(result).toMatchObject({ success: false, results: [], failure: `The Safe's execTransaction does not go through: reverted with "no"; look for a guard of the Safe` })
    await chain.rpc.call('evm_revert', [snapshot])
  })
})

describe('through a timelock', () => {
  test('behavior: scheduled by the Safe, executed in the first second that the delay allows', async () => {
    const result = await run(timelocked, behindTimelock, [await band(timelocked, 70_000n)])
    expect(result.failure).toBeNull()
    expect(result.stages.map((each) => each.what)).toEqual(['execTransaction', 'execute'])
    expect(BigInt(result.stages[1]!.timestampSec) - BigInt(result.stages[0]!.timestampSec)).toBe(BigInt(DELAY_SEC))
    expect(result.results.map((each) => each.what)).toEqual(['the precondition before it is queued', 'queueing it at the timelock', 'the precondition', 'marketMaxPriceSpreadRatio of vETH'])
    expect(result.events.map((event) => event.name)).toEqual(expect.arrayContaining(['CallScheduled', 'CallExecuted', 'MarketMaxPriceSpreadRatioChanged']))
    expect(result.events.every((event) => event.name !== null)).toBe(true)
    expect(result.storage.some((slot) => slot.undecoded)).toBe(false)
    expect(result.warnings).toEqual([])
    expect(result.parameters).toMatchObject([{ after: '70000' }])
    expect(result.rollback).toMatchObject({ success: true, stages: [{ what: 'execTransaction' }, { what: 'execute' }] })
  })

  test('error: a deadline that comes before the delay is over is refused before anything is queued', async () => {
    const result = await run(timelocked, behindTimelock, [await band(timelocked, 70_000n)], BigInt(DELAY_SEC) - 10n)
    expect(result).toMatchObject({ success: false, results: [{ success: false }] })
    expect(result.failure).toMatch(/^Call 1 \(the precondition before it is queued\) fails: the deadline \d+ has passed/)
  })
})
