/** Real positions on the deployed bytecode, and what a change of parameters does to them. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeDeployData, maxUint256, parseAbi, zeroAddress, zeroHash } from 'viem'
import type { Abi } from 'viem'
import { freePort } from '../../core/ports.ts'
import { E18, E6, mulDiv } from '../../core/units.ts'
import type { RunInputs } from '../../api/recommendations/index.ts'
import { build } from '../../proposals/build.ts'
import type { Plan } from '../../proposals/build.ts'
import type { Change } from '../../proposals/draft.ts'
import { labelOf } from '../../proposals/draft.ts'
import { examine, expectedBadDebt, impactOf } from '../../proposals/impact.ts'
import type { ExamineOptions, Impact, ImpactInputs } from '../../proposals/impact.ts'
import { rollbackOf } from '../../proposals/rollback.ts'
import { simulate } from '../../proposals/simulate.ts'
import type { SimulationResult } from '../../proposals/simulate.ts'
import type { Address, Hex } from '../../protocols/adapter.ts'
import { curie } from '../../protocols/curie/index.ts'
import { catalog } from '../../protocols/curie/parameters.ts'
import { ABIS, callOf, DEPLOYER, deployment, person, SAFE, World, type Call } from '../protocols/world.ts'
import { book } from '../recommendations/book.ts'
import { INITIAL_BREAKER_STATE } from '../../api/risk/index.ts'
import { createPrisma } from '../../prisma/client.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import { startTestPostgres } from '../support/postgres.ts'
import type { TestPostgres } from '../support/postgres.ts'

const { clearingHouse: HOUSE, vault: VAULT, accountBalance: ACCOUNTS, collateralManager: COLLATERALS } = deployment.contracts
const ETH = deployment.markets[0]!.baseToken
const WETH = deployment.collaterals[0]!.token
const USDC = deployment.settlementToken.address
const ROOT = deployment.contracts.clearingHouse
const target = { catalog, deployment }
const PRICES = [3_200, 68_000, 2.4]

const maker = person(71)
/** 10 WETH, long for 250,000: falls due once the collateral counts for half of what it does. */
const tight = person(72)
/** The same collateral, long for 200,000: only with a fall of the price on top. */
const near = person(73)
/** Settlement token alone: no ratio of a collateral concerns it. */
const plain = person(74)
/** Collateral and a range: its liquidity has to go first. */
const ranged = person(75)
const liquidator = person(76)
const traders = [maker, tight, near, plain, ranged]

let world: World
const stateDir = mkdtempSync(join(tmpdir(), 'bulwark-impact-'))

const open = (from: Address, quote: bigint): Call => callOf(from, HOUSE, ABIS.house, 'openPosition', [{ baseToken: ETH, isBaseToQuote: false, isExactInput: true, amount: quote * E18, oppositeAmountBound: 0n, deadline: maxUint256, sqrtPriceLimitX96: 0n, referralCode: zeroHash }])
const provide = (from: Address, base: bigint, quote: bigint, lowerTick: number, upperTick: number): Call =>
  callOf(from, HOUSE, ABIS.house, 'addLiquidity', [{ baseToken: ETH, base, quote, lowerTick, upperTick, minBase: 0n, minQuote: 0n, useTakerBalance: false, deadline: maxUint256 }])

beforeAll(async () => {
  world = await World.start(await freePort())
  await world.fund([...traders, liquidator, SAFE])
  const funded = [maker, plain, liquidator]
  await world.mine(10, [callOf(DEPLOYER, USDC, ABIS.erc20, 'mint', [funded, funded.map(() => 50_000_000n * E6)]), world.push(PRICES)])
  await world.mine(10, funded.map((from) => callOf(from, USDC, ABIS.erc20, 'approve', [VAULT, maxUint256])))
  const ether = (from: Address, amount: bigint): Call => callOf(from, VAULT, ABIS.vault, 'depositEther', [], amount * E18)
  await world.mine(10, [...funded.map((from) => callOf(from, VAULT, ABIS.vault, 'deposit', [USDC, 20_000_000n * E6])), ether(tight, 10n), ether(near, 10n), ether(ranged, 10n)])
  // The mark price takes 30 minutes of the pool's averages.
  await world.mine(2_000, [callOf(maker, deployment.markets[0]!.pool, ABIS.pool, 'increaseObservationCardinalityNext', [400]), world.push(PRICES)])
  // ln(3200)/ln(1.0001) = 80714.
  const provided = await world.mine(60, [provide(maker, 15_000n * E18, 48_000_000n * E18, 76_500, 84_000)])
  const opened = await world.mine(60, [open(tight, 250_000n), open(near, 200_000n), open(plain, 100_000n), provide(ranged, 0n, 10_000n * E18, 78_000, 79_800), open(ranged, 240_000n)])
  if ([...provided, ...opened].includes(false)) throw new Error('a position could not be opened')
  await world.mine(1_000, [world.push(PRICES)])
})

