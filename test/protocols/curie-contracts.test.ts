/**
 * The catalog and the margin arithmetic against the deployed bytecode: the whole protocol on a chain of its own.
 * Everyone is impersonated, so that calls need no keys.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeFunctionData, maxUint256, numberToHex, pad, parseAbi, parseEventLogs, zeroHash, type Abi } from 'viem'
import { freePort } from '../../core/ports.ts'
import { abs, E18, E6, X96 } from '../../core/units.ts'
import { startAnvil, type Anvil } from '../../devnet/anvil.ts'
import { compileOwnContracts, curie as curieArtifact, type OwnArtifacts } from '../../devnet/artifacts.ts'
import { mineBlock, Signer } from '../../devnet/chain.ts'
import { RpcError } from '../../devnet/rpc.ts'
import { deploymentBlocks, planDeployment, type Tools } from '../../devnet/deploy.ts'
import { DEVNET_CHAIN_ID, devnetAccounts } from '../../devnet/keys.ts'
import type { Address, Call, Hex, ParameterRef, ParameterSpec } from '../../protocols/adapter.ts'
import { devnet } from '../../protocols/curie/deployments.ts'
import { accountHealth, formatSettlement, fundingGrowth, liquidationOutcome, markPrice, maxCollateralLiquidation, maxRepaidSettlement, parseSettlement, pendingFunding, type AccountFacts, type AccountHealth, type MarginParams, type PositionFacts } from '../../protocols/curie/margin.ts'
import { catalog } from '../../protocols/curie/parameters.ts'
import { accountReads, all, collateralPriceReads, each, holdings, indexPriceReads, liquidatableSizeReads, marketStatusReads, priceReads, type AccountAnswers, type Reads } from './curie-reads.ts'
import { priceOfSqrtX96 } from '../../protocols/curie/uniswap-v3.ts'

const GAS = numberToHex(20_000_000)
const SAFE = devnet.safe?.address ?? '0x'
const HOUSE = devnet.contracts.clearingHouse
const STRANGER: Address = '0x00000000000000000000000000000000000000aa'

let anvil: Anvil
let own: OwnArtifacts
let tools: Tools
let nowSec = 0
const folder = mkdtempSync(join(tmpdir(), 'curie-contracts-'))

const rpc = <T>(method: string, params: readonly unknown[] = []): Promise<T> => anvil.rpc.call<T>(method, params)

/** What a contract answers to a call, or why it refuses it. */
async function ask(from: Address, call: Pick<Call, 'to' | 'data'>): Promise<{ data: Hex } | { refused: string }> {
  try {
    return { data: await rpc<Hex>('eth_call', [{ from, to: call.to, data: call.data, gas: GAS }, 'latest']) }
  } catch (error) {
    if (!(error instanceof RpcError)) throw error
    return { refused: error.message.replace(/^.*execution reverted(: revert)?:? ?/, '') }
  }
}

async function see<T>(reads: Reads<T>): Promise<T> {
  const answers = await Promise.all(reads.calls.map((call) => ask(STRANGER, call)))
  return reads.decode(answers.map((answer) => ('data' in answer ? answer.data : null)))
}

/** Mines one block with these calls `afterSec` later. Throws when one of them reverts. */
async function mine(afterSec: number, calls: readonly { from: Address; to: Address; data: Hex; value?: bigint }[]): Promise<void> {
  const hashes: Hex[] = []
  for (const call of calls) {
    await rpc('anvil_setBalance', [call.from, numberToHex(10n ** 24n)])
    hashes.push(await rpc<Hex>('eth_sendTransaction', [{ from: call.from, to: call.to, data: call.data, gas: GAS, gasPrice: '0x0', value: numberToHex(call.value ?? 0n) }]))
  }
  nowSec += afterSec
  await rpc('evm_setNextBlockTimestamp', [nowSec])
  await rpc('evm_mine')
  for (const [index, hash] of hashes.entries()) {
    const receipt = await rpc<{ status: Hex }>('eth_getTransactionReceipt', [hash])
    const call = calls[index]
    if (receipt.status !== '0x1' && call !== undefined) throw new Error(`call ${index} of the block reverted: ${JSON.stringify(await ask(call.from, call))}`)
  }
}

