import { describe, expect, test } from '@jest/globals'
import { readFileSync, readdirSync } from 'node:fs'
import { encodeAbiParameters } from 'viem'
import { UnknownProtocolError, UnreadableAnswerError, type Hex } from '../../protocols/adapter.ts'
import { optimism } from '../../protocols/curie/deployments.ts'
import { accountReads, all, collateralPriceReads, each, indexPriceReads, marketStatusReads, priceReads } from './curie-reads.ts'
import { protocolByName, protocols } from '../../protocols/index.ts'

describe('registry', () => {
  test('behavior: every folder of protocols/ is a protocol under its name', () => {
    const folders = readdirSync(new URL('../../protocols/', import.meta.url), { withFileTypes: true }).filter((entry) => entry.isDirectory())
    expect(protocols.map((protocol) => protocol.name)).toEqual(folders.map((entry) => entry.name))
    expect(protocolByName('curie').deployments['optimism']).toBe(optimism)
  })
  test('behavior: the adapter and the proposals know no protocol by name', () => {
    const sources = ['protocols/adapter.ts', ...readdirSync(new URL('../../proposals/', import.meta.url)).filter((name) => name.endsWith('.ts')).map((name) => `proposals/${name}`)]
    const named = sources.filter((file) => protocols.some(({ name }) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8').includes(`/${name}/`)))
    expect(named).toEqual([])
  })
  test('error: an unknown protocol is named, with the known ones', () => {
    expect(() => protocolByName('gmx')).toThrow(UnknownProtocolError)
    expect(() => protocolByName('gmx')).toThrow('Found protocol "gmx", allowed are curie; take one of these')
  })
})

describe('reads', () => {
  const TRADER = '0x00000000000000000000000000000000000000aa'
  const number = (value: bigint): Hex => encodeAbiParameters([{ type: 'int256' }], [value])
  const flag = (value: boolean): Hex => encodeAbiParameters([{ type: 'bool' }], [value])

  test('behavior: answers come back under the names and subjects that were asked', () => {
    const reads = all({ first: indexPriceReads(TRADER, 0), more: each(['a', 'b'], () => indexPriceReads(TRADER, 900)), last: indexPriceReads(TRADER, 900) })
    expect(reads.calls).toHaveLength(4)
    const answers = reads.decode([number(1n), number(2n), null, number(4n)])
    expect(answers).toEqual({ first: 1n, more: new Map([['a', 2n], ['b', null]]), last: 4n })
  })
  test('behavior: a call that reverted is null, never zero', () => {
    const reads = accountReads(optimism, TRADER, { imRatioE6: 100_000n, mmRatioE6: 62_500n })
    expect(new Set(Object.values(reads.decode(reads.calls.map(() => null))))).toEqual(new Set([null]))
  })
  test('behavior: a market is what its one true flag says', () => {
    const of = (...flags: boolean[]): unknown => marketStatusReads(TRADER).decode(flags.map(flag))
    expect([of(true, false, false), of(false, true, false), of(false, false, true), of(false, false, false)]).toEqual(['OPEN', 'PAUSED', 'CLOSED', null])
  })
  test('behavior: a collateral price of 8 decimals is given in 18 too', () => {
    expect(collateralPriceReads(optimism, TRADER).decode([number(300_000_000_000n), number(8n)])).toEqual({ price: 300_000_000_000n, feedDecimals: 8, priceE18: 3000n * 10n ** 18n })
    expect(collateralPriceReads(optimism, TRADER).decode([null, number(8n)])).toBeNull()
  })
  test('behavior: prices of every market and collateral of a deployment are asked at once', () => {
    const reads = priceReads(optimism, { indexIntervalSec: 900 })
    const { markets, collaterals } = reads.decode(reads.calls.map(() => null))
    expect([...markets.keys()]).toEqual(optimism.markets.map((market) => market.baseToken))
    expect([...collaterals.keys()]).toEqual(optimism.collaterals.map((collateral) => collateral.token))
  })
  test('error: an answer that is none is named', () => {
    expect(() => indexPriceReads(TRADER, 0).decode(['0x'])).toThrow(UnreadableAnswerError)
  })
})
