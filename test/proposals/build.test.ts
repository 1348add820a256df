import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import fc from 'fast-check'
import { concatHex, encodeAbiParameters, encodePacked, size, toFunctionSelector } from 'viem'
import type { Hex } from 'viem'
import { createPublicClient, http } from 'viem'
import { devnet } from '../../protocols/curie/deployments.ts'
import { catalog } from '../../protocols/curie/parameters.ts'
import { build, crossCheck, readSafe, rejection } from '../../proposals/build.ts'
import type { Built, Plan } from '../../proposals/build.ts'
import { GUARD_ADDRESS } from '../../proposals/guard.ts'
import { nextNonce, nonceNote } from '../../proposals/nonce.ts'
import { assertPlainCalls, decodeMultiSend, encodeMultiSend, lower, singleTxOf } from '../../proposals/safe.ts'
import { startTestChain } from './chain.ts'
import type { TestChain } from './chain.ts'

const target = { catalog, deployment: devnet }
const safe = devnet.safe!
const only = { multiSendCallOnly: safe.multiSendCallOnly }
const fee = { parameter: 'feeRatio', scope: 'MARKET', subject: lower(devnet.markets[0]!.baseToken), subjectLabel: 'vETH', from: 1_000n, to: 2_000n } as const
const penalty = { parameter: 'liquidationPenaltyRatio', scope: 'PROTOCOL', subject: lower(devnet.contracts.clearingHouse), subjectLabel: 'protocol', from: 25_000n, to: 26_000n } as const
const plan = (changes: Plan['changes'] = [fee, penalty]): Plan => ({ changes, validUntilSec: 1_800_000_000n, nonce: 7n })

describe('what is built', () => {
  test('default: the precondition and then one call per change, through MultiSendCallOnly, even for one change', () => {
    for (const changes of [[fee], [fee, penalty]] as const) {
      const built = build(target, plan(changes))
      expect(built.calls.map((call) => call.to)).toEqual([GUARD_ADDRESS, ...changes.map((change) => catalog.encodeChange(devnet, { name: change.parameter, subject: change.subject }, change.to).to)])
      expect(built.safeCalls).toEqual(built.calls)
      expect(built.queued).toBeNull()
      expect(built.safeTx).toMatchObject({ to: lower(safe.multiSendCallOnly), operation: 1, value: 0n, nonce: 7n })
      expect(decodeMultiSend(built.safeTx.data)).toEqual(built.calls.map((call) => ({ ...call, operation: 0 })))
    }
  })

  test('behavior: every part of the plan is in the bytes: whatever differs, the hash differs', () => {
    const base = build(target, plan()).hashes.safeTxHash
    const others: readonly Plan[] = [
      { ...plan(), nonce: 8n },
      { ...plan(), validUntilSec: 1_800_000_001n },
      plan([fee]),
      plan([penalty, fee]),
      plan([{ ...fee, to: 2_001n }, penalty]),
      plan([{ ...fee, from: 1_001n }, penalty]),
      plan([{ ...fee, subject: lower(devnet.markets[1]!.baseToken) }, penalty]),
      plan([{ ...fee, parameter: 'insuranceFundFeeRatio' }, penalty]),
    ]
    expect(new Set([base, ...others.map((other) => build(target, other).hashes.safeTxHash)]).size).toBe(others.length + 1)
    // What is for people alone is not.
    expect(build(target, plan([{ ...fee, subjectLabel: 'x' }, penalty])).hashes.safeTxHash).toBe(base)
  })

  test('behavior: a rejection is an empty call of the Safe to itself at that nonce', () => {
    expect(rejection(devnet, 9n).safeTx).toEqual({ to: lower(safe.address), value: 0n, data: '0x', operation: 0, safeTxGas: 0n, baseGas: 0n, gasPrice: 0n, gasToken: `0x${'0'.repeat(40)}`, refundReceiver: `0x${'0'.repeat(40)}`, nonce: 9n })
  })
})