/** Runs and undoes. */
async function undone<T>(run: () => Promise<T>): Promise<T> {
  const id = await rpc<Hex>('evm_snapshot')
  const before = nowSec
  try {
    return await run()
  } finally {
    await rpc('evm_revert', [id])
    nowSec = before
  }
}

beforeAll(async () => {
  own = await compileOwnContracts('.bulwark/cache')
  const plan = await planDeployment(own)
  tools = plan.tools
  anvil = await startAnvil({ port: await freePort(), stateDir: folder })
  const signer = new Signer()
  for (const block of await deploymentBlocks(plan, signer)) {
    await mineBlock(anvil.rpc, block)
    nowSec = block.timestampSec
  }
  await rpc('anvil_autoImpersonateAccount', [true])
}, 60_000)

afterAll(async () => {
  await anvil?.stop()
  rmSync(folder, { recursive: true, force: true })
})

const subjectOf = (spec: ParameterSpec): Address => {
  const subjects = { PROTOCOL: HOUSE, MARKET: devnet.markets[0]?.baseToken, COLLATERAL: devnet.collaterals[0]?.token, ACCOUNT: STRANGER }
  return subjects[spec.scope] ?? STRANGER
}
const refOf = (spec: ParameterSpec): ParameterRef => ({ name: spec.name, subject: subjectOf(spec) })

/** The setter's call for any value that its type takes, past the catalog's own bounds. */
function rawChange(spec: ParameterSpec, value: bigint): Call {
  const signature = spec.setter ?? ''
  const types = signature.slice(signature.indexOf('(') + 1, -1).split(',')
  const arg = types.at(-1) === 'address' ? pad(numberToHex(value), { size: 20 }) : types.at(-1) === 'uint256' ? value : Number(value)
  const abi: Abi = parseAbi([`function ${signature}`] as readonly string[])
  const data = encodeFunctionData({ abi, functionName: signature.slice(0, signature.indexOf('(')), args: types.length === 2 ? [subjectOf(spec), arg] : [arg] })
  return { to: catalog.encodeRead(devnet, refOf(spec)).to, value: 0n, data }
}
const widthOf = (spec: ParameterSpec): bigint => 2n ** BigInt(/uint(\d+)\)$/.exec(spec.setter ?? '')?.[1] ?? 160) - 1n

const settable = catalog.specs.filter((spec) => spec.setter !== null)
const numeric = settable.filter((spec) => !['ADDRESS', 'BOOLEAN'].includes(spec.unit.kind) && spec.name !== 'marketStatus').map((spec) => [spec.name, spec] as const)

