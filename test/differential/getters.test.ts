import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { buildSchema, isObjectType } from 'graphql'
import { toFunctionSelector, type AbiFunction } from 'viem'
import { curie, uniswap } from '../../devnet/artifacts.ts'
import { devnet } from '../../protocols/curie/deployments.ts'
import { catalog } from '../../protocols/curie/parameters.ts'
import { ASKED } from './api.ts'
import { DERIVED, GETTERS, gettersOf, type Scope } from './getters.ts'

/** Views that say nothing of accounts, markets or the fund that another figure does not say, and why. */
const EXCUSED: Readonly<Record<string, readonly string[]>> = {
  'which contract works with which other: part of the deployment, not of its state': [
    'ClearingHouse.getAccountBalance', 'ClearingHouse.getClearingHouseConfig', 'ClearingHouse.getDelegateApproval', 'ClearingHouse.getExchange', 'ClearingHouse.getInsuranceFund', 'ClearingHouse.getOrderBook',
    'ClearingHouse.getQuoteToken', 'ClearingHouse.getTrustedForwarder', 'ClearingHouse.getUniswapV3Factory', 'ClearingHouse.getVault', 'ClearingHouse.isTrustedForwarder', 'ClearingHouse.versionRecipient',
    'Vault.getAccountBalance', 'Vault.getClearingHouse', 'Vault.getClearingHouseConfig', 'Vault.getCollateralManager', 'Vault.getExchange', 'Vault.getInsuranceFund', 'Vault.getSettlementToken', 'Vault.getTrustedForwarder',
    'Vault.getWETH9', 'Vault.isTrustedForwarder', 'Vault.versionRecipient', 'Vault.decimals', 'AccountBalance.getClearingHouse', 'AccountBalance.getClearingHouseConfig', 'AccountBalance.getOrderBook', 'AccountBalance.getVault',
    'OrderBook.getClearingHouse', 'OrderBook.getExchange', 'OrderBook.getMarketRegistry', 'Exchange.getAccountBalance', 'Exchange.getClearingHouse', 'Exchange.getClearingHouseConfig', 'Exchange.getMarketRegistry',
    'Exchange.getOrderBook', 'InsuranceFund.getBorrower', 'InsuranceFund.getToken', 'InsuranceFund.getVault', 'CollateralManager.getClearingHouseConfig', 'CollateralManager.getVault', 'CollateralManager.isCollateral',
    'MarketRegistry.getClearingHouse', 'MarketRegistry.getPool', 'MarketRegistry.getQuoteToken', 'MarketRegistry.getUniswapV3Factory', 'MarketRegistry.hasPool',
  ],
  'owner and candidate, of every contract': [
    ...['ClearingHouse', 'Vault', 'AccountBalance', 'OrderBook', 'Exchange', 'InsuranceFund', 'BaseToken', 'ClearingHouseConfig', 'MarketRegistry', 'CollateralManager'].flatMap((name) => [`${name}.owner`, `${name}.candidate`]),
  ],
  'the virtual token as an ERC-20, which only the protocol moves': ['BaseToken.allowance', 'BaseToken.balanceOf', 'BaseToken.decimals', 'BaseToken.isInWhitelist', 'BaseToken.name', 'BaseToken.symbol', 'BaseToken.totalSupply'],
  'another name of a getter that is compared': ['Exchange.getSqrtMarkTwapX96', 'OrderBook.getOpenOrderById', 'MarketRegistry.getMarketInfo'],
  'deprecated: no function of this version writes what it answers': ['Vault.getTotalDebt'],
  'about arguments that the caller makes up': ['Exchange.getPnlToBeRealized', 'CollateralManager.requireValidCollateralMmRatio', 'OrderBook.getLiquidityCoefficientInFundingPayment'],
}

const CONTRACTS = ['ClearingHouse', 'Vault', 'AccountBalance', 'OrderBook', 'Exchange', 'InsuranceFund', 'BaseToken', 'ClearingHouseConfig', 'MarketRegistry', 'CollateralManager'] as const

