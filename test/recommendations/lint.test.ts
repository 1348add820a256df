import { describe, expect, test } from '@jest/globals'
import { lint, type LintChange, type LintContext, type LintProposal } from '../../api/recommendations/lint.ts'
import { curiePlaybooks } from '../../api/recommendations/playbooks.ts'
import type { Address } from '../../protocols/adapter.ts'
import { devnet } from '../../protocols/curie/deployments.ts'
import { curie } from '../../protocols/curie/index.ts'

const PROTOCOL = devnet.contracts.clearingHouse
const ETH = devnet.markets[0]?.baseToken as Address
const BTC = devnet.markets[1]?.baseToken as Address
const WETH = devnet.collaterals[0]?.token as Address
const values: Readonly<Record<string, bigint>> = { mmRatio: 62_500n, collateralRatio: 700_000n, discountRatio: 100_000n }
const context: LintContext = {
  protocol: curie, deployment: devnet, currentOf: (parameter) => values[parameter] ?? null, fundCapacity: 50_000_000_000n, fundTarget: 80_000_000_000n, heldOf: () => 40n, volatilityHaircutE6: () => 60_000n, breakerOf: () => 'NORMAL', nowSec: 100_000,
}
const proposal = (changes: readonly LintChange[], more: Partial<LintProposal> = {}): LintProposal => ({ changes, calls: null, evidenceSec: 99_000, playbook: null, confirmed: [], simulation: null, openElsewhere: [], ...more })
const change = (parameter: string, to: bigint, subject: Address = PROTOCOL, from = to): LintChange => ({ parameter, subject, from, to })
const found = (changes: readonly LintChange[], more: Partial<LintProposal> = {}, world: Partial<LintContext> = {}): string[] => lint(proposal(changes, more), { ...context, ...world }).map((f) => `${f.severity} ${f.rule}`)

describe('lint of Curie’s parameters', () => {
  const cases: readonly (readonly [what: string, change: LintChange, expected: readonly string[]])[] = [
    ['the maintenance margin has no setter', change('mmRatio', 50_000n), ['BLOCK no-setter']],
    ['the initial margin has no setter', change('imRatio', 50_000n), ['BLOCK no-setter']],
    ['a buffer of 100 % less the margin is the last allowed', change('mmRatioBuffer', 937_500n), []],
    ['a buffer above it is not', change('mmRatioBuffer', 937_501n), ['BLOCK buffer-wraps']],
    ['a buffer that wraps to 0 is not', change('mmRatioBuffer', 16_714_716n), ['BLOCK buffer-wraps']],
    ['pausing a market wants a typed confirmation', change('marketStatus', 1n, ETH), ['BLOCK irreversible']],
    ['no funding', change('maxFundingRate', 0n), ['WARN funding-cap']],
    ['20 % of funding a day is usual', change('maxFundingRate', 200_000n), []],
    ['more is not', change('maxFundingRate', 200_001n), ['WARN funding-cap']],
    ['a spread of 0 means 10 %', change('marketMaxPriceSpreadRatio', 0n, ETH), ['WARN price-band']],
    ['a spread below 1 %', change('marketMaxPriceSpreadRatio', 9_999n, ETH), ['WARN price-band']],
    ['a spread of 20 %', change('marketMaxPriceSpreadRatio', 200_000n, ETH), []],
    ['a spread above it', change('marketMaxPriceSpreadRatio', 200_001n, ETH), ['WARN price-band']],
    ['a tick cap of 0 outside a playbook', change('maxTickCrossedWithinBlock', 0n, ETH), ['BLOCK tick-cap']],
    ['a tick cap of 501', change('maxTickCrossedWithinBlock', 501n, ETH), ['WARN tick-cap']],
    ['a penalty of half the margin', change('liquidationPenaltyRatio', 31_250n), []],
    ['a penalty above half of it', change('liquidationPenaltyRatio', 31_251n), ['WARN penalty-eats-equity']],
    ['a penalty as large as the margin', change('liquidationPenaltyRatio', 62_500n), ['BLOCK penalty-eats-equity']],
    ['ratio and discount that leave the haircut', change('collateralRatio', 840_000n, WETH), []],
    ['ratio and discount that do not', change('collateralRatio', 840_001n, WETH), ['WARN no-room-for-volatility']],
    ['a debt threshold of 0', change('debtThreshold', 0n), ['BLOCK debt-threshold']],
    ['a debt threshold above the fund', change('debtThreshold', 50_000_000_001n), ['WARN debt-threshold']],
    ['an account’s debt threshold above the fund', change('whitelistedDebtThreshold', 50_000_000_001n, ETH), ['WARN debt-threshold']],
    ['a distribution threshold below the target', change('distributionThreshold', 79_999_999_999n), ['WARN threshold-below-target']],
    ['a distribution that is switched off', change('distributionThreshold', 0n), []],
    ['an interval of 59 s', change('twapInterval', 59n), ['WARN interval']],
    ['an interval of 3601 s', change('twapInterval', 3_601n), ['WARN interval']],
    ['a cap below what is held', change('depositCap', 39n, WETH), ['WARN cap-below-held']],
    ['a cap at what is held', change('depositCap', 40n, WETH), []],
    ['pausing what liquidates', change('clearingHousePaused', 1n), ['BLOCK stops-liquidation']],
  ]
  test.each(cases)('rule: %s', (_, one, expected) => {
    expect(found([one])).toEqual(expected)
  })
  test('behavior: a typed confirmation turns what cannot be undone into a warning', () => {
    expect(found([change('marketStatus', 1n, ETH)], { confirmed: [`marketStatus:${ETH}`] })).toEqual(['WARN irreversible'])
  })
  test('behavior: what the batch sets itself counts as set', () => {
    expect(found([change('collateralRatio', 900_000n, WETH), change('discountRatio', 40_000n, WETH)])).toEqual([])
  })
  test('behavior: rules that lack what they need say nothing', () => {
    expect(found([change('debtThreshold', 10n ** 15n), change('distributionThreshold', 1n), change('depositCap', 0n, WETH), change('collateralRatio', 990_000n, WETH)], {}, { fundCapacity: null, fundTarget: null, heldOf: () => null, volatilityHaircutE6: () => null })).toEqual([])
  })
})

