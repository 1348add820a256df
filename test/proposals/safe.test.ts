import { describe, expect, test } from '@jest/globals'
import { calculateSafeTransactionHash, decodeMultiSendData, encodeMultiSendData } from '@safe-global/protocol-kit'
import fc from 'fast-check'
import { decodeFunctionData, hashDomain, hashStruct, hashTypedData, keccak256, parseAbi, toHex } from 'viem'
import type { Call, Hex } from '../../protocols/adapter.ts'
import { EXECUTION_FAILURE_TOPIC, EXECUTION_SUCCESS_TOPIC, SAFE_TX_TYPES, batchTxOf, encodeMultiSend, hashesOf, safeTxFromJson, safeTxToJson, singleTxOf } from '../../proposals/safe.ts'
import type { SafeTx } from '../../proposals/safe.ts'
import { batchChecksum } from '../../proposals/export.ts'

const bytes = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength }).map((each): Hex => toHex(each))
const address = bytes(20, 20)
const uint = fc.bigInt({ min: 0n, max: 2n ** 256n - 1n })
const call: fc.Arbitrary<Call> = fc.record({ to: address, value: fc.bigInt({ min: 0n, max: 2n ** 128n }), data: bytes(0, 200) })
const calls = fc.array(call, { minLength: 2, maxLength: 5 }).map((each) => each as [Call, Call, ...Call[]])
const safeTx: fc.Arbitrary<SafeTx> = fc.record({
  to: address, value: uint, data: bytes(0, 200), operation: fc.constantFrom(0 as const, 1 as const), safeTxGas: uint, baseGas: uint, gasPrice: uint, gasToken: address, refundReceiver: address,
  nonce: fc.bigInt({ min: 0n, max: 2n ** 53n }),
})
const domain = fc.record({ chainId: fc.integer({ min: 1, max: 2 ** 31 }), safe: address })

describe('hashes', () => {
  test('behavior: equal viem\'s EIP-712 and protocol-kit for any transaction', () => {
    fc.assert(
      fc.property(domain, safeTx, ({ chainId, safe }, tx) => {
        const ours = hashesOf({ chainId, safe }, tx)
        const typed = { domain: { chainId, verifyingContract: safe }, types: SAFE_TX_TYPES, primaryType: 'SafeTx' as const, message: tx }
        expect(ours.safeTxHash).toBe(hashTypedData(typed))
        expect(ours.domainHash).toBe(hashDomain({ domain: { chainId: BigInt(chainId), verifyingContract: safe }, types: { EIP712Domain: [{ name: 'chainId', type: 'uint256' }, { name: 'verifyingContract', type: 'address' }] } }))
        expect(ours.messageHash).toBe(hashStruct({ data: tx as unknown as Record<string, unknown>, primaryType: 'SafeTx', types: SAFE_TX_TYPES as unknown as Record<string, { name: string; type: string }[]> }))
        const strings = { ...tx, value: String(tx.value), safeTxGas: String(tx.safeTxGas), baseGas: String(tx.baseGas), gasPrice: String(tx.gasPrice), nonce: Number(tx.nonce) }
        expect(ours.safeTxHash).toBe(calculateSafeTransactionHash(safe, strings, '1.4.1', BigInt(chainId)))
      }),
      { numRuns: 50 },
    )
  })

  test('default: the type hashes and log topics are those of their signatures', () => {
    // A wrong constant would change every hash above; the topics are used nowhere else but in logs.
    expect(EXECUTION_SUCCESS_TOPIC).toBe(keccak256(toHex('ExecutionSuccess(bytes32,uint256)')))
    expect(EXECUTION_FAILURE_TOPIC).toBe(keccak256(toHex('ExecutionFailure(bytes32,uint256)')))
  })
})

describe('batches', () => {
  test('behavior: the packing equals protocol-kit\'s, and decodes to the same calls', () => {
    fc.assert(
      fc.property(calls, (each) => {
        const data = encodeMultiSend(each)
        const [packed] = decodeFunctionData({ abi: parseAbi(['function multiSend(bytes transactions)']), data }).args
        expect(packed).toBe(encodeMultiSendData(each.map(({ to, value, data: inner }) => ({ to, value: String(value), data: inner, operation: 0 }))))
        expect(decodeMultiSendData(data).map((tx) => tx.data)).toEqual(each.map((tx) => tx.data))
      }),
      { numRuns: 50 },
    )
  })

  test('behavior: a batch is a delegatecall to MultiSendCallOnly alone, a single call a plain one, and no field refunds gas', () => {
    fc.assert(
      fc.property(calls, address, fc.bigInt({ min: 0n, max: 1000n }), (each, multiSendCallOnly, nonce) => {
        const batch = batchTxOf(each, { multiSendCallOnly, nonce })
        const single = singleTxOf(each[0], nonce)
        expect(batch).toMatchObject({ operation: 1, to: multiSendCallOnly, value: 0n, nonce })
        expect(single).toMatchObject({ ...each[0], operation: 0, nonce })
        for (const tx of [batch, single]) {
          expect([tx.safeTxGas, tx.baseGas, tx.gasPrice, BigInt(tx.gasToken), BigInt(tx.refundReceiver)]).toEqual([0n, 0n, 0n, 0n, 0n])
          expect(safeTxFromJson(JSON.parse(JSON.stringify(safeTxToJson(tx))))).toEqual(tx)
        }
      }),
    )
  })
})

describe('batch file', () => {
  const file = { version: '1.0', chainId: '10', createdAt: 1, meta: { name: 'A', description: 'd' }, transactions: [{ to: '0x01', value: '0', data: '0x' }] }

  test('behavior: the checksum is that of the canonical text, by hand', () => {
    const text = '{["chainId","createdAt","meta","transactions","version"]"10",1,{["description","name"]"d",null,},[{["data","to","value"]"0x","0x01","0",}],"1.0",}'
    expect(batchChecksum(file)).toBe(keccak256(toHex(text)))
  })

  test('behavior: it covers everything but the name and itself', () => {
    const checksum = batchChecksum(file)
    expect(batchChecksum({ ...file, meta: { ...file.meta, name: 'B', checksum: '0x12' } })).toBe(checksum)
    expect(batchChecksum({ ...file, chainId: '1' })).not.toBe(checksum)
    expect(batchChecksum({ ...file, transactions: [{ to: '0x01', value: '1', data: '0x' }] })).not.toBe(checksum)
  })
})