/** Views of a contract by selector. */
const viewsOf = (contract: string): Map<string, string> =>
  new Map(curie(contract).abi.flatMap((item) => (item.type === 'function' && (item.stateMutability === 'view' || item.stateMutability === 'pure') ? [[toFunctionSelector(item as AbiFunction), `${contract}.${item.name}`] as const] : [])))

const compared = new Set([...(Object.keys(GETTERS) as Scope[]).flatMap((scope) => gettersOf(scope).map(([name]) => name.split(' ')[0] ?? name)), ...Object.values(DERIVED).flatMap((group) => Object.keys(group))])

describe('the list of what is compared', () => {
  // The words of the requirement, getter by getter.
  test.each([
    'AccountBalance.getTakerPositionSize', 'AccountBalance.getTotalPositionSize', 'AccountBalance.getTakerOpenNotional', 'AccountBalance.getTotalOpenNotional', 'AccountBalance.getPnlAndPendingFee', 'OrderBook.getPendingFee',
    'OrderBook.getOpenOrder', 'Exchange.getAllPendingFundingPayment', 'Exchange.getPendingFundingPayment', 'Vault.getBalance', 'Vault.getBalanceByToken', 'Vault.getFreeCollateral', 'Vault.getFreeCollateralByRatio',
    'Vault.getFreeCollateralByToken', 'Vault.getSettlementTokenValue', 'Vault.getAccountValue', 'Vault.isLiquidatable', 'Vault.getMarginRequirementForCollateralLiquidation', 'ClearingHouse.getAccountValue',
    'AccountBalance.getMarginRequirementForLiquidation', 'liquidatable', 'openInterestLong', 'openInterestShort', 'Pool.liquidity', 'Pool.slot0', 'BaseToken.getIndexPrice', 'AccountBalance.getMarkPrice',
    'Exchange.getSqrtMarketTwapX96', 'InsuranceFund.getInsuranceFundCapacity',
  ])('behavior: holds %s', (name) => {
    expect(compared.has(name)).toBe(true)
  })

  test('behavior: every view of the deployed contracts is compared, a parameter of the catalog, or excused with a reason', () => {
    const parameters = new Set(catalog.refs(devnet).map((ref) => catalog.encodeRead(devnet, ref).data.slice(0, 10)))
    const excused = new Set(Object.values(EXCUSED).flat())
    const views = CONTRACTS.flatMap((contract) => [...viewsOf(contract)])
    const silent = views.filter(([selector, name]) => !compared.has(name) && !parameters.has(selector) && !excused.has(name)).map(([, name]) => name)
    expect(silent).toEqual([])
    const names = new Set(views.map(([, name]) => name))
    expect([...excused].filter((name) => !names.has(name) || compared.has(name))).toEqual([])
  })

  test('behavior: every getter that is named exists in the deployed contract, with all of its outputs taken', () => {
    for (const scope of Object.keys(GETTERS) as Scope[]) {
      for (const [name, getter] of gettersOf(scope)) {
        const contract = name.split('.')[0] ?? ''
        const abi = contract === 'Pool' ? uniswap('UniswapV3Pool').abi : curie(contract).abi
        const found = abi.find((item): item is AbiFunction => item.type === 'function' && item.name === getter.name)
        const struct = found?.outputs[0] as { readonly components?: readonly unknown[] } | undefined
        const outputs = struct?.components?.length ?? found?.outputs.length
        // slot0's last two, the pool's own fee and its lock, never change here.
        expect([name, Object.keys(getter.outputs).length]).toEqual([name, getter.name === 'slot0' ? 5 : outputs])
      }
    }
  })
})

describe('the margin figures of the API', () => {
  const schema = buildSchema(readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8'))
  // What says nothing about margins: names, evidence, and what the index keeps as the event said it.
  const OTHER = { AccountMargin: ['provenance', 'missing'], PositionMargin: [], Position: ['id', 'account', 'realizedPnl', 'fundingPaid'] }

  test.each(['AccountMargin', 'PositionMargin', 'Position'] as const)('behavior: every figure of %s in the schema is compared', (name) => {
    const type = schema.getType(name)
    expect(isObjectType(type) ? Object.keys(type.getFields()).toSorted() : []).toEqual([...ASKED[name], ...OTHER[name]].toSorted())
  })
})
