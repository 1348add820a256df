import { describe, expect, test } from '@jest/globals'
import { buildSignatureBytes, EthSafeSignature } from '@safe-global/protocol-kit'
import fc from 'fast-check'
import { concatHex, numberToHex, slice } from 'viem'
import type { Hex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { hashesOf, singleTxOf } from '../../proposals/safe.ts'
import { checkSignature, joinSignatures, preValidatedSignature, signWithKey } from '../../proposals/sign.ts'

const keys = [1n, 2n, 3n].map((each) => numberToHex(each, { size: 32 }))
const owners = keys.map((key) => privateKeyToAccount(key).address)
const domain = { chainId: 31337, safe: `0x${'aa'.repeat(20)}` as Hex }
const tx = singleTxOf({ to: `0x${'bb'.repeat(20)}`, value: 0n, data: '0x1234' }, 1n)
const { safeTxHash } = hashesOf(domain, tx)
const check = (signer: Hex, signature: Hex, signed: Hex[] = []) => checkSignature({ safeTxHash, owners, signed, signer, signature })

describe('signatures', () => {
  test('behavior: a typed-data signature, one with v 0 or 1, and an eth_sign one with v 31 or 32 all count', async () => {
    const { signer, signature } = await signWithKey(keys[0]!, domain, tx)
    expect(await check(signer, signature)).toEqual({ signer, signature })
    const v = Number(slice(signature, 64))
    const withV = (base: Hex, to: number): Hex => concatHex([slice(base, 0, 64), numberToHex(to, { size: 1 })])
    expect(await check(signer, withV(signature, v - 27))).toEqual({ signer, signature })
    const message = await privateKeyToAccount(keys[0]!).signMessage({ message: { raw: safeTxHash } })
    const prefixed = withV(message, Number(slice(message, 64)) + 4)
    expect(await check(signer, prefixed)).toEqual({ signer, signature: prefixed })
    await expect(check(signer, message)).rejects.toThrow('allowed is a signature of exactly that Safe transaction')
  })

  test('error: any flipped bit is refused', async () => {
    const { signer, signature } = await signWithKey(keys[1]!, domain, tx)
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 65 * 8 - 1 }), async (bit) => {
        const flipped = numberToHex(BigInt(signature) ^ (1n << BigInt(bit)), { size: 65 })
        await expect(check(signer, flipped)).rejects.toMatchObject({ code: 'BAD_INPUT' })
      }),
      { numRuns: 40 },
    )
  })

  test('error: the second form of a signature, which anybody can make of the first, is refused', async () => {
    const { signer, signature } = await signWithKey(keys[0]!, domain, tx)
    // n − s with the other v recovers to the same key. n: SEC 2, section 2.4.1.
    const n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
    const second = concatHex([slice(signature, 0, 32), numberToHex(n - BigInt(slice(signature, 32, 64)), { size: 32 }), numberToHex(55 - Number(slice(signature, 64)), { size: 1 })])
    await expect(check(signer, second)).rejects.toThrow('second form')
  })

  test('behavior: they are joined by ascending signer like protocol-kit does, no more than the threshold', async () => {
    const all = await Promise.all(keys.map((key) => signWithKey(key, domain, tx)))
    const kit = buildSignatureBytes(all.map(({ signer, signature }) => new EthSafeSignature(signer, signature)))
    expect(joinSignatures(all, 3)).toBe(kit)
    expect(joinSignatures(all.toReversed(), 2)).toBe(slice(kit as Hex, 0, 130))
  })

  test('behavior: a pre-validated signature is padded owner, 32 zero bytes, 01', () => {
    expect(preValidatedSignature(`0x${'ab'.repeat(20)}`)).toBe(`0x${'00'.repeat(12)}${'ab'.repeat(20)}${'00'.repeat(32)}01`)
  })
})