describe('batches, read back', () => {
  const call = fc.record({ to: fc.uint8Array({ minLength: 20, maxLength: 20 }).map((each): Hex => `0x${Buffer.from(each).toString('hex')}`), value: fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }), data: fc.uint8Array({ maxLength: 70 }).map((each): Hex => `0x${Buffer.from(each).toString('hex')}`) })

  test('behavior: decoding is the inverse of encoding, and no other bytes decode', () => {
    fc.assert(
      fc.property(fc.array(call, { minLength: 1, maxLength: 4 }), fc.nat(), fc.integer({ min: 1, max: 255 }), (calls, at, by) => {
        const data = encodeMultiSend(calls)
        expect(decodeMultiSend(data)).toEqual(calls.map((each) => ({ ...each, operation: 0 })))
        expect(decodeMultiSend(`${data}00`)).toBeNull()
        const bytes = Buffer.from(data.slice(2), 'hex')
        bytes[at % bytes.length]! ^= by
        const mutant = decodeMultiSend(`0x${bytes.toString('hex')}`)
        // What still decodes is exactly what its calls encode to: nothing hides beside them.
        const again = mutant === null ? null : encodeRaw(mutant)
        expect(again === null || again === `0x${bytes.toString('hex')}`).toBe(true)
      }),
    )
  })

  const encodeRaw = (calls: readonly { operation: number; to: Hex; value: bigint; data: Hex }[]): Hex =>
    concatHex([toFunctionSelector('function multiSend(bytes)'), encodeAbiParameters([{ type: 'bytes' }], [concatHex(calls.map((each) => encodePacked(['uint8', 'address', 'uint256', 'uint256', 'bytes'], [each.operation, each.to, each.value, BigInt(size(each.data)), each.data])))])])

  test('error: refuses a delegatecall to anything else, a delegatecall within the batch, and data that is no batch', () => {
    const { safeTx } = build(target, plan())
    expect(() => assertPlainCalls(safeTx, only.multiSendCallOnly)).not.toThrow()
    expect(() => assertPlainCalls(singleTxOf({ to: safe.address, value: 0n, data: '0x' }, 1n), only.multiSendCallOnly)).not.toThrow()
    expect(() => assertPlainCalls({ ...safeTx, to: safe.multiSend }, only.multiSendCallOnly)).toThrow(/^Found a delegatecall to 0x[0-9a-f]{40}, derived is MultiSendCallOnly at /)
    const inner = encodeRaw([{ operation: 0, to: safe.address, value: 0n, data: '0x' }, { operation: 1, to: safe.address, value: 0n, data: '0x' }])
    expect(() => assertPlainCalls({ ...safeTx, data: inner }, only.multiSendCallOnly)).toThrow('Found operation of call 2 in the batch 1, derived is 0')
    expect(() => assertPlainCalls({ ...safeTx, data: '0x8d80ff0a' }, only.multiSendCallOnly)).toThrow('that is no batch')
  })
})

