import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { concatHex, encodeErrorResult, encodeFunctionData, keccak256, maxUint256, numberToHex, toFunctionSelector, zeroHash } from 'viem'
import type { Hex } from 'viem'
import { catalog } from '../../protocols/curie/parameters.ts'
import type { Call, Expectation, ParameterRef } from '../../protocols/adapter.ts'
import { assertGuard, DEPLOYMENT_PROXY, GUARD_ABI, GUARD_ADDRESS, guardCall, guardRefusal, PRECONDITION } from '../../proposals/guard.ts'
import { build, readRecordedSafe, rejection } from '../../proposals/build.ts'
import type { Change } from '../../proposals/draft.ts'
import { compilePrecondition } from '../../proposals/contracts/compile.ts'
import { encodeExecution, hashesOf, lower, SAFE_ABI, singleTxOf } from '../../proposals/safe.ts'
import { joinSignatures, signWithKey } from '../../proposals/sign.ts'
import { readParameter } from '../../proposals/simulate.ts'
import { executor, mined, owners, startTestChain } from './chain.ts'
import type { TestChain } from './chain.ts'

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

const target = () => ({ catalog, deployment: chain.deployment })
const market = () => chain.deployment.markets[0]!
const now = async () => (await chain.client.getBlock()).timestamp
const valueOf = (ref: ParameterRef) => readParameter(target(), chain.client, { parameter: ref.name, subject: ref.subject })