afterAll(async () => {
  await world?.stop()
  rmSync(stateDir, { recursive: true, force: true })
})

const change = async (parameter: string, subject: Address, to: bigint): Promise<Change> => {
  const spec = catalog.find(parameter)
  const call = catalog.encodeRead(deployment, { name: parameter, subject })
  const from = catalog.decodeRead({ name: parameter, subject }, await world.rpc<Hex>('eth_call', [{ to: call.to, data: call.data }, 'latest']))
  return { parameter, scope: spec.scope, subject: subject.toLowerCase() as Address, subjectLabel: labelOf(deployment, spec.scope, subject), from, to }
}

async function examined(changes: readonly Change[], options: { accounts?: readonly Address[]; run?: RunInputs; history?: ImpactInputs['history']; breakers?: ImpactInputs['breakers'] } = {}): Promise<{ result: SimulationResult; impact: Impact | null }> {
  const head = await world.rpc<{ number: Hex; hash: Hex; timestamp: Hex }>('eth_getBlockByNumber', ['latest', false])
  const block = { number: BigInt(head.number), hash: head.hash, timestamp: BigInt(head.timestamp) }
  const plan: Plan = { changes: changes as Plan['changes'], validUntilSec: block.timestamp + 3_600n, nonce: 3n }
  const back = rollbackOf(target, plan)
  const { result, seen } = await simulate(target, plan, build(target, plan), { rpcUrl: world.anvil.url, stateDir, block, rollback: back.plan === null ? null : back, accounts: options.accounts ?? traders })
  const inputs: ImpactInputs = {
    block,
    margin: { states: await world.states(traders), rows: [...world.store.rows.values()], gap: null },
    run: options.run ?? book(),
    breakers: options.breakers ?? [],
    history: options.history ?? [],
  }
  return { result, impact: seen === null ? null : impactOf({ target, protocol: curie, plan, inputs, seen, cut: options.accounts !== undefined }) }
}

const seenValue = (to: Address, abi: Parameters<World['value']>[1], name: string, args: readonly unknown[]) => world.value<bigint>(to, abi, name, args)
const isAllowed = async (calls: readonly Call[]): Promise<boolean> => {
  try {
    for (const call of calls) await world.rpc('eth_call', [{ from: call.from, to: call.to, data: call.data, gas: '0x1312d00' }, 'latest'])
    return true
  } catch {
    return false
  }
}

