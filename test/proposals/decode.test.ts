import { describe, expect, test } from '@jest/globals'
import { decodeMultiSendData } from '@safe-global/protocol-kit'
import fc from 'fast-check'
import { concatHex, toHex } from 'viem'
import { devnet as deployment } from '../../protocols/curie/deployments.ts'
import { catalog } from '../../protocols/curie/parameters.ts'
import type { Call, Hex } from '../../protocols/adapter.ts'
import { build } from '../../proposals/build.ts'
import { deedWords, deedsOf, unpackMultiSend } from '../../proposals/decode.ts'
import { draftChanges } from '../../proposals/draft.ts'
import { GUARD_ADDRESS } from '../../proposals/guard.ts'
import { encodeMultiSend, lower } from '../../proposals/safe.ts'

const bytes = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength }).map((each): Hex => toHex(each))
const call: fc.Arbitrary<Call> = fc.record({ to: bytes(20, 20), value: fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }), data: bytes(0, 100) })
const calls = fc.array(call, { minLength: 1, maxLength: 5 })

const target = { catalog, deployment }
const known = { multiSendCallOnly: lower(deployment.safe!.multiSendCallOnly), precondition: GUARD_ADDRESS, timelock: null }
const changes = draftChanges(target, [{ parameter: 'feeRatio', subject: 'vETH', to: 5n }, { parameter: 'liquidationPenaltyRatio', to: 2n }], () => 1n)
const { safeTx } = build(target, { changes, validUntilSec: 1_800_000_000n, nonce: 1n })

describe('unpackMultiSend', () => {
  test('behavior: gives the calls that were packed, and the same as protocol-kit', () => {
    fc.assert(
      fc.property(calls, (each) => {
        const data = encodeMultiSend(each)
        expect(unpackMultiSend(data)).toEqual(each.map((one) => ({ ...one, operation: 0 })))
        expect(unpackMultiSend(data)!.map((one) => one.data)).toEqual(decodeMultiSendData(data).map((one) => one.data))
      }),
    )
  })

  test('error: what has a byte more, a byte less or another byte is never read as the same calls', () => {
    fc.assert(
      fc.property(calls, fc.nat(), fc.integer({ min: 1, max: 255 }), (each, at, by) => {
        const data = encodeMultiSend(each)
        const packed = unpackMultiSend(data)
        const i = 2 + 2 * (at % ((data.length - 2) / 2))
        const changed = `${data.slice(0, i)}${(Number.parseInt(data.slice(i, i + 2), 16) ^ by).toString(16).padStart(2, '0')}${data.slice(i + 2)}` as Hex
        expect(unpackMultiSend(changed)).not.toEqual(packed)
        expect(unpackMultiSend(concatHex([data, '0x00']))).toBeNull()
        expect(unpackMultiSend(data.slice(0, -2) as Hex)).toBeNull()
      }),
      { numRuns: 300 },
    )
  })

  test('error: no calls at all, and calldata of something else', () => {
    expect(unpackMultiSend(encodeMultiSend([]))).toBeNull()
    expect(unpackMultiSend('0x')).toBeNull()
    expect(unpackMultiSend('0x8d80ff0a')).toBeNull()
  })
})

describe('deedsOf', () => {
  test('default: a built batch is its precondition and its changes, in order', () => {
    const deeds = deedsOf(target, known, safeTx)
    expect(deeds.map((each) => each.kind)).toEqual(['PRECONDITION', 'CHANGE', 'CHANGE'])
    expect(deeds.slice(1)).toMatchObject(changes.map((change) => ({ ref: { name: change.parameter, subject: change.subject }, value: change.to })))
    expect(deeds[0]).toMatchObject({ deadlineSec: 1_800_000_000n })
  })

  test('error: a delegatecall to anything else, ether, and what is none of ours are never decoded', () => {
    expect(deedsOf(target, known, { ...safeTx, to: `0x${'ee'.repeat(20)}` })).toMatchObject([{ kind: 'DELEGATECALL', to: `0x${'ee'.repeat(20)}`, depth: 0 }])
    expect(deedsOf(target, known, { ...safeTx, value: 1n })[0]!.kind).toBe('UNDECODED')
    expect(deedsOf(target, known, { ...safeTx, operation: 0 })[0]!.kind).toBe('UNDECODED')
    expect(deedsOf(target, known, { to: lower(deployment.contracts.vault), value: 0n, data: '0x13af4035', operation: 0 })[0]!.kind).toBe('UNDECODED')
    expect(deedsOf(target, known, { to: lower(deployment.contracts.clearingHouseConfig), value: 1n, data: safeTx.data, operation: 0 })[0]).toMatchObject({ kind: 'UNDECODED', why: 'it sends 1 wei' })
  })

  test('error: any changed byte of a batch changes what it does', () => {
    const honest = deedsOf(target, known, safeTx)
    fc.assert(
      fc.property(fc.integer({ min: 0, max: (safeTx.data.length - 2) / 2 - 1 }), fc.integer({ min: 1, max: 255 }), (at, by) => {
        const i = 2 + 2 * at
        const data = `${safeTx.data.slice(0, i)}${(Number.parseInt(safeTx.data.slice(i, i + 2), 16) ^ by).toString(16).padStart(2, '0')}${safeTx.data.slice(i + 2)}` as Hex
        expect(deedsOf(target, known, { ...safeTx, data })).not.toEqual(honest)
      }),
      { numRuns: 500 },
    )
  })
})

describe('deedWords', () => {
  test('behavior: each call by its contract, its function and its arguments as the deployed ABI names them, and what it holds and sets in words', () => {
    const words = deedsOf(target, known, safeTx).map((deed) => deedWords(target, deed))
    // 1 is the value that all have before; 5 of 1,000,000 are 0.0005 %.
    expect(words[0]).toMatchObject({
      contract: 'precondition',
      function: 'check((address,bytes,uint256,bytes32)[],uint256)',
      does: 'reverts everything unless 2 values are as before, or after 2027-01-15 08:00:00 UTC',
      args: [{ words: 'Trading fee of vETH is 0.0001 % (raw 1)' }, { words: 'Liquidation penalty of protocol is 0.0001 % (raw 1)' }, { name: 'deadline', value: '1800000000', words: '2027-01-15 08:00:00 UTC' }],
    })
    expect(words[1]).toEqual({
      contract: 'marketRegistry',
      function: 'setFeeRatio(address,uint24)',
      args: [{ name: 'baseToken', type: 'address', value: lower(deployment.markets[0]!.baseToken), words: 'vETH' }, { name: 'feeRatio', type: 'uint24', value: '5', words: '0.0005 %' }],
      does: 'sets Trading fee of vETH to 0.0005 % (raw 5)',
    })
    expect(words[2]).toMatchObject({ contract: 'clearingHouseConfig', function: 'setLiquidationPenaltyRatio(uint24)', args: [{ value: '2', words: '0.0002 %' }] })
  })

  test('behavior: what cannot be read says so, and what it may be is not guessed', () => {
    const [deed] = deedsOf(target, known, { to: `0x${'11'.repeat(20)}`, value: 0n, data: '0x12345678', operation: 0 })
    expect(deedWords(target, deed!)).toEqual({ contract: null, function: null, args: [], does: 'CANNOT BE READ: it is no parameter change of the deployed contracts' })
  })
})