/** What `eth_call` answers: the data, or the data that it reverted with. */
async function ask(call: Pick<Call, 'to' | 'data'>): Promise<{ reverted: boolean; data: Hex }> {
  const response = await fetch(chain.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_call', params: [{ to: call.to, data: call.data }, 'latest'] }) })
  const answer = (await response.json()) as { result?: Hex; error?: { data?: Hex } }
  return answer.result === undefined ? { reverted: true, data: answer.error?.data ?? '0x' } : { reverted: false, data: answer.result }
}

const check = (expectations: readonly Expectation[], deadline: bigint) => ask({ to: GUARD_ADDRESS, data: encodeFunctionData({ abi: GUARD_ABI, functionName: 'check', args: [expectations, deadline] }) })
/** ABI-encoded custom error: its selector and its arguments as words. */
const error = (signature: string, ...words: readonly bigint[]): Hex => concatHex([toFunctionSelector(`function ${signature}`), ...words.map((word) => numberToHex(word, { size: 32 }))])

async function changeOf(parameter: string, subject: Hex, to: bigint): Promise<Change> {
  const { scope } = catalog.find(parameter)
  return { parameter, scope, subject: lower(subject), subjectLabel: subject === market().baseToken ? market().symbol : 'protocol', from: await valueOf({ name: parameter, subject }), to }
}

describe('the contract as committed', () => {
  test('default: solc makes the same bytes of the same source', async () => {
    expect(await compilePrecondition()).toEqual(PRECONDITION)
    expect(keccak256(PRECONDITION.runtime)).toBe(PRECONDITION.codeHash)
    expect(PRECONDITION.sourceHash).toBe(keccak256(readFileSync(new URL('../../proposals/contracts/Precondition.sol', import.meta.url))))
  })

  test('behavior: its address follows from the deployment proxy, salt 0 and its creation code (EIP-1014)', async () => {
    const address = `0x${keccak256(concatHex(['0xff', DEPLOYMENT_PROXY, zeroHash, keccak256(PRECONDITION.bytecode)])).slice(-40)}`
    expect(GUARD_ADDRESS).toBe(address)
    expect(await chain.client.getCode({ address: GUARD_ADDRESS })).toBe(PRECONDITION.runtime)
    // What the proxy's published transaction leaves on every chain.
    expect(await chain.client.getCode({ address: DEPLOYMENT_PROXY })).toBe('0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3')
  })

  test('behavior: it can only read: no opcode of it writes, logs, creates, pays, delegates or destroys', () => {
    const forbidden = new Map([[0x55, 'SSTORE'], [0x5d, 'TSTORE'], [0xf0, 'CREATE'], [0xf1, 'CALL'], [0xf2, 'CALLCODE'], [0xf4, 'DELEGATECALL'], [0xf5, 'CREATE2'], [0xff, 'SELFDESTRUCT'], [0xa0, 'LOG0'], [0xa1, 'LOG1'], [0xa2, 'LOG2'], [0xa3, 'LOG3'], [0xa4, 'LOG4']])
    const code = Buffer.from(PRECONDITION.runtime.slice(2), 'hex')
    const found: number[] = []
    // PUSH1 to PUSH32 carry their operand behind them.
    for (let at = 0; at < code.length; at += code[at]! >= 0x60 && code[at]! <= 0x7f ? code[at]! - 0x5f + 1 : 1) found.push(code[at]!)
    expect(found.filter((opcode) => forbidden.has(opcode)).map((opcode) => forbidden.get(opcode))).toEqual([])
    expect(found).toContain(0xfa) // STATICCALL
  })

  test('behavior: the one function and the errors are those that proposals encode and decode', () => {
    const names = (abi: readonly unknown[]) => abi.map((item) => `${(item as { type: string; name: string }).type} ${(item as { name: string }).name}`).toSorted()
    expect(names(PRECONDITION.abi)).toEqual(names(GUARD_ABI.filter((item) => item.type !== undefined)))
  })
})

describe('what it expects', () => {
  test('behavior: for every parameter of the deployment, its present value passes and any other is refused with both values', async () => {
    const refs = [...catalog.refs(chain.deployment), { name: 'whitelistedDebtThreshold', subject: lower(executor.address) }]
    expect(new Set(refs.map((ref) => ref.name)).size).toBe(catalog.specs.length)
    const values = await Promise.all(refs.map(valueOf))
    const expectations = refs.map((ref, i) => catalog.expectation(chain.deployment, ref, values[i]!))
    expect(await check(expectations, maxUint256)).toEqual({ reverted: false, data: '0x' })
    for (const [i, ref] of refs.entries()) {
      const other = catalog.expectation(chain.deployment, ref, ref.name === 'marketStatus' ? 1n - values[i]! : values[i]! + 1n)
      const found = BigInt(expectations[i]!.expected)
      expect(await check([other], maxUint256)).toEqual({ reverted: true, data: error('Drifted(uint256,bytes32,bytes32)', 0n, found, BigInt(other.expected)) })
      expect(catalog.valueOfWord(ref, expectations[i]!.expected)).toBe(values[i])
    }
  })

  test('behavior: whichever value has drifted, the first one is named by its index, and nothing else passes', async () => {
    const refs = catalog.refs(chain.deployment).filter((ref) => ref.name !== 'marketStatus')
    const values = await Promise.all(refs.map(valueOf))
    const picked = fc.uniqueArray(fc.nat(refs.length - 1), { minLength: 1, maxLength: 8 }).chain((indices) => fc.record({ indices: fc.constant(indices), drifted: fc.array(fc.boolean(), { minLength: indices.length, maxLength: indices.length }), by: fc.bigInt({ min: 1n, max: 2n ** 255n }) }))
    await fc.assert(
      fc.asyncProperty(picked, async ({ indices, drifted, by }) => {
        const expectations = indices.map((i, at) => catalog.expectation(chain.deployment, refs[i]!, BigInt.asUintN(256, values[i]! + (drifted[at]! ? by : 0n))))
        const first = drifted.indexOf(true)
        const refusal = (index: number) => ({ reverted: true, data: error('Drifted(uint256,bytes32,bytes32)', BigInt(index), values[indices[index]!]!, BigInt(expectations[index]!.expected)) })
        expect(await check(expectations, maxUint256)).toEqual(first === -1 ? { reverted: false, data: '0x' } : refusal(first))
      }),
      { numRuns: 60 },
    )
  })

  test('behavior: the deadline itself is in time, the second after it is not', async () => {
    const time = await now()
    const one = [catalog.expectation(chain.deployment, { name: 'mmRatio', subject: chain.deployment.contracts.clearingHouse }, 62_500n)]
    // anvil's eth_call on `latest` runs at the time of the latest block or of the next.
    const probe = await check(one, 0n)
    const at = BigInt(`0x${probe.data.slice(-64)}`)
    expect(at).toBeGreaterThanOrEqual(time)
    expect(await check(one, at)).toEqual({ reverted: false, data: '0x' })
    expect(await check(one, at - 1n)).toEqual({ reverted: true, data: error('Expired(uint256,uint256)', at - 1n, at) })
  })

  test('error: refuses to expect nothing, an address without a contract, a getter that reverts, and an answer without that word', async () => {
    const house = chain.deployment.contracts.clearingHouse
    const word = catalog.expectation(chain.deployment, { name: 'mmRatio', subject: house }, 62_500n)
    expect(await check([], maxUint256)).toEqual({ reverted: true, data: error('NothingExpected()') })
    expect(await check([word, { ...word, target: executor.address }], maxUint256)).toEqual({ reverted: true, data: error('NoContract(uint256,address)', 1n, BigInt(executor.address)) })
    for (const at of [1n, 2n ** 251n, maxUint256]) expect(await check([{ ...word, word: at }], maxUint256)).toEqual({ reverted: true, data: error('AnswerTooShort(uint256,uint256)', 0n, 32n) })
    const refused = await check([{ ...word, callData: '0xdeadbeef' }], maxUint256)
    expect(refused.data.slice(0, 10)).toBe(toFunctionSelector('function Unreadable(uint256,address,bytes)'))
  })

  test('error: cannot be made to change anything: a setter among the expectations reverts', async () => {
    const call = catalog.encodeChange(chain.deployment, { name: 'liquidationPenaltyRatio', subject: chain.deployment.contracts.clearingHouse }, 1n)
    const refused = await check([{ target: call.to, callData: call.data, word: 0n, expected: zeroHash }], maxUint256)
    expect(refused.data.slice(0, 10)).toBe(toFunctionSelector('function Unreadable(uint256,address,bytes)'))
    // Nor is there a function besides check, or a way to leave ether there.
    expect(await ask({ to: GUARD_ADDRESS, data: '0x' })).toMatchObject({ reverted: true })
    expect(await ask({ to: GUARD_ADDRESS, data: '0x12345678' })).toMatchObject({ reverted: true })
  })

  test('behavior: compares exactly the word that is named, of an answer of any length, and passes on the reason of a revert', async () => {
    const [echo, refuse]: readonly [Hex, Hex] = [`0x${'ec'.repeat(20)}`, `0x${'ed'.repeat(20)}`]
    // CALLDATACOPY all to 0; RETURN or REVERT it.
    await chain.rpc.call('anvil_setCode', [echo, '0x366000600037366000f3'])
    await chain.rpc.call('anvil_setCode', [refuse, '0x366000600037366000fd'])
    const answer = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes))
    await fc.assert(
      fc.asyncProperty(answer, fc.bigInt({ min: 0n, max: 8n }), fc.boolean(), async (bytes, word, right) => {
        const callData: Hex = `0x${bytes.toString('hex')}`
        const at = Number(word) * 32
        const found = BigInt(`0x${bytes.subarray(at, at + 32).toString('hex').padEnd(64, '0')}`)
        const expected = right ? found : found ^ 1n
        const refusal = bytes.length < at + 32 ? error('AnswerTooShort(uint256,uint256)', 0n, BigInt(bytes.length)) : right ? null : error('Drifted(uint256,bytes32,bytes32)', 0n, found, expected)
        const asked = { target: echo, callData, word, expected: numberToHex(expected, { size: 32 }) }
        expect(await check([asked], maxUint256)).toEqual(refusal === null ? { reverted: false, data: '0x' } : { reverted: true, data: refusal })
        expect((await check([{ ...asked, target: refuse }], maxUint256)).data).toBe(encodeErrorResult({ abi: GUARD_ABI, errorName: 'Unreadable', args: [0n, refuse, callData] }))
      }),
      { numRuns: 150 },
    )
  })

  test('behavior: its refusals are said in one sentence, with the parameter by name and the values in its unit', async () => {
    const changes = [await changeOf('marketMaxPriceSpreadRatio', market().baseToken, 70_000n), await changeOf('marketStatus', market().baseToken, 1n), await changeOf('depositCap', chain.deployment.collaterals[0]!.token, 5n)] as const
    const refusal = async (call: Call) => guardRefusal(target(), changes, (await ask(call)).data)
    const late = guardCall(target(), changes, 1n)
    expect(await refusal(late)).toMatch(/^the deadline 1 has passed: the block's time is \d+$/)
    const moved = changes.map((change) => ({ ...change, from: change.from + (change.parameter === 'depositCap' ? 7n : 0n) }))
    expect(guardRefusal(target(), moved, (await ask(guardCall(target(), moved, maxUint256))).data)).toBe(`depositCap of protocol is ${changes[2].from}, expected ${changes[2].from + 7n}`)
    const closed = [{ ...changes[1], from: 1n }]
    expect(guardRefusal(target(), closed, (await ask(guardCall(target(), closed, maxUint256))).data)).toBe(`marketStatus of ${market().symbol} is 0, expected 1`)
    expect(guardRefusal(target(), changes, '0x')).toBeNull()
    expect(guardRefusal(target(), changes, '0x08c379a0')).toBeNull()
  })
})