describe('parameters', () => {
  test('behavior: every parameter of every subject can be read', async () => {
    for (const ref of catalog.refs(devnet)) {
      const answer = await ask(STRANGER, catalog.encodeRead(devnet, ref))
      const spec = catalog.find(ref.name)
      const value = 'data' in answer ? catalog.decodeRead(ref, answer.data) : answer
      // 0 is what an unset parameter reads, whatever the setter takes.
      expect([ref.name, typeof value === 'bigint' && value >= 0n && value <= (spec.name === 'marketStatus' ? 2n : spec.bounds.max)]).toEqual([ref.name, true])
    }
  })

  // Written by ClearingHouseConfig.initialize and by the devnet's own list of values, not read back through the catalog.
  test('behavior: reads what was deployed', async () => {
    const read = async (name: string): Promise<bigint | null> => {
      const ref = refOf(catalog.find(name))
      const answer = await ask(STRANGER, catalog.encodeRead(devnet, ref))
      return 'data' in answer ? catalog.decodeRead(ref, answer.data) : null
    }
    expect(await read('imRatio')).toBe(100_000n)
    expect(await read('mmRatio')).toBe(62_500n)
    expect(await read('partialCloseRatio')).toBe(250_000n)
    expect(await read('markPriceMarketTwapInterval')).toBe(1800n)
    expect(await read('markPricePremiumInterval')).toBe(900n)
    expect(await read('marketMaxPriceSpreadRatio')).toBe(100_000n) // not set for vETH: the default
    expect(await read('baseTokenPriceFeed')).toBe(BigInt(devnet.markets[0]?.priceFeed ?? 0))
    expect(await read('collateralPriceFeed')).toBe(BigInt(devnet.collaterals[0]?.priceFeed ?? 0))
    expect(await read('marketStatus')).toBe(0n)
  })

  test.each(numeric)('behavior: %s accepts both bounds and, where its type goes on, nothing beyond', async (_name, spec) => {
    const wraps = spec.name === 'mmRatioBuffer'
    const outcomes = {
      min: 'data' in (await ask(SAFE, catalog.encodeChange(devnet, refOf(spec), spec.bounds.min))),
      max: 'data' in (await ask(SAFE, catalog.encodeChange(devnet, refOf(spec), spec.bounds.max))),
      belowMin: spec.bounds.min > 0n && 'data' in (await ask(SAFE, rawChange(spec, spec.bounds.min - 1n))),
      aboveMax: spec.bounds.max < widthOf(spec) && 'data' in (await ask(SAFE, rawChange(spec, spec.bounds.max + 1n))),
      atTypeMax: spec.bounds.max < widthOf(spec) && 'data' in (await ask(SAFE, rawChange(spec, widthOf(spec)))),
      byStranger: 'data' in (await ask(STRANGER, catalog.encodeChange(devnet, refOf(spec), spec.bounds.max))),
    }
    expect(outcomes).toEqual({ min: true, max: true, belowMin: false, aboveMax: false, atTypeMax: wraps, byStranger: false })
  })

  test('behavior: the buffer wraps from 2^24 − mmRatio on, and the collateral margin ratio with it', async () => {
    const spec = catalog.find('mmRatioBuffer')
    expect(await ask(SAFE, rawChange(spec, 937_501n))).toEqual({ refused: 'CM_ICMR' })
    expect(await ask(SAFE, rawChange(spec, 16_714_715n))).toEqual({ refused: 'CM_ICMR' })
    const ratioWith = (buffer: bigint): Promise<bigint> =>
      undone(async () => {
        await mine(1, [{ from: SAFE, ...rawChange(spec, buffer) }])
        const answer = await ask(STRANGER, { to: devnet.contracts.vault, data: encodeFunctionData({ abi: curieArtifact('Vault').abi, functionName: 'getCollateralMmRatio' }) })
        return 'data' in answer ? BigInt(answer.data) : -1n
      })
    expect(await ratioWith(937_500n)).toBe(1_000_000n)
    expect(await ratioWith(16_714_716n)).toBe(0n)
    expect(await ratioWith(16_777_215n)).toBe(62_499n)
  })

  test('behavior: an address must be a contract, and the beneficiary one of the settlement token', async () => {
    for (const [name, value] of [['collateralPriceFeed', BigInt(devnet.markets[0]?.chainlinkFeed ?? 0)], ['baseTokenPriceFeed', BigInt(devnet.markets[1]?.priceFeed ?? 0)], ['surplusBeneficiary', BigInt(tools.surplusBeneficiary)]] as const) {
      const ref = refOf(catalog.find(name))
      expect(await ask(SAFE, catalog.encodeChange(devnet, ref, value))).toHaveProperty('data')
      expect(await ask(SAFE, catalog.encodeChange(devnet, ref, 1n))).toHaveProperty('refused')
    }
    expect(await ask(SAFE, catalog.encodeChange(devnet, refOf(catalog.find('surplusBeneficiary')), BigInt(devnet.contracts.vault)))).toHaveProperty('refused')
  })

  test('behavior: what is set is what is read', async () => {
    for (const [, spec] of numeric) {
      const ref = refOf(spec)
      const value = spec.name === 'maxTickCrossedWithinBlock' ? 777n : 200n
      const seen = await undone(async () => {
        await mine(1, [{ from: SAFE, ...catalog.encodeChange(devnet, ref, value) }])
        const answer = await ask(STRANGER, catalog.encodeRead(devnet, ref))
        return 'data' in answer ? catalog.decodeRead(ref, answer.data) : answer
      })
      expect([spec.name, seen]).toEqual([spec.name, value])
    }
  })

  test('behavior: a band of 0 reads as 10 %, a debt threshold of 0 as the general one', async () => {
    const readAfterZero = (name: string): Promise<bigint | null> =>
      undone(async () => {
        const ref = refOf(catalog.find(name))
        await mine(1, [{ from: SAFE, ...catalog.encodeChange(devnet, ref, 0n) }])
        const answer = await ask(STRANGER, catalog.encodeRead(devnet, ref))
        return 'data' in answer ? catalog.decodeRead(ref, answer.data) : null
      })
    expect(await readAfterZero('marketMaxPriceSpreadRatio')).toBe(100_000n)
    const general = await ask(STRANGER, catalog.encodeRead(devnet, refOf(catalog.find('debtThreshold'))))
    expect(await readAfterZero('whitelistedDebtThreshold')).toBe('data' in general ? BigInt(general.data) : null)
  })

  test.each(['clearingHousePaused', 'vaultPaused', 'collateralManagerPaused', 'insuranceFundPaused'])('behavior: %s is set by pause() and cleared by unpause()', async (name) => {
    const ref = refOf(catalog.find(name))
    const read = async (): Promise<bigint | null> => {
      const answer = await ask(STRANGER, catalog.encodeRead(devnet, ref))
      return 'data' in answer ? catalog.decodeRead(ref, answer.data) : null
    }
    const seen = await undone(async () => {
      const before = await read()
      await mine(1, [{ from: SAFE, ...catalog.encodeChange(devnet, ref, 1n) }])
      const paused = await read()
      await mine(1, [{ from: SAFE, ...catalog.encodeChange(devnet, ref, 0n) }])
      return [before, paused, await read()]
    })
    expect(seen).toEqual([0n, 1n, 0n])
  })

  test('behavior: a market is paused once and for all, and closed after five days by anyone', async () => {
    const ref = refOf(catalog.find('marketStatus'))
    const pause = catalog.encodeChange(devnet, ref, 1n)
    const close: Pick<Call, 'to' | 'data'> = { to: pause.to, data: '0x43d726d6' } // close()
    const states = await undone(async () => {
      const seen: unknown[] = [await see(marketStatusReads(ref.subject))]
      await mine(1, [{ from: SAFE, ...pause }])
      seen.push(await see(marketStatusReads(ref.subject)), await ask(SAFE, pause), await ask(STRANGER, close))
      await mine(5 * 86_400 + 1, [{ from: STRANGER, ...close }])
      seen.push(await see(marketStatusReads(ref.subject)), await ask(SAFE, pause))
      return seen
    })
    expect(states).toEqual(['OPEN', 'PAUSED', { refused: 'BT_NO' }, { refused: 'BT_WPNE' }, 'CLOSED', { refused: 'BT_NO' }])
  })
})

