import { describe, expect, test } from '@jest/globals'
import { displayUnit, displayValue, specOf } from '../../api/graphql/display.ts'
import { curie } from '../../protocols/curie/index.ts'
import { deployment } from './support.ts'

const [weth] = deployment.collaterals

describe('a parameter’s value for people', () => {
  test.each([
    ['imRatio', 62_500n, '6.25 %', '%'],
    // MarketRegistry.getMarketMaxPriceSpreadRatio answers 0.1e6 where 0 is stored; a fee of 0 is 0.
    ['marketMaxPriceSpreadRatio', 0n, '10 % (raw 0)', '%'],
    ['marketMaxPriceSpreadRatio', 1n, '0.0001 %', '%'],
    ['feeRatio', 0n, '0 %', '%'],
    ['imRatio', 12_500_000n, '1,250 %', '%'],
    ['maxFundingRate', 100_000n, '10 % a day', '% a day'],
    ['twapInterval', 900n, '900 s', 's'],
    ['maxTickCrossedWithinBlock', 1000n, '1,000 ticks', 'ticks'],
    // CollateralManager.getDebtThresholdByTrader answers _debtThreshold where 0 is stored; InsuranceFund.distributeFee reverts (IF_DTEZ).
    ['whitelistedDebtThreshold', 0n, 'the general debt threshold (raw 0)', 'USDC'],
    ['whitelistedDebtThreshold', 1n, '0.000001 USDC', 'USDC'],
    ['distributionThreshold', 0n, 'no distribution (raw 0)', 'USDC'],
    ['collateralValueDust', 0n, '0 USDC', 'USDC'],
    ['debtThreshold', 10_000_000_000n, '10,000 USDC', 'USDC'],
    ['debtThreshold', 2n ** 256n - 1n, 'no limit', 'USDC'],
    // WETH has 18 decimals.
    ['depositCap', 1_234_500_000_000_000_000_000n, '1,234.5 WETH', 'WETH'],
  ])('behavior: %s of %s is %s', (name, raw, text, unit) => {
    const spec = curie.catalog.find(name)
    expect(displayValue(spec, raw, weth!.token, deployment)).toBe(text)
    expect(displayUnit(spec, weth!.token, deployment)).toBe(unit)
  })

  test('behavior: what the catalog does not know is shown raw', () => {
    expect(displayValue(specOf(curie.catalog, 'newParameter', 'PROTOCOL'), 12_345n, '', deployment)).toBe('12,345')
  })
})
