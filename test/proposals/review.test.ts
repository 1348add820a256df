import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { keccak256, toHex } from 'viem'
import { parseReview, reviewDigest, reviewOf, serializeReview } from '../../proposals/review.ts'
import type { ReviewParts } from '../../proposals/review.ts'
import { batchTxOf, hashesOf } from '../../proposals/safe.ts'

const address = (n: number): `0x${string}` => `0x${n.toString(16).padStart(40, '0')}`
const call = { to: address(1), value: 0n, data: '0x1234' as const }
const built = (nonce: bigint) => {
  const safeTx = batchTxOf([call, call], { multiSendCallOnly: address(2), nonce })
  return { calls: [call, call], safeTx, hashes: hashesOf({ chainId: 10, safe: address(3) }, safeTx), queued: null }
}
const change = { parameter: 'feeRatio', scope: 'MARKET' as const, subject: address(0xabc), from: 1n, to: 2n }
const parts: ReviewParts = {
  protocol: 'curie', network: 'devnet', chainId: 10, safe: address(3), governance: { kind: 'SAFE' }, title: 'A fee for vETH',
  plan: { changes: [change], validUntilSec: 100n, nonce: 7n }, built: built(7n),
  rollback: { plan: { changes: [{ ...change, from: 2n, to: 1n }], validUntilSec: 100n, nonce: 8n }, built: built(8n) },
  block: { number: 5n, hash: keccak256('0x01'), timestamp: 50n }, evidence: [{ recommendation: 'r-1', digest: 'ab'.repeat(32) }],
  simulation: { success: true, gasUsed: 21_000n }, impact: null, signatures: [{ signer: address(9), signature: toHex(1, { size: 65 }) }, { signer: address(8), signature: toHex(2, { size: 65 }) }],
}
const file = reviewOf(parts)
const text = serializeReview(file)

describe('proposal.json', () => {
  test('behavior: the same proposal is the same bytes, whatever the order of keys and signatures, and reads back equal', () => {
    expect(parseReview(text)).toEqual(file)
    const shuffle = (value: unknown): unknown => (Array.isArray(value) ? value.map(shuffle) : typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value).toReversed().map(([k, v]) => [k, shuffle(v)])) : value)
    const reversed = JSON.stringify(shuffle(file))
    expect(reversed).not.toBe(JSON.stringify(file))
    expect(serializeReview(parseReview(reversed))).toBe(text)
    expect(serializeReview(reviewOf({ ...parts, signatures: parts.signatures.toReversed() }))).toBe(text)
    expect(text.endsWith('}\n')).toBe(true)
  })

  test('behavior: the digest covers everything but itself and the signatures', () => {
    expect(file.digest).toBe(reviewDigest(file))
    expect(reviewDigest({ ...file, signatures: [] })).toBe(file.digest)
    for (const key of Object.keys(file).filter((each) => each !== 'digest' && each !== 'signatures')) {
      expect(reviewDigest({ ...file, [key]: 'x' } as never)).not.toBe(file.digest)
    }
  })

  test.each<[string, (raw: string) => string, RegExp]>([
    ['what is not JSON', () => 'x', /the file is not JSON/],
    ['an unknown key', (raw) => raw.replace('"batch"', '"note": 1, "batch"'), /unrecognized key.*'note'/],
    ['an unknown key within', (raw) => raw.replace('"operation": 1', '"operation": 1, "delegate": 1'), /unrecognized key.*'delegate'/],
    ['a key that stands twice', (raw) => raw.replace('"chainId": 10', '"chainId": 10, "chainId": 1'), /the key "chainId" stands twice in one object/],
    ['a key that stands twice under two spellings', (raw) => raw.replace('"chainId": 10', '"chainId": 10, "ch\\u0061inId": 1'), /the key "chainId" stands twice/],
    ['another version', (raw) => raw.replace('"version": 1', '"version": 2'), /version invalid literal value/],
    ['an address with capitals', (raw) => raw.replaceAll(address(0xabc), address(0xabc).replace('abc', 'ABC')), /subject is not 20 bytes of lower-case hex/],
    ['a number with a leading zero', (raw) => raw.replaceAll('"nonce": "7"', '"nonce": "07"'), /nonce is not an unsigned integer/],
    ['a number as a number', (raw) => raw.replaceAll('"nonce": "7"', '"nonce": 7'), /nonce expected string/],
    ['a number beyond 256 bits', (raw) => raw.replaceAll('"nonce": "7"', `"nonce": "${2n ** 256n}"`), /nonce does not fit 256 bits/],
    ['a right-to-left override in the title', (raw) => raw.replace('A fee', 'A \u202efee'), /title holds a control or an invisible character/],
    ['a line break in the title', (raw) => raw.replace('A fee', 'A \\nfee'), /title holds a control/],
    ['operation 2', (raw) => raw.replaceAll('"operation": 1', '"operation": 2'), /operation invalid/],
    ['a missing key', (raw) => raw.replace(/"block": \{[^}]*\},/, ''), /block required/],
    ['51 changes', (raw) => JSON.stringify({ ...JSON.parse(raw), intent: { ...JSON.parse(raw).intent, changes: Array.from({ length: 51 }, () => JSON.parse(raw).intent.changes[0]) } }), /at most 50/],
    ['more than 4 MiB', (raw) => `${raw}${' '.repeat(4 * 1024 * 1024)}`, /bytes, allowed are up to 4194304/],
    ['claims nested without end', (raw) => raw.replace('"impact": null', `"impact": {"digest": "${'00'.repeat(32)}", "result": {"a":${'['.repeat(40)}${']'.repeat(40)}}}`), /impact.result is not plain JSON of bounded depth/],
  ])('error: refuses %s', (_, change, sentence) => {
    const changed = change(text)
    expect(changed).not.toBe(text)
    expect(() => parseReview(changed)).toThrow(sentence)
  })

  test('error: no text at all makes it throw anything but a named error', () => {
    const thrownBy = (any: string): unknown => {
      try {
        return parseReview(any) && null
      } catch (error) {
        return (error as Error).name
      }
    }
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), fc.tuple(fc.nat(text.length), fc.string({ maxLength: 3 })).map(([at, put]) => text.slice(0, at) + put + text.slice(at + 1))), (any) => {
        expect([null, 'ReviewFormatError']).toContain(thrownBy(any))
      }),
      { numRuns: 500 },
    )
  })
})