describe('margin', () => {
  const [ETH, BTC] = devnet.markets.map((market) => market.baseToken) as [Address, Address]
  const [WETH] = devnet.collaterals.map((collateral) => collateral.token) as [Address]
  const USDC = devnet.settlementToken.address
  const person = (index: number): Address => pad(numberToHex(0xbeef0000 + index), { size: 20 })
  const people = { maker: person(1), long: person(2), short: person(3), both: person(4), ether: person(5), liquidator: person(6), seller: person(7) }
  const house = (functionName: string, args: readonly unknown[]): { to: Address; data: Hex } => ({ to: HOUSE, data: encodeFunctionData({ abi: curieArtifact('ClearingHouse').abi, functionName, args }) })
  const vault = (functionName: string, args: readonly unknown[]): { to: Address; data: Hex } => ({ to: devnet.contracts.vault, data: encodeFunctionData({ abi: curieArtifact('Vault').abi, functionName, args }) })
  const buy = (base: Address, quoteE18: bigint) => house('openPosition', [{ baseToken: base, isBaseToQuote: false, isExactInput: true, amount: quoteE18, oppositeAmountBound: 0n, deadline: maxUint256, sqrtPriceLimitX96: 0n, referralCode: zeroHash }])
  const sell = (base: Address, quoteE18: bigint) => house('openPosition', [{ baseToken: base, isBaseToQuote: true, isExactInput: false, amount: quoteE18, oppositeAmountBound: 0n, deadline: maxUint256, sqrtPriceLimitX96: 0n, referralCode: zeroHash }])
  const provide = (base: Address, baseE18: bigint, quoteE18: bigint, lowerTick: number, upperTick: number) => house('addLiquidity', [{ baseToken: base, base: baseE18, quote: quoteE18, lowerTick, upperTick, minBase: 0n, minQuote: 0n, useTakerBalance: false, deadline: maxUint256 }])
  const keeper = devnetAccounts('keeper', DEVNET_CHAIN_ID)[0]?.address ?? '0x'
  const deployer = devnetAccounts('deployer', DEVNET_CHAIN_ID)[0]?.address ?? '0x'
  const prices = (usd: readonly number[]) => ({
    from: keeper,
    to: tools.priceKeeper,
    data: encodeFunctionData({ abi: own.PriceKeeper.abi, functionName: 'push', args: [tools.aggregators, usd.map((price) => BigInt(Math.round(price * 1e8))), tools.feeds, 900n] }),
  })

  async function paramsNow(): Promise<MarginParams & { penaltyRatioE6: bigint; liquidationRatioE6: bigint; clInsuranceFundFeeRatioE6: bigint; collateralValueDust: bigint; maxFundingRateE6: bigint; collateralRatioE6: bigint; discountRatioE6: bigint }> {
    const read = async (name: string): Promise<bigint> => {
      const ref = refOf(catalog.find(name))
      const answer = await ask(STRANGER, catalog.encodeRead(devnet, ref))
      if ('refused' in answer) throw new Error(`${name}: ${answer.refused}`)
      return catalog.decodeRead(ref, answer.data)
    }
    return {
      settlementDecimals: 6,
      imRatioE6: await read('imRatio'),
      mmRatioE6: await read('mmRatio'),
      mmRatioBufferE6: await read('mmRatioBuffer'),
      debtNonSettlementTokenValueRatioE6: await read('debtNonSettlementTokenValueRatio'),
      debtThreshold: await read('debtThreshold'),
      penaltyRatioE6: await read('liquidationPenaltyRatio'),
      liquidationRatioE6: await read('liquidationRatio'),
      clInsuranceFundFeeRatioE6: await read('clInsuranceFundFeeRatio'),
      collateralValueDust: await read('collateralValueDust'),
      maxFundingRateE6: await read('maxFundingRate'),
      collateralRatioE6: await read('collateralRatio'),
      discountRatioE6: await read('discountRatio'),
    }
  }

  type Seen = { readonly facts: AccountFacts; readonly health: AccountHealth; readonly contract: AccountAnswers }

  /** An account's facts as the contracts keep them, our margin from these, and the contracts' own answers. */
  async function look(account: Address, params: Awaited<ReturnType<typeof paramsNow>>): Promise<Seen> {
    const now = await see(priceReads(devnet, { indexIntervalSec: 900 }))
    const contract = await see(accountReads(devnet, account, params))
    const markets = (await see(holdings.markets(devnet, account))) ?? []
    const positions: PositionFacts[] = []
    for (const market of markets) {
      const { taker, ids } = await see(all({ taker: holdings.taker(devnet, account, market), ids: holdings.rangeIds(devnet, account, market) }))
      const ranges = await see(each(ids ?? [], (id) => holdings.range(devnet, id)))
      const price = now.markets.get(market)
      positions.push({
        market,
        sizeE18: taker?.sizeE18 ?? 0n,
        openNotionalE18: taker?.openNotionalE18 ?? 0n,
        markPriceE18: price?.markPriceE18 ?? 0n,
        indexPriceE18: price?.indexPriceE18 ?? null,
        state: price?.state ?? 'OPEN',
        sqrtPriceX96: price?.sqrtPriceX96 ?? null,
        ranges: [...ranges.values()].filter((range) => range !== null),
      })
    }
    const balance = await see(all({ usdc: holdings.balance(devnet, account, USDC), weth: holdings.balance(devnet, account, WETH) }))
    const facts: AccountFacts = {
      settlementBalance: balance.usdc ?? 0n,
      owedRealizedPnlE18: contract.owedRealizedPnlE18 ?? 0n,
      pendingFundingE18: contract.pendingFundingE18 ?? 0n,
      pendingFeeE18: contract.pendingFeeE18,
      collaterals: [{ token: WETH, amount: balance.weth ?? 0n, decimals: 18, priceE18: now.collaterals.get(WETH)?.priceE18 ?? 0n, collateralRatioE6: params.collateralRatioE6 }],
      positions,
    }
    return { facts, health: accountHealth(facts, params), contract }
  }

  /** Ours, in the words and decimals of the contracts. */
  const asContract = ({ facts, health }: Seen): AccountAnswers => ({
    accountValue: health.accountValue,
    settlementTokenValue: formatSettlement(health.settlementTokenValueE18, 6),
    freeCollateral: formatSettlement(health.freeCollateralImE18 > 0n ? health.freeCollateralImE18 : 0n, 6),
    freeCollateralIm: formatSettlement(health.freeCollateralImE18, 6),
    freeCollateralMm: formatSettlement(health.freeCollateralMmE18, 6),
    marginRequirementE18: health.marginRequirementE18,
    collateralMarginRequirementE18: health.collateralMarginRequirementE18,
    totalAbsPositionValueE18: health.totalAbsPositionValueE18,
    totalDebtValueE18: health.totalDebtValueE18,
    unrealizedPnlE18: health.unrealizedPnlE18,
    collateralLiquidatable: health.collateralLiquidatable,
    pendingFundingE18: facts.pendingFundingE18,
    owedRealizedPnlE18: facts.owedRealizedPnlE18,
    pendingFeeE18: facts.pendingFeeE18,
  })

  async function expectSameAsContracts(): Promise<ReadonlyMap<string, Seen>> {
    const params = await paramsNow()
    const all = new Map<string, Seen>()
    for (const [name, account] of Object.entries({ ...people, insuranceFund: devnet.contracts.insuranceFund })) {
      const seen = await look(account, params)
      all.set(name, seen)
      expect({ name, ...asContract(seen) }).toEqual({ name, ...seen.contract })
      for (const position of seen.health.positions) {
        const facts = seen.facts.positions.find((entry) => entry.market === position.market)
        const liquidation = await ask(people.liquidator, house('liquidate', [account, position.market]))
        const mayLiquidate = seen.health.liquidatable && abs(facts?.sizeE18 ?? 0n) >= 10n
        expect({ name, liquidation: 'data' in liquidation }).toEqual({ name, liquidation: mayLiquidate && account !== people.liquidator })
        const size = await see(liquidatableSizeReads(devnet, account, position.market, parseSettlement(seen.health.accountValue, 6)))
        expect({ name, size: mayLiquidate ? position.liquidatableSizeE18 : size }).toEqual({ name, size })
      }
    }
    return all
  }

  beforeAll(async () => {
    const opening = [3_200, 68_000, 2.4]
    const mint = encodeFunctionData({ abi: own.TestUSDC.abi, functionName: 'mint', args: [[...Object.values(people), devnet.contracts.insuranceFund], [...Object.values(people), null].map(() => 100_000_000n * E6)] })
    await mine(10, [{ from: deployer, to: USDC, data: mint }, prices(opening)])
    const approve = { to: USDC, data: encodeFunctionData({ abi: parseAbi(['function approve(address,uint256)']), args: [devnet.contracts.vault, maxUint256] }) }
    await mine(10, Object.values(people).map((from) => ({ from, ...approve })))
    const deposit = (from: Address, usd: bigint) => ({ from, ...vault('deposit', [USDC, usd * E6]) })
    await mine(10, [deposit(people.maker, 5_000_000n), deposit(people.liquidator, 3_000_000n), deposit(people.seller, 5_000_000n), deposit(people.long, 10_000n), deposit(people.short, 20_000n), deposit(people.both, 30_000n), { from: people.ether, ...vault('depositEther', []), value: 20n * E18 }])
    // The mark price needs 30 minutes of the pool's past.
    await mine(1_000, [prices(opening)])
    await mine(1_000, [prices(opening)])
    // ln(3200)/ln(1.0001) = 80714, ln(68000)/ln(1.0001) = 111280; ranges of about ± 20 % on ticks of 60.
    await mine(10, [
      { from: people.maker, ...provide(ETH, 2_000n * E18, 6_400_000n * E18, 78_480, 82_920) },
      { from: people.maker, ...provide(BTC, 100n * E18, 6_800_000n * E18, 109_080, 113_460) },
    ])
    await mine(10, [
      { from: people.long, ...buy(ETH, 80_000n * E18) },
      { from: people.short, ...sell(ETH, 60_000n * E18) },
      { from: people.both, ...buy(ETH, 100_000n * E18) },
      { from: people.both, ...sell(BTC, 90_000n * E18) },
      { from: people.ether, ...buy(ETH, 300_000n * E18) },
      { from: people.maker, ...buy(BTC, 50_000n * E18) },
    ])
  }, 60_000)

  test('behavior: every answer of the contracts, to the wei, after trading', async () => {
    const seen = await expectSameAsContracts()
    expect([...seen.values()].map(({ health }) => health.tier)).toEqual(['HEALTHY', 'HEALTHY', 'HEALTHY', 'HEALTHY', 'HEALTHY', 'HEALTHY', 'HEALTHY', 'HEALTHY'])
    expect(seen.get('maker')?.facts.pendingFeeE18).toBeGreaterThan(0n)
  })

  test('behavior: and while funding accrues and prices fall, through maintenance, liquidation and bad debt', async () => {
    await mine(3_600, [prices([3_250, 67_500, 2.4])])
    await expectSameAsContracts()
    const tiers: string[] = []
    let price = 3_200
    // A seller takes the market down with the index, a little at a time, as the tick cap allows.
    for (let step = 0; step < 5; step += 1) {
      price *= 0.97
      await mine(600, [prices([price, 68_000, 2.4])])
      await mine(20, [{ from: people.seller, ...sell(ETH, 1_000_000n * E18) }])
      await mine(1_300, [prices([price, 68_000, 2.4])])
      const seen = await expectSameAsContracts()
      tiers.push(seen.get('long')?.health.tier ?? '')
    }
    expect(tiers).toEqual(['HEALTHY', 'WARN', 'PARTIAL', 'FULL', 'BAD_DEBT'])
  }, 60_000)

  test('behavior: a liquidation does what we say it does', async () => {
    const params = await paramsNow()
    const before = await look(people.long, params)
    const [position] = before.facts.positions
    const size = before.health.positions[0]?.liquidatableSizeE18 ?? 0n
    if (position === undefined) throw new Error('the position is gone')
    const outcome = liquidationOutcome({ sizeE18: size, position, accountValueE18: parseSettlement(before.health.accountValue, 6), penaltyRatioE6: params.penaltyRatioE6 })
    await undone(async () => {
      // In the same second, so that prices stand.
      await mine(0, [{ from: people.liquidator, ...house('liquidate', [people.long, ETH]) }])
      const block = await rpc<{ transactions: Hex[] }>('eth_getBlockByNumber', ['latest', false])
      const receipt = await rpc<{ logs: { topics: [Hex, ...Hex[]]; data: Hex }[] }>('eth_getTransactionReceipt', [block.transactions[0]])
      const [log] = parseEventLogs({ abi: curieArtifact('ClearingHouse').abi, logs: receipt.logs as never, eventName: 'PositionLiquidated' }) as unknown as { args: Record<string, bigint> }[]
      expect(log?.args).toMatchObject({ positionNotional: abs(outcome.notionalE18), positionSize: abs(outcome.sizeE18), liquidationFee: outcome.penaltyE18 })
      const [, changed] = parseEventLogs({ abi: curieArtifact('ClearingHouse').abi, logs: receipt.logs as never, eventName: 'PositionChanged' }) as unknown as { args: Record<string, bigint> }[]
      expect(changed?.args).toMatchObject({ exchangedPositionNotional: outcome.liquidatorOpenNotionalE18, exchangedPositionSize: outcome.sizeE18 })
      const after = await look(people.long, params)
      expect(after.contract.owedRealizedPnlE18).toBe(before.facts.owedRealizedPnlE18 - before.facts.pendingFundingE18 + outcome.realizedPnlE18 - outcome.penaltyE18)
    })
  })

  test('behavior: the most that a collateral liquidator may repay and take', async () => {
    const params = await paramsNow()
    const { health, facts } = await look(people.ether, params)
    expect(health.collateralLiquidatable).toBe(true)
    const price = await see(collateralPriceReads(devnet, WETH))
    if (price === null) throw new Error('the collateral has no price')
    const pricing = { decimals: 18, price: price.price, feedDecimals: price.feedDecimals, discountRatioE6: params.discountRatioE6 }
    const ours = maxCollateralLiquidation(facts.collaterals[0]?.amount ?? 0n, maxRepaidSettlement(health, params), pricing, 6)
    const answer = await ask(STRANGER, vault('getMaxRepaidSettlementAndLiquidatableCollateral', [people.ether, WETH]))
    const word = (index: number): bigint => ('data' in answer ? BigInt(`0x${answer.data.slice(2 + index * 64, 66 + index * 64)}`) : -1n)
    expect(ours).toEqual({ repaid: word(0), collateral: word(1) })
    expect(ours.collateral).toBeGreaterThan(0n)
  })

  test('behavior: the mark price, from what it is made of', async () => {
    const exchange = (intervalSec: number) => ({ to: devnet.contracts.exchange, data: encodeFunctionData({ abi: curieArtifact('Exchange').abi, functionName: 'getSqrtMarketTwapX96', args: [ETH, intervalSec] }) })
    const market = async (intervalSec: number): Promise<bigint> => {
      const answer = await ask(STRANGER, exchange(intervalSec))
      return 'data' in answer ? priceOfSqrtX96(BigInt(answer.data)) : -1n
    }
    const index = async (intervalSec: number): Promise<bigint> => (await see(indexPriceReads(ETH, intervalSec))) ?? -1n
    const ours = markPrice({ spotE18: await market(0), marketTwapE18: await market(1_800), indexE18: await index(0), premiumMarketTwapE18: await market(900), premiumIndexTwapE18: await index(900) })
    expect(ours).toBe((await see(priceReads(devnet, { indexIntervalSec: 0 }))).markets.get(ETH)?.markPriceE18)
  })

  test('behavior: pending funding of a taker, from growth and averages', async () => {
    const params = await paramsNow()
    await undone(async () => {
      await mine(5, [{ from: people.short, ...house('settleAllFunding', [people.short]) }])
      const settledAtSec = nowSec
      const info = async (): Promise<{ sizeE18: bigint; growthX96: bigint }> => {
        const answer = await ask(STRANGER, { to: devnet.contracts.accountBalance, data: encodeFunctionData({ abi: curieArtifact('AccountBalance').abi, functionName: 'getAccountInfo', args: [people.short, ETH] }) })
        const word = (index: number): bigint => ('data' in answer ? BigInt.asIntN(256, BigInt(`0x${answer.data.slice(2 + index * 64, 66 + index * 64)}`)) : 0n)
        return { sizeE18: word(0), growthX96: word(2) }
      }
      const { sizeE18, growthX96 } = await info()
      await mine(700, [])
      const answer = await ask(STRANGER, { to: devnet.contracts.exchange, data: encodeFunctionData({ abi: curieArtifact('Exchange').abi, functionName: 'getSqrtMarketTwapX96', args: [ETH, 900] }) })
      const growth = fundingGrowth(
        { twPremiumX96: growthX96, twPremiumDivBySqrtPriceX96: 0n },
        { sqrtMarketTwapX96: 'data' in answer ? BigInt(answer.data) : 0n, indexTwapE18: (await see(indexPriceReads(ETH, 900))) ?? 0n, maxFundingRateE6: params.maxFundingRateE6, elapsedSec: BigInt(nowSec - settledAtSec), sqrtPriceX96: X96 },
      )
      const { contract } = await look(people.short, params)
      expect(contract.pendingFundingE18).not.toBe(0n)
      expect(pendingFunding({ baseE18: sizeE18, twPremiumX96: growth.twPremiumX96, lastTwPremiumX96: growthX96, liquidityCoefficientE18: 0n })).toBe(contract.pendingFundingE18)
    })
  })
})