describe('a lower collateral ratio', () => {
  let result: SimulationResult
  let impact: Impact
  beforeAll(async () => {
    const seen = await examined([await change('collateralRatio', WETH, 450_000n)])
    result = seen.result
    impact = seen.impact!
  })

  test('behavior: the accounts that fall due are those whose value is below the requirement, and no others', () => {
    expect(result.failure).toBeNull()
    expect(impact.newlyLiquidatable.map((each) => each.account).toSorted()).toEqual([tight, ranged].toSorted())
    expect(impact.newlyLiquidatable.find((each) => each.account === tight)).toMatchObject({ source: 'CONTRACTS', falls: ['POSITIONS', 'COLLATERAL'], afterCancelling: false })
    expect(impact.newlyLiquidatable.find((each) => each.account === ranged)).toMatchObject({ falls: ['POSITIONS', 'COLLATERAL'], afterCancelling: true })
    expect(impact.accounts).toEqual({ indexed: 5, readFromContracts: 5, cut: false, unreadable: [], valued: 5, unvalued: [] })
  })

  test('behavior: the value lost is what the haircut takes: 40 % of 10 WETH at its average price', async () => {
    const price = await seenValue(COLLATERALS, ABIS.collateralManager, 'getPrice', [WETH, 900n])
    expect(price).toBe(3_200n * 10n ** 8n)
    for (const each of impact.newlyLiquidatable) expect(BigInt(each.before.valueE18) - BigInt(each.after.valueE18)).toBe(10n * 3_200n * E18 * 40n / 100n)
    const one = impact.newlyLiquidatable.find((each) => each.account === tight)!
    // A maintenance margin of 6.25 %, before and after.
    expect(BigInt(one.after.requirementE18)).toBe(mulDiv(BigInt(one.grossE18), 62_500n, 1_000_000n))
    expect(one.before.requirementE18).toBe(one.after.requirementE18)
    expect(BigInt(one.after.valueE18)).toBeLessThan(BigInt(one.after.requirementE18))
  })

  test('behavior: the engine, from the index alone, has the same figures to the last digit, before and after', () => {
    expect(impact.engine).toEqual({ gap: null, comparedBefore: 5, comparedAfter: 5, differences: [] })
  })

  test('behavior: a fall of the price brings further accounts down, and the report says which the change adds', () => {
    const at = (moveE6: string) => impact.nearMiss.find((each) => each.moveE6 === moveE6)!
    expect(impact.nearMiss.map((each) => each.moveE6)).toEqual(['-50000', '-30000', '-10000', '10000', '30000', '50000'])
    // Between the two requirements, 6.25 % and 6.75 % of the position, collateral falls due and the position does not.
    expect(at('-10000').added.map((each) => [each.account, each.falls])).toEqual([[near, ['COLLATERAL']]])
    expect(at('-50000').added.map((each) => [each.account, each.falls])).toEqual([[near, ['POSITIONS', 'COLLATERAL']]])
    expect(at('10000').added).toEqual([])
    expect(at('-50000')).toMatchObject({ without: 2, with: 3 })
    expect(at('50000').with).toBeLessThanOrEqual(at('-50000').with)
  })

  test('behavior: what a fall of 5 % leaves is its share of the position and of the counted collateral', async () => {
    const added = impact.nearMiss.find((each) => each.moveE6 === '-50000')!.added[0]!
    const value = await seenValue(HOUSE, ABIS.house, 'getAccountValue', [near])
    const position = await seenValue(ACCOUNTS, ABIS.accountBalance, 'getTotalPositionValue', [near, ETH])
    const before = value - 10n * 3_200n * E18 * 40n / 100n
    const counted = 10n * 3_200n * E18 * 45n / 100n
    // A second of funding lies between this read and the simulation's.
    expect(Math.abs(Number(BigInt(added.valueE18) - (before - position / 20n - counted / 20n)) / 1e18)).toBeLessThan(0.05)
  })

  test('behavior: bad debt is what the penalty leaves unpaid, and the fund covers it', async () => {
    const capacity = await seenValue(deployment.contracts.insuranceFund, ABIS.insuranceFund, 'getInsuranceFundCapacity', [])
    expect(impact.totals.fundE18).toBe((capacity * 10n ** 12n).toString())
    for (const each of impact.newlyLiquidatable) {
      const missing = mulDiv(BigInt(each.grossE18), 25_000n, 1_000_000n) - BigInt(each.after.valueE18)
      expect(each.badDebtE18).toBe(missing > 0n ? missing.toString() : '0')
      expect(BigInt(each.expectedBadDebtE18!)).toBeGreaterThanOrEqual(BigInt(each.badDebtE18))
    }
    expect(BigInt(impact.totals.grossE18)).toBe(impact.newlyLiquidatable.reduce((sum, each) => sum + BigInt(each.grossE18), 0n))
  })

  test('behavior: the way back restores every parameter, on the same fork', () => {
    expect(result.rollback).toMatchObject({ success: true, failure: null, others: { changed: [] } })
    expect(result.rollback!.parameters).toEqual([{ name: 'collateralRatio', subject: WETH, before: '450000', after: '850000', expected: '850000' }])
    const written = (batch: { storage: SimulationResult['storage'] }) => batch.storage.filter((slot) => slot.contract === 'collateralManager').map(({ slot, from, to }) => ({ slot, from, to }))
    const [there] = written(result)
    expect(written(result.rollback!)).toEqual([{ slot: there!.slot, from: there!.to, to: there!.from }])
  })

  test('behavior: plain JSON, the same from the same block', async () => {
    expect(JSON.parse(JSON.stringify(impact))).toEqual(impact)
    expect(JSON.parse(JSON.stringify(result))).toEqual(result)
    const again = await examined([await change('collateralRatio', WETH, 450_000n)])
    expect(again.impact).toEqual(impact)
    expect({ ...again.result, gasUsed: result.gasUsed }).toEqual(result)
  })
})