describe('a signed batch, through the real Safe', () => {
  const domain = () => ({ chainId: chain.deployment.chainId, safe: chain.deployment.safe!.address })
  const band = async (to: bigint) => [await changeOf('marketMaxPriceSpreadRatio', market().baseToken, to)] as const
  const safeNonce = () => chain.client.readContract({ address: chain.deployment.safe!.address, abi: SAFE_ABI, functionName: 'nonce' })

  async function signed(changes: readonly [Change, ...Change[]], validUntilSec: bigint, nonce: bigint): Promise<Hex> {
    const { safeTx } = build(target(), { changes, validUntilSec, nonce })
    const signatures = await Promise.all([owners[0]!, owners[2]!].map((owner) => signWithKey(owner.privateKey, domain(), safeTx)))
    return encodeExecution(safeTx, joinSignatures(signatures, 2))
  }
  async function send(data: Hex): Promise<'success' | 'reverted'> {
    return (await mined(chain, { from: executor.address, to: chain.deployment.safe!.address, data })).status
  }
  /** Somebody else changes the value: impersonating the owner is that somebody. */
  async function meddle(to: bigint): Promise<void> {
    const call = catalog.encodeChange(chain.deployment, { name: 'marketMaxPriceSpreadRatio', subject: market().baseToken }, to)
    await chain.rpc.call('anvil_impersonateAccount', [chain.deployment.safe!.address])
    await mined(chain, { from: chain.deployment.safe!.address, to: call.to, data: call.data })
  }

  test('behavior: two old signatures cannot execute a change whose value has moved: nothing happens, and the nonce stays', async () => {
    const nonce = await safeNonce()
    const execution = await signed([...(await band(70_000n)), await changeOf('liquidationPenaltyRatio', chain.deployment.contracts.clearingHouse, 31_000n)], (await now()) + 3600n, nonce)
    const penalty = await valueOf({ name: 'liquidationPenaltyRatio', subject: chain.deployment.contracts.clearingHouse })
    await meddle(99_000n)
    expect(await send(execution)).toBe('reverted')
    expect(await valueOf({ name: 'marketMaxPriceSpreadRatio', subject: market().baseToken })).toBe(99_000n)
    expect(await valueOf({ name: 'liquidationPenaltyRatio', subject: chain.deployment.contracts.clearingHouse })).toBe(penalty)
    expect(await safeNonce()).toBe(nonce)
    // Back where it was, the same signatures count again: only an executed transaction at this nonce ends them.
    await meddle(100_000n)
    expect(await send(execution)).toBe('success')
    expect(await safeNonce()).toBe(nonce + 1n)
  })

  test('behavior: two old signatures cannot execute anything after the deadline', async () => {
    const deadline = (await now()) + 100n
    const execution = await signed(await band(70_000n), deadline, await safeNonce())
    const before = await chain.rpc.call('evm_snapshot')
    await chain.rpc.call('evm_setNextBlockTimestamp', [Number(deadline) + 1])
    expect(await send(execution)).toBe('reverted')
    await chain.rpc.call('evm_revert', [before])
    await chain.rpc.call('evm_setNextBlockTimestamp', [Number(deadline)])
    expect(await send(execution)).toBe('success')
  })

  test('behavior: a rejection executed at the nonce ends the signatures for good', async () => {
    const nonce = await safeNonce()
    const execution = await signed(await band(70_000n), (await now()) + 3600n, nonce)
    const { safeTx, hashes } = rejection(chain.deployment, nonce)
    expect(safeTx).toEqual(singleTxOf({ to: lower(domain().safe), value: 0n, data: '0x' }, nonce))
    expect(hashes).toEqual(hashesOf(domain(), safeTx))
    const signatures = await Promise.all([owners[1]!, owners[2]!].map((owner) => signWithKey(owner.privateKey, domain(), safeTx)))
    expect(await send(encodeExecution(safeTx, joinSignatures(signatures, 2)))).toBe('success')
    expect(await send(execution)).toBe('reverted')
    expect(await valueOf({ name: 'marketMaxPriceSpreadRatio', subject: market().baseToken })).toBe(100_000n)
  })
})