describe('lint of any protocol', () => {
  test('rule: a step beyond the policy, unless it is a switch or a playbook', () => {
    expect(found([change('marketMaxPriceSpreadRatio', 50_000n, ETH, 100_000n)])).toEqual([])
    expect(found([change('marketMaxPriceSpreadRatio', 49_999n, ETH, 100_000n)])).toEqual(['BLOCK step-too-large'])
    expect(found([change('marketMaxPriceSpreadRatio', 125_001n, ETH, 100_000n)])).toEqual(['BLOCK step-too-large'])
    expect(found([change('marketMaxPriceSpreadRatio', 20_000n, ETH, 100_000n)], { playbook: 'restrict' })).toEqual([])
  })
  test('rule: evidence older than six hours, and a simulation that reverts', () => {
    expect(found([], { evidenceSec: 100_000 - 21_600 })).toEqual([])
    expect(found([], { evidenceSec: 100_000 - 21_601 })).toEqual(['BLOCK stale-evidence'])
    expect(found([], { simulation: 'reverted' })).toEqual(['BLOCK simulation-reverts'])
  })
  test('rule: what switches a distribution off or on is no step of its threshold', () => {
    const watch = { breakerOf: () => 'WATCH' as const }
    expect(found([change('distributionThreshold', 0n, PROTOCOL, 10n ** 11n)], {}, watch)).toEqual([])
    expect(found([change('distributionThreshold', 85n * 10n ** 9n, PROTOCOL, 10n ** 11n)], {}, watch)).toContain('WARN loosens-under-alarm')
  })
  test('rule: an account’s debt threshold of 0 is held to the general one, the batch’s own where it sets that', () => {
    const own = change('whitelistedDebtThreshold', 0n, ETH, 5n)
    expect(found([own], {}, { currentOf: (name) => (name === 'debtThreshold' ? 50_000_000_000n : null) })).toEqual([])
    expect(found([own], {}, { currentOf: (name) => (name === 'debtThreshold' ? 50_000_000_001n : null) })).toEqual(['WARN debt-threshold'])
  })
  test('rule: loosening under alarm, tightening not', () => {
    const watch = { breakerOf: () => 'WATCH' as const }
    expect(found([change('marketMaxPriceSpreadRatio', 110_000n, ETH, 100_000n)], {}, watch)).toEqual(['WARN loosens-under-alarm'])
    expect(found([change('marketMaxPriceSpreadRatio', 90_000n, ETH, 100_000n)], {}, watch)).toEqual([])
  })
  test('rule: one market in two batches', () => {
    const one = [change('marketMaxPriceSpreadRatio', 90_000n, ETH, 100_000n)]
    expect(found(one, { openElsewhere: [{ parameter: 'feeRatio', subject: ETH }] })).toEqual(['WARN split-batches'])
    expect(found(one, { openElsewhere: [{ parameter: 'feeRatio', subject: BTC }] })).toEqual([])
  })
  test('rule: a call that the deployed contracts do not know', () => {
    const call = curie.catalog.encodeChange(devnet, { name: 'twapInterval', subject: PROTOCOL }, 900n)
    // setFeeDiscountRatio(address,uint24) is in later versions alone.
    expect(found([], { calls: [call, { to: devnet.contracts.marketRegistry, value: 0n, data: '0x7e0a8d94' }] })).toEqual(['BLOCK not-in-deployed-abi'])
  })
  test('behavior: blocks come first, and nothing is dropped', () => {
    expect(found([change('maxFundingRate', 0n), change('mmRatio', 1n)], { simulation: 'reverted' })).toEqual(['BLOCK no-setter', 'BLOCK simulation-reverts', 'WARN funding-cap'])
  })
  test('behavior: every playbook passes without a block', () => {
    const current: Readonly<Record<string, bigint>> = { marketMaxPriceSpreadRatio: 100_000n, maxTickCrossedWithinBlock: 250n, depositCap: 1000n, distributionThreshold: 10n ** 12n, collateralRatio: 800_000n, insuranceFundFeeRatio: 100_000n }
    const books = curiePlaybooks({ currentOf: (name) => current[name] ?? null, protocol: PROTOCOL, markets: devnet.markets.map((m) => ({ id: m.baseToken, symbol: m.symbol })), collaterals: devnet.collaterals.map((c) => ({ id: c.token, symbol: c.symbol, held: 40n, haircutRatioE6: 600_000n })) })
    for (const book of books) {
      const changes = book.changes.map((c) => ({ parameter: c.parameter, subject: c.subject as Address, from: c.from, to: c.to }))
      expect([book.id, found(changes, { playbook: book.id }).filter((f) => f.startsWith('BLOCK'))]).toEqual([book.id, []])
    }
  })
})
