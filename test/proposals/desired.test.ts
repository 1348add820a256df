import { describe, expect, test } from '@jest/globals'
import { intentsOf, parseDesired } from '../../proposals/desired.ts'
import { draftChanges } from '../../proposals/draft.ts'
import type { ParameterRef } from '../../protocols/adapter.ts'
import { devnet as deployment } from '../../protocols/curie/deployments.ts'
import { catalog } from '../../protocols/curie/parameters.ts'

const target = { catalog, deployment }
const FILE = `
title: Narrower bands
validFor: 2 d
protocol:
  liquidationPenaltyRatio: 2.5 %
markets:
  vETH: { marketMaxPriceSpreadRatio: 5 %, maxTickCrossedWithinBlock: 400 ticks }
  vBTC: { marketMaxPriceSpreadRatio: 10 % }
collaterals:
  WETH: { depositCap: "15,000 WETH" }
accounts:
  "0x70997970c51812dc3a010c7d01b50e0d17dc79c8": { whitelistedDebtThreshold: raw 1000000 }
`
const present: Readonly<Record<string, bigint>> = { liquidationPenaltyRatio: 25_000n, marketMaxPriceSpreadRatio: 100_000n, maxTickCrossedWithinBlock: 300n, depositCap: 20_000n * 10n ** 18n, whitelistedDebtThreshold: 0n, mmRatio: 62_500n, marketStatus: 0n }
const current = (ref: ParameterRef): bigint | null => present[ref.name] ?? null

describe('desired state', () => {
  test('behavior: only what differs becomes a change', () => {
    const desired = parseDesired(target, FILE)
    expect(desired).toMatchObject({ title: 'Narrower bands', validForSec: 172_800 })
    expect(desired.values).toHaveLength(6)
    const changes = draftChanges(target, intentsOf(desired, current), current)
    expect(changes.map(({ parameter, subjectLabel, from, to }) => [parameter, subjectLabel, from, to])).toEqual([
      ['marketMaxPriceSpreadRatio', 'vETH', 100_000n, 50_000n],
      ['maxTickCrossedWithinBlock', 'vETH', 300n, 400n],
      ['depositCap', 'WETH', 20_000n * 10n ** 18n, 15_000n * 10n ** 18n],
      ['whitelistedDebtThreshold', '0x70997970c51812dc3a010c7d01b50e0d17dc79c8', 0n, 1_000_000n],
    ])
  })

  test('behavior: what stands there already is no wish at all', () => {
    expect(intentsOf(parseDesired(target, 'title: x\nprotocol: { liquidationPenaltyRatio: 2.5 % }'), current)).toEqual([])
  })

  test('behavior: what cannot be undone is drafted once its name is typed, and not before', () => {
    const yaml = (confirm: string) => `title: x\nmarkets: { vETH: { marketStatus: 1 } }\nconfirm: [${confirm}]`
    const draft = (text: string) => draftChanges(target, intentsOf(parseDesired(target, text), current), current)
    expect(() => draft(yaml(''))).toThrow(/^Found a change of marketStatus of vETH, which the chain cannot take back and no rollback exists for, with no confirmation; type "marketStatus of vETH" to confirm it$/)
    expect(() => draft(yaml('marketStatus of vBTC'))).toThrow(/with no confirmation/)
    expect(draft(yaml('marketStatus of vETH'))).toMatchObject([{ parameter: 'marketStatus', from: 0n, to: 1n }])
  })

  test.each<[string, string, RegExp]>([
    ['a file that is no YAML', '{', /^Found a file that is no YAML/],
    ['a file without values', 'title: x', /^Found a file without values/],
    ['a file without a title', 'protocol: { feeRatio: 1 % }', /title Required/],
    ['an unknown key', 'title: x\nmarket: {}', /Unrecognized key.*market/],
    ['a parameter at the wrong place', 'title: x\nprotocol: { feeRatio: 1 % }', /^Found feeRatio among those of protocol scope, allowed is market; move it there$/],
    ['a unit that is missing', 'title: x\nmarkets: { vETH: { feeRatio: 0.1 } }', /^Found "0.1" for feeRatio, allowed is a percentage such as "5 %"/],
    ['a market by two names', `title: x\nmarkets: { vETH: { feeRatio: 1 % }, "${deployment.markets[0]!.baseToken}": { feeRatio: 2 % } }`, /^Found feeRatio of vETH twice/],
    ['the same key twice', 'title: x\nmarkets: { vETH: { feeRatio: 1 % }, vETH: { feeRatio: 2 % } }', /^Found a file that is no YAML \(Map keys must be unique/],
    ['a time that is none', 'title: x\nvalidFor: soon\nprotocol: { twapInterval: 900 s }', /^Found validFor "soon", allowed is a time such as "3 d"/],
  ])('error: refuses %s', (_, yaml, sentence) => {
    expect(() => parseDesired(target, yaml)).toThrow(sentence)
  })
})