describe('a chain without it', () => {
  test('error: nothing is drafted or executed where its code is missing or other: the call would succeed and guard nothing', async () => {
    await expect(readRecordedSafe(chain.client, chain.deployment)).resolves.toMatchObject({ version: '1.4.1' })
    await chain.rpc.call('anvil_setCode', [GUARD_ADDRESS, '0x'])
    await expect(readRecordedSafe(chain.client, chain.deployment)).rejects.toThrow(`Found no code at ${GUARD_ADDRESS} on network devnet, where the precondition contract has to be; deploy it once with: npm run bulwark -- deploy-guard`)
    await chain.rpc.call('anvil_setCode', [GUARD_ADDRESS, '0x00'])
    await expect(assertGuard(chain.client, 'devnet')).rejects.toMatchObject({ code: 'GUARD_MISSING' })
  })

  test('behavior: its gas is small beside what it guards', async () => {
    const changes = await Promise.all(catalog.refs(chain.deployment).filter((ref) => catalog.find(ref.name).setter !== null).slice(0, 20).map((ref) => changeOf(ref.name, ref.subject, 0n)))
    const call = guardCall(target(), changes, maxUint256)
    const gas = await chain.client.estimateGas({ account: executor, to: call.to, data: call.data })
    // Per change less than the 20,000 that writing one new storage slot takes, the transaction's own 21,000 included.
    expect(Number(gas) / changes.length).toBeLessThan(20_000)
  })
})