describe('other changes', () => {
  test('behavior: a lower debt threshold lets collateral be liquidated, and positions not', async () => {
    const held = [tight, near, ranged]
    const debts = await Promise.all(held.map(async (account) => ({ account, debt: -(await seenValue(VAULT, ABIS.vault, 'getSettlementTokenValue', [account])) })))
    debts.sort((a, b) => Number(b.debt - a.debt))
    // Between the largest and the second: a dollar more than that.
    const threshold = debts[1]!.debt > 0n ? debts[1]!.debt + E6 : E6
    expect(debts[0]!.debt).toBeGreaterThan(threshold + E6)
    const { impact } = await examined([await change('debtThreshold', ROOT, threshold)])
    expect(impact!.newlyLiquidatable.map((each) => ({ account: each.account, falls: each.falls }))).toEqual([{ account: debts[0]!.account, falls: ['COLLATERAL'] }])
    // What may be taken does not hang on the threshold: the contract answers the same before it.
    const [repaid, amount] = await world.value<readonly [bigint, bigint]>(VAULT, ABIS.vault, 'getMaxRepaidSettlementAndLiquidatableCollateral', [debts[0]!.account, WETH])
    const [taken] = impact!.newlyLiquidatable[0]!.collateral!
    expect(taken).toMatchObject({ token: WETH, label: 'WETH' })
    // A second of funding lies between the two.
    expect(Math.abs(Number(BigInt(taken!.repaid) - repaid)) / Number(repaid)).toBeLessThan(1e-4)
    expect(Math.abs(Number(BigInt(taken!.amount) - amount)) / Number(amount)).toBeLessThan(1e-4)
    expect(impact!.engine.differences).toEqual([])
  })

  test('behavior: an order that breaks a coupling for the time between two calls is named with its step', async () => {
    const changes = [await change('discountRatio', WETH, 200_000n), await change('collateralRatio', WETH, 700_000n)]
    const wrong = (await examined(changes)).impact!.invariants
    expect(wrong.steps.map((each) => each.broken.map((one) => `${one.name} of ${one.subject}: ${one.text}`))).toEqual([[], ['collateral counts for no more than its liquidation brings of WETH: collateral ratio 85 %, discount 20 %'], []])
    expect(wrong.newlyBroken).toBe(1)
    const right = (await examined(changes.toReversed())).impact!.invariants
    expect(right.newlyBroken).toBe(0)
  })

  test('behavior: a feed that the index does not follow is read from the contracts, and the report says that the engine cannot be compared', async () => {
    // vOP's feed prices WETH at 2.4: every account that stands on it is under water.
    const { impact, result } = await examined([await change('collateralPriceFeed', WETH, BigInt(deployment.markets[2]!.chainlinkFeed))])
    expect(result.failure).toBeNull()
    expect(impact!.engine).toMatchObject({ comparedBefore: 5, comparedAfter: 0, differences: [] })
    expect(impact!.engine.gap).toContain('collateralPriceFeed of WETH')
    expect(impact!.newlyLiquidatable.map((each) => each.account).toSorted()).toEqual([tight, near, ranged].toSorted())
    const one = impact!.newlyLiquidatable.find((each) => each.account === tight)!
    expect(BigInt(one.before.valueE18) - BigInt(one.after.valueE18)).toBe(10n * (3_200n * E18 - 24n * E18 / 10n) * 85n / 100n)
  })

  test('error: a change after which margins cannot be read any more fails, although every call succeeds', async () => {
    // A dispatcher has the decimals that the contract asks for, and not the price.
    const { impact, result } = await examined([await change('collateralPriceFeed', WETH, BigInt(deployment.markets[2]!.priceFeed))])
    expect(result.results.every((each) => each.success)).toBe(true)
    expect(result).toMatchObject({ success: false, failure: expect.stringMatching(/^After the batch the margins of 3 accounts cannot be read any more, of 0x[0-9a-f]{40} first: getAccountValue reverts$/) })
    expect(new Set(impact!.accounts.unreadable)).toEqual(new Set([tight, near, ranged].map((account) => ({ account, when: 'after', reason: 'getAccountValue reverts' }))))
    // Also where the engine has a figure: the contracts were asked, and refuse.
    expect(impact!.accounts).toMatchObject({ valued: 2, unvalued: [{ reason: 'getAccountValue reverts after the change', count: 3, accounts: [tight, near, ranged].toSorted() }] })
  })

  test('behavior: totals and near misses are of the accounts that are valued before and after, and the others are named with what stands in the way', async () => {
    const feed = await change('collateralPriceFeed', WETH, BigInt(deployment.markets[2]!.chainlinkFeed))
    const { impact } = await examined([feed], { accounts: [tight] })
    expect(impact!.newlyLiquidatable.map((each) => each.account)).toEqual([tight])
    expect(impact!.accounts).toMatchObject({ indexed: 5, readFromContracts: 1, cut: true, valued: 1 })
    expect(impact!.accounts.unvalued).toEqual([{ reason: expect.stringMatching(/^not read from the contracts, and the engine's margins do not follow collateralPriceFeed of WETH/), count: 4, accounts: [maker, near, plain, ranged].toSorted() }])
    // The engine values all five before the change: at 5 % less two of them are due without it, and one is counted.
    expect(impact!.nearMiss.map(({ without, with: due }) => [without, due]).every(([without, due]) => without! <= 1 && due === 1)).toBe(true)
  })

  test('behavior: accounts that are not read stand with the engine, which is said', async () => {
    const { impact } = await examined([await change('collateralRatio', WETH, 450_000n)], { accounts: [tight] })
    expect(impact!.accounts).toMatchObject({ indexed: 5, readFromContracts: 1, cut: true })
    expect(new Map(impact!.newlyLiquidatable.map((each) => [each.account, each.source]))).toEqual(new Map([[tight, 'CONTRACTS'], [ranged, 'ENGINE']]))
    expect(impact!.accounts).toMatchObject({ valued: 5, unvalued: [] })
    expect(new Map(impact!.newlyLiquidatable.map((each) => [each.account, each.collateral?.length ?? null]))).toEqual(new Map([[tight, 1], [ranged, null]]))
  })

  test('behavior: a figure of the index that is wrong is listed, and the contracts count', async () => {
    const head = await world.rpc<{ number: Hex; hash: Hex; timestamp: Hex }>('eth_getBlockByNumber', ['latest', false])
    const block = { number: BigInt(head.number), hash: head.hash, timestamp: BigInt(head.timestamp) }
    const plan: Plan = { changes: [await change('collateralRatio', WETH, 450_000n)], validUntilSec: block.timestamp + 3_600n, nonce: 3n }
    const { seen } = await simulate(target, plan, build(target, plan), { rpcUrl: world.anvil.url, stateDir, block, accounts: traders })
    const states = await world.states(traders)
    const accounts = states.accounts.map((each) => (each.id === tight ? { ...each, settlementBalance: each.settlementBalance + 1_000_000n * E6 } : each))
    const impact = impactOf({ target, protocol: curie, plan, inputs: { block, margin: { states: { ...states, accounts }, rows: [...world.store.rows.values()], gap: null }, run: book(), breakers: [], history: [] }, seen: seen!, cut: false })
    expect(impact.newlyLiquidatable.map((each) => each.account)).toContain(tight)
    expect(new Set(impact.engine.differences.map((each) => each.account))).toEqual(new Set([tight]))
    expect(impact.engine.differences).toContainEqual({ account: tight, when: 'after', field: 'liquidatable', contracts: 'true', engine: 'false' })
  })

  test('behavior: a change that concerns no margin makes nobody liquidatable', async () => {
    const { impact } = await examined([await change('depositCap', WETH, 1n)])
    expect(impact).toMatchObject({ newlyLiquidatable: [], totals: { grossE18: '0', badDebtE18: '0', coverE6: null }, engine: { differences: [] }, invariants: { checked: 0 } })
    expect(impact!.nearMiss.every((each) => each.with === each.without && each.added.length === 0)).toBe(true)
  })

  test('behavior: a higher discount asks for a larger fund', async () => {
    const { impact } = await examined([await change('discountRatio', WETH, 150_000n)])
    const { fund } = impact!
    expect(fund.gap).toBeNull()
    expect(BigInt(fund.targetAfter!)).toBeGreaterThanOrEqual(BigInt(fund.targetBefore!))
  })

  test('behavior: a loosening under an alarm is named', async () => {
    const alarmed = [{ subject: ETH, label: 'vETH', level: 'RESTRICT' as const }]
    const loose = await examined([await change('marketMaxPriceSpreadRatio', ETH, 150_000n)], { breakers: alarmed })
    expect(loose.impact!.breakers.loosening).toEqual(['marketMaxPriceSpreadRatio of vETH loosens while the breaker of vETH is in RESTRICT'])
    const tightened = await examined([await change('marketMaxPriceSpreadRatio', ETH, 50_000n)], { breakers: alarmed })
    expect(tightened.impact!.breakers.loosening).toEqual([])
  })

  test('behavior: a batch that fails has no impact', async () => {
    const drifted = { ...(await change('collateralRatio', WETH, 450_000n)), from: 840_000n }
    const { result, impact } = await examined([drifted])
    expect(result).toMatchObject({ success: false, rollback: null, gasUsed: null })
    expect(result.failure).toBe('collateralRatio of WETH was 840000 when drafted and is 850000 at the simulated block')
    expect(result.results).toMatchObject([{ what: 'the precondition', success: false, error: expect.stringContaining('collateralRatio of WETH is 850000, expected 840000') }])
    expect(impact).toBeNull()
  })
})

/** The world's rows in a mirror of its own. The position changes and prices are those of the chain's own facts. */
async function mirrored(prisma: PrismaClient): Promise<void> {
  const head = await world.rpc<{ number: Hex; hash: Hex; timestamp: Hex }>('eth_getBlockByNumber', ['latest', false])
  const [number, timestamp] = [BigInt(head.number), BigInt(head.timestamp)]
  const at = { updatedAtBlock: number, updatedAtTimestamp: timestamp }
  const since = { createdAtBlock: 1n, createdAtTimestamp: 1n }
  const states = await world.states(traders)
  await prisma.checkpoint.create({ data: { blockNumber: number, blockHash: head.hash, blockTimestamp: timestamp, rowCount: 0 } })
  await prisma.protocol.create({ data: { id: ROOT, name: 'curie', settlementToken: USDC, settlementTokenDecimals: 6, marketCount: 3, accountCount: 5, openPositionCount: 0, liquidationCount: 0, ...at } })
  const feeds = [...deployment.markets.map((market) => market.chainlinkFeed), deployment.collaterals[0]!.priceFeed]
  await prisma.oracleFeed.createMany({ data: feeds.map((id, i) => ({ id, dispatcher: id, priceE18: `${Math.round((PRICES[i] ?? 3_200) * 10)}00000000000000000`, priceTimestamp: timestamp, freezeReason: 0, fallback: false, updateCount: 1, ...at })) })
  for (const [i, market] of deployment.markets.entries()) {
    await prisma.market.create({ data: { id: market.baseToken, protocolId: ROOT, symbol: market.symbol, pool: market.pool, poolFeeE6: 3_000, state: 'OPEN', feedId: feeds[i]!, openInterestLongE18: 0, openInterestShortE18: 0, volumeE18: 0, liquidatedNotionalE18: 0, liquidationCount: 0, feesE18: 0, ...since, ...at } })
  }
  await prisma.collateralAsset.create({ data: { id: WETH, protocolId: ROOT, symbol: 'WETH', decimals: 18, priceFeed: feeds[3]!, feedId: feeds[3]!, totalBalance: 0, ...at } })
  for (const account of states.accounts) {
    const positions = states.positions.filter((each) => each.accountId === account.id && (each.rawSizeE18 !== 0n || each.openNotionalE18 !== 0n))
    const ranges = states.ranges.filter((each) => each.accountId === account.id)
    await prisma.account.create({ data: { id: account.id, protocolId: ROOT, owedRealizedPnlE18: account.owedRealizedPnlE18.toString(), settlementBalance: account.settlementBalance.toString(), openPositionCount: positions.length, openRangeCount: ranges.length, liquidationCount: 0, badDebtE18: 0, ...since, ...at } })
    const of = { accountId: account.id }
    await prisma.position.createMany({ data: positions.map((each) => ({ id: `${account.id}${each.marketId}`, ...of, marketId: each.marketId, sizeE18: each.rawSizeE18.toString(), rawSizeE18: each.rawSizeE18.toString(), openRangeCount: 0, openNotionalE18: each.openNotionalE18.toString(), realizedPnlE18: 0, fundingPaidE18: 0, ...since, ...at })) })
    await prisma.liquidityRange.createMany({ data: ranges.map((each, i) => ({ id: `${account.id}:${i}`, ...of, marketId: each.marketId, lowerTick: each.lowerTick, upperTick: each.upperTick, liquidity: each.liquidity.toString(), baseDebtE18: each.baseDebtE18.toString(), quoteDebtE18: each.quoteDebtE18.toString(), feesCollectedE18: 0, ...since, ...at })) })
    await prisma.collateralBalance.createMany({ data: states.balances.filter((each) => each.accountId === account.id && each.amount !== 0n).map((each) => ({ id: `${account.id}${each.assetId}`, ...of, assetId: each.assetId, amount: each.amount.toString(), ...at })) })
  }
  await prisma.parameter.createMany({ data: states.parameters.map((each) => ({ id: `${each.name}:${each.subject}`, protocolId: ROOT, name: each.name, scope: catalog.find(each.name).scope, subject: each.subject, contract: ROOT, value: each.value.toString(), source: 'CALL' as const, changeCount: 0, ...at })) })
  await prisma.replayRow.createMany({ data: [...world.store.rows.values()].map((row) => ({ id: `${row.kind}:${row.key}`, kind: row.kind, value: row.value as object })) })
  await prisma.replayStatus.create({ data: { id: 1, version: curie.reducer.version, blockNumber: number } })
  await prisma.breakerBoard.create({ data: { blockNumber: number, blockHash: head.hash, blockTimestamp: timestamp, board: { protocol: INITIAL_BREAKER_STATE, markets: { [ETH]: { ...INITIAL_BREAKER_STATE, level: 'WATCH' } } } as object, observation: {} } })
  // Two trades of an hour ago: from 3,200 to 3,240 and on to 3,300, against an index of 3,200.
  const log = (i: number) => ({ blockNumber: number - 5n + BigInt(i), timestamp: timestamp - 3_600n + BigInt(i), transactionHash: `0x${String(i).repeat(64)}`, logIndex: 0 })
  await prisma.priceUpdate.create({ data: { id: '0x01', feedId: feeds[0]!, priceE18: (3_200n * E18).toString(), priceTimestamp: timestamp - 3_700n, freezeReason: 0, ...log(0) } })
  const root = (price: number): string => (BigInt(Math.floor(Math.sqrt(price) * 2 ** 48)) << 48n).toString()
  await prisma.positionChange.createMany({ data: [3_200, 3_240, 3_300].map((price, i) => ({ id: `0x0${i}`, accountId: plain, marketId: ETH, sizeDeltaE18: E18.toString(), notionalDeltaE18: (-3_200n * E18).toString(), feeE18: '1', sizeAfterE18: (BigInt(i + 1) * E18).toString(), openNotionalAfterE18: 0, realizedPnlE18: 0, sqrtPriceAfterX96: root(price), ...log(i + 1) })) })
}

describe('from the mirror', () => {
  let postgres: TestPostgres
  let prisma: PrismaClient
  beforeAll(async () => {
    postgres = await startTestPostgres()
    prisma = createPrisma(await postgres.freshDatabase())
    await mirrored(prisma)
  })
  afterAll(async () => {
    await prisma?.$disconnect()
    await postgres?.stop()
  })
  const plan = async (changes: readonly Change[]): Promise<Plan> => {
    const head = await world.rpc<{ timestamp: Hex }>('eth_getBlockByNumber', ['latest', false])
    return { changes: changes as Plan['changes'], validUntilSec: BigInt(head.timestamp) + 3_600n, nonce: 3n }
  }
  const options = (more: Partial<ExamineOptions> = {}): ExamineOptions => ({ prisma, target, rpcUrl: world.anvil.url, stateDir, ...more })

  test('behavior: simulation and impact of one indexed block, with the same figures by contracts and by index', async () => {
    const { block, simulation, impact } = await examine(await plan([await change('collateralRatio', WETH, 450_000n)]), options())
    expect(simulation).toMatchObject({ success: true, block: block.number.toString(), rollback: { success: true } })
    expect(impact).toMatchObject({ block: block.number.toString(), engine: { gap: null, comparedBefore: 5, comparedAfter: 5, differences: [] }, accounts: { indexed: 5, readFromContracts: 5 } })
    expect(impact!.newlyLiquidatable.map((each) => each.account).toSorted()).toEqual([tight, ranged].toSorted())
    // Nothing is known of volatilities without a history of prices: unknown, and not nothing.
    expect(impact!.totals.expectedBadDebtE18).toBeNull()
    expect(impact!.breakers.levels).toEqual([{ subject: 'protocol', label: 'protocol', level: 'NORMAL' }, { subject: ETH, label: 'vETH', level: 'WATCH' }])
  })

  test('behavior: of more accounts than are read, those nearest to liquidation are read, and all are counted', async () => {
    const { impact } = await examine(await plan([await change('collateralRatio', WETH, 450_000n)]), options({ readMax: 2 }))
    expect(impact!.accounts).toMatchObject({ indexed: 5, readFromContracts: 2, cut: true })
    expect(new Set(impact!.newlyLiquidatable.map((each) => `${each.account} ${each.source}`))).toEqual(new Set([`${tight} CONTRACTS`, `${ranged} CONTRACTS`]))
    expect(impact!.engine).toMatchObject({ comparedAfter: 2, differences: [] })
  })

  test('behavior: a narrower band is replayed over the indexed trades', async () => {
    const { impact } = await examine(await plan([await change('marketMaxPriceSpreadRatio', ETH, 20_000n)]), options())
    // 3,300 is 3.1 % off 3,200; 3,240 is 1.25 %. The first of the three only tells where the price stood.
    expect(impact!.breakers.replays).toMatchObject([{ parameter: 'marketMaxPriceSpreadRatio', market: 'vETH', trades: 3, unknown: 1, before: { trades: 0 }, after: { trades: 1, ofThemReducing: 0, notionalE18: (3_200n * E18).toString() }, trips: { tripsBefore: 0, tripsAfter: 1 } }])
  })

  test('error: a mirror that has not replayed its facts is said, and the contracts are read all the same', async () => {
    await prisma.replayStatus.update({ where: { id: 1 }, data: { blockNumber: 1n } })
    const { impact } = await examine(await plan([await change('collateralRatio', WETH, 450_000n)]), options())
    expect(impact!.engine).toMatchObject({ comparedBefore: 0, comparedAfter: 0, gap: expect.stringMatching(/^the mirror has replayed the facts up to block 1 /) })
    expect(impact!.newlyLiquidatable.map((each) => each.account).toSorted()).toEqual([tight, ranged].toSorted())
  })
})

describe('expected bad debt', () => {
  test('behavior: known points of the normal', () => {
    // E[max(0, −N(0, 1))] = 1/√(2π).
    expect(expectedBadDebt(0, 1)).toBeCloseTo(0.3989422804, 9)
    expect(expectedBadDebt(0, 250)).toBeCloseTo(99.7355701, 5)
    // φ(1) − (1 − Φ(1)) = 0.2419707245 − 0.1586552539.
    expect(expectedBadDebt(1, 1)).toBeCloseTo(0.0833154706, 9)
    expect(expectedBadDebt(-5, 0)).toBe(5)
    expect(expectedBadDebt(5, 0)).toBe(0)
    expect(expectedBadDebt(-1_000, 1)).toBeCloseTo(1_000, 6)
  })
})

describe('what the contracts then do', () => {
  test('behavior: once the change is made, exactly the named accounts can be liquidated', async () => {
    const { impact } = await examined([await change('collateralRatio', WETH, 450_000n)])
    const liquidate = (account: Address): Call => callOf(liquidator, HOUSE, ABIS.house, 'liquidate', [account, ETH])
    expect(await Promise.all(traders.map(async (account) => await isAllowed([liquidate(account)])))).toEqual([false, false, false, false, false])
    expect(await world.mine(2, [callOf(SAFE, COLLATERALS, ABIS.collateralManager, 'setCollateralRatio', [WETH, 450_000])])).toEqual([true])
    const due = await Promise.all(traders.map(async (account) => ({ account, allowed: await isAllowed([liquidate(account)]) })))
    expect(due.filter((each) => each.allowed).map((each) => each.account)).toEqual(impact!.newlyLiquidatable.filter((each) => each.falls.includes('POSITIONS') && !each.afterCancelling).map((each) => each.account))
    // The one with a range: its orders can be cancelled by anybody, and then it is due as well.
    const cancelling = await world.mine(2, [callOf(liquidator, HOUSE, ABIS.house, 'cancelAllExcessOrders', [ranged, ETH]), liquidate(ranged)])
    expect(cancelling).toEqual([true, true])
    for (const account of [tight, near]) {
      const named = impact!.newlyLiquidatable.find((each) => each.account === account)?.falls.includes('COLLATERAL') ?? false
      expect(await world.value<boolean>(VAULT, ABIS.vault, 'isLiquidatable', [account])).toBe(named)
    }
  })
})

describe('through a timelock', () => {
  test('behavior: margins are those of the first second in which it may be executed, by contracts and by index alike', async () => {
    const artifact = JSON.parse(readFileSync(new URL('../../node_modules/openzeppelin-contracts-v5/build/contracts/TimelockController.json', import.meta.url), 'utf8')) as { abi: Abi; bytecode: Hex }
    const data = encodeDeployData({ abi: artifact.abi, bytecode: artifact.bytecode, args: [86_400n, [SAFE], [zeroAddress], zeroAddress] })
    const hash = await world.rpc<Hex>('eth_sendTransaction', [{ from: maker, data, gas: '0x1000000', gasPrice: '0x0' }])
    await world.mine(2, [])
    const { contractAddress: timelock } = await world.rpc<{ contractAddress: Address }>('eth_getTransactionReceipt', [hash])
    const owned = parseAbi(['function setOwner(address newOwner)', 'function updateOwner()'])
    await world.fund([timelock])
    expect(await world.mine(2, [callOf(SAFE, COLLATERALS, owned, 'setOwner', [timelock])])).toEqual([true])
    expect(await world.mine(2, [callOf(timelock, COLLATERALS, owned, 'updateOwner', [])])).toEqual([true])

    const behind = { ...target, deployment: { ...deployment, governance: { kind: 'TIMELOCK' as const, address: timelock, minDelaySec: 86_400 } } }
    const head = await world.rpc<{ number: Hex; hash: Hex; timestamp: Hex }>('eth_getBlockByNumber', ['latest', false])
    const block = { number: BigInt(head.number), hash: head.hash, timestamp: BigInt(head.timestamp) }
    const plan: Plan = { changes: [await change('collateralRatio', WETH, 200_000n)], validUntilSec: block.timestamp + 3n * 86_400n, nonce: 3n }
    const { result, seen } = await simulate(behind, plan, build(behind, plan), { rpcUrl: world.anvil.url, stateDir, block, accounts: traders })
    expect(result.failure).toBeNull()
    expect(seen!.timestampSec).toBe(block.timestamp + 1n + 86_400n)
    const impact = impactOf({ target: behind, protocol: curie, plan, inputs: { block, margin: { states: await world.states(traders), rows: [...world.store.rows.values()], gap: null }, run: book(), breakers: [], history: [] }, seen: seen!, cut: false })
    expect(impact.engine).toEqual({ gap: null, comparedBefore: 5, comparedAfter: 5, differences: [] })
    expect(impact.newlyLiquidatable.find((each) => each.account === near)?.falls).toEqual(['POSITIONS', 'COLLATERAL'])
    expect(impact.notes).toContain('margins are those of the first second in which what is queued may be executed, 86401 s after the block, at the prices of the block')
  })
})