describe('against protocol-kit and the Safe itself', () => {
  let chain: TestChain
  beforeAll(async () => {
    chain = await startTestChain()
  })
  afterAll(() => chain?.stop())

  const built = (): Built => build({ catalog, deployment: chain.deployment }, plan())

  test('behavior: both build the same bytes and hashes, and any other field is named', async () => {
    await expect(crossCheck(chain.url, chain.deployment, built())).resolves.toBeUndefined()
    const other = { ...built(), safeTx: { ...built().safeTx, gasPrice: 1n } }
    await expect(crossCheck(chain.url, chain.deployment, other)).rejects.toThrow('Found Safe transaction field gasPrice by protocol-kit 0, derived is 1')
    const hashes = { ...built(), hashes: { ...built().hashes, safeTxHash: built().hashes.messageHash } }
    await expect(crossCheck(chain.url, chain.deployment, hashes)).rejects.toThrow('Found safeTxHash by protocol-kit')
    const delegate = { ...built(), safeTx: { ...built().safeTx, to: chain.deployment.safe!.multiSend } }
    await expect(crossCheck(chain.url, chain.deployment, delegate)).rejects.toThrow('Found a delegatecall to')
  })

  test("error: a Safe whose version cannot be read is never taken for 1.4.1", async () => {
    // A node that answers everything but VERSION(), 0xffa1ad74.
    const proxy = createServer((request, response) => {
      void text(request).then(async (body) => {
        const asked = JSON.parse(body) as { id: number; params?: unknown } | readonly unknown[]
        const refuse = (one: unknown) => JSON.stringify(one).includes('0xffa1ad74')
        const pass = async (one: unknown) => (refuse(one) ? { jsonrpc: '2.0', id: (one as { id: number }).id, error: { code: 3, message: 'execution reverted' } } : ((await (await fetch(chain.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(one) })).json()) as unknown))
        response.setHeader('content-type', 'application/json').end(JSON.stringify(Array.isArray(asked) ? await Promise.all(asked.map(pass)) : await pass(asked)))
      })
    })
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
    try {
      await expect(readSafe(createPublicClient({ transport: http(url) }), chain.deployment)).rejects.toThrow(/^chain: the Safe 0x[0-9a-f]{40} did not answer at devnet/)
      // Recorded as another version than the one that the kit falls back to, the kit's guess is found out.
      const recorded = { ...chain.deployment, safe: { ...chain.deployment.safe!, version: '1.3.0' } }
      await expect(crossCheck(url, recorded, built())).rejects.toThrow('Found version 1.4.1 by protocol-kit at Safe')
    } finally {
      proxy.closeAllConnections()
      await new Promise((resolve) => proxy.close(resolve))
    }
  })
})

describe('the nonce', () => {
  const waiting = (...nonces: readonly bigint[]) => nonces.map((nonce) => ({ nonce, what: `w${nonce}` }))

  test('default: the Safe\'s own where nothing waits', () => {
    expect(nextNonce(5n, [])).toEqual({ nonce: 5n, first: [], after: [], gaps: [] })
    expect(nonceNote(nextNonce(5n, []))).toBeNull()
  })

  test('behavior: comes after what is queued, fills a gap first, and says what is around it', () => {
    expect(nextNonce(5n, waiting(6n, 5n))).toEqual({ nonce: 7n, first: waiting(5n, 6n), after: [], gaps: [] })
    expect(nextNonce(5n, waiting(5n, 9n, 7n))).toEqual({ nonce: 6n, first: waiting(5n), after: waiting(7n, 9n), gaps: [8n] })
    expect(nonceNote(nextNonce(5n, waiting(5n, 9n, 7n)))).toBe('Nonce 6; executed or rejected first: 5 (w5); queued above it: 7 (w7), 9 (w9); held by nothing: 8, so what is above waits until they are filled')
  })

  test('behavior: used nonces hold nothing, and one far ahead is not counted to', () => {
    expect(nextNonce(5n, waiting(3n, 4n))).toMatchObject({ nonce: 5n, first: [] })
    const far = nextNonce(5n, waiting(10n ** 18n))
    expect([far.nonce, far.gaps.length]).toEqual([5n, 100])
    expect(nonceNote(far)).toMatch(/held by nothing: 6, .+, 105 and more, so/)
  })

  test('behavior: is free, and everything between the Safe\'s nonce and it is held, for any queue', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 50n }), fc.array(fc.bigInt({ min: 0n, max: 60n })), (chainNonce, held) => {
        const { nonce, first, after, gaps } = nextNonce(chainNonce, waiting(...held))
        expect(held).not.toContain(nonce)
        for (let n = chainNonce; n < nonce; n += 1n) expect(held).toContain(n)
        expect([...first, ...after]).toHaveLength(held.filter((each) => each >= chainNonce).length)
        expect(gaps.every((gap) => gap > nonce && !held.includes(gap))).toBe(true)
      }),
    )
  })
})
