import { describe, expect, test } from '@jest/globals'
import { numberToHex, toEventSelector, type AbiEvent, type Hex } from 'viem'
import { curie, oracle } from '../../devnet/artifacts.ts'
import { Signer } from '../../devnet/chain.ts'
import { DEFAULT_HISTORY, generateHistory, historyKey, loadHistory, replay, saveHistory } from '../../devnet/history.ts'
import { devnetAccounts } from '../../devnet/keys.ts'
import { lensOf } from '../../devnet/lens.ts'
import { CACHE_DIR, plan, withChain } from './world.ts'

type Log = { readonly address: Hex; readonly topics: readonly Hex[]; readonly data: Hex; readonly blockNumber: Hex }

const CONTRACTS = ['ClearingHouse', 'Vault', 'InsuranceFund', 'CollateralManager', 'ClearingHouseConfig', 'MarketRegistry', 'Exchange'] as const

describe('the whole history', () => {
  test(
    'behavior: holds every kind of event that the console has to show',
    async () => {
      const world = await plan()
      const key = historyKey(world.plan, DEFAULT_HISTORY)
      const cached = loadHistory(CACHE_DIR, key)
      await withChain(async ({ rpc }) => {
        const history = cached ?? (await generateHistory({ rpc, ...world, signer: new Signer() }, DEFAULT_HISTORY, () => undefined))
        if (cached === undefined) saveHistory(CACHE_DIR, key, history)
        else await replay(rpc, history, () => undefined)

        const { deployment } = world.plan
        const { contracts } = deployment
        const known = new Map<Hex, string>()
        const events = [...CONTRACTS.flatMap((name) => [...curie(name).abi]), ...oracle('ChainlinkPriceFeedV3').abi]
        for (const item of events) if (item.type === 'event') known.set(toEventSelector(item as AbiEvent), item.name ?? '')
        const logs: (Log & { name: string })[] = []
        for (let from = 1; from <= history.head.number; from += 200) {
          const found = await rpc.call<Log[]>('eth_getLogs', [{ fromBlock: numberToHex(from), toBlock: numberToHex(Math.min(from + 199, history.head.number)) }])
          for (const log of found) logs.push({ ...log, name: known.get(log.topics[0] ?? '0x') ?? '' })
        }
        const named = (name: string) => logs.filter((l) => l.name === name)
        const count = (name: string) => named(name).length
        const topicAddress = (topic: Hex | undefined) => `0x${(topic ?? '').slice(-40)}`

        // Prices: a valid update is one with freeze reason 0 (third word).
        for (const market of deployment.markets) {
          const updates = named('ChainlinkPriceUpdated').filter((l) => l.address === market.chainlinkFeed.toLowerCase())
          expect(updates.filter((l) => BigInt(`0x${l.data.slice(130)}`) === 0n).length).toBeGreaterThanOrEqual(2_000)
        }
        expect(named('ChainlinkPriceUpdated').filter((l) => BigInt(`0x${l.data.slice(130)}`) !== 0n).length).toBeGreaterThanOrEqual(2)

        const makers = new Set(devnetAccounts('maker', 31337).map((a) => a.address.toLowerCase()))
        expect(new Set(named('LiquidityChanged').map((l) => topicAddress(l.topics[1]))).size).toBeGreaterThanOrEqual(3)
        const traders = new Set(named('PositionChanged').map((l) => topicAddress(l.topics[1])))
        expect([...traders].filter((t) => !makers.has(t)).length).toBeGreaterThanOrEqual(40)

        for (const [name, least] of Object.entries({
          Deposited: 100, Withdrawn: 40, FundingPaymentSettled: 1_000, FundingUpdated: 1_000, PositionChanged: 2_000, PositionLiquidated: 30, CollateralLiquidated: 5,
          BadDebtSettled: 2, FeeDistributed: 2, Repaid: 1, InsuranceFundFeeRatioChanged: 5, MarketMaxPriceSpreadRatioChanged: 3, MaxTickCrossedWithinBlockChanged: 4,
          LiquidationPenaltyRatioChanged: 2, DistributionThresholdChanged: 2, MmRatioBufferChanged: 2, DepositCapChanged: 1, MaxFundingRateChanged: 1,
        })) {
          expect({ name, enough: count(name) >= least, found: count(name) }).toMatchObject({ enough: true })
        }

        // A partial liquidation leaves the trader with a position in that market; a full one does not.
        const remainsOf = named('PositionLiquidated').map((l) => {
          const at = logs.indexOf(l)
          const change = logs.slice(0, at).reverse().find((c) => c.name === 'PositionChanged' && c.topics[1] === l.topics[1] && c.topics[2] === l.topics[2])
          // openNotional is the fourth word: 0 when nothing is left.
          return BigInt(`0x${(change?.data ?? '').slice(2 + 3 * 64, 2 + 4 * 64)}`)
        })
        expect(remainsOf.some((open) => open !== 0n)).toBe(true)
        expect(remainsOf.some((open) => open === 0n)).toBe(true)

        // The fund: USDC sent to it directly, and its parameters changed through the Safe.
        const transfers = logs.filter((l) => l.address === deployment.settlementToken.address.toLowerCase() && topicAddress(l.topics[2]) === contracts.insuranceFund.toLowerCase())
        expect(transfers.length).toBeGreaterThanOrEqual(2)

        // How it ends: positions in every market, some accounts near liquidation, pools near the index, feeds fresh.
        const lens = lensOf(rpc, deployment, world.own)
        const { markets, accounts } = await lens.read(devnetAccounts('taker', 31337).map((a) => a.address))
        for (const [i] of markets.entries()) expect(accounts.filter((a) => a.sizes[i] !== 0).length).toBeGreaterThanOrEqual(5)
        const margins = accounts.filter((a) => a.requirementUsd > 50).map((a) => a.valueUsd / a.requirementUsd)
        expect(margins.filter((m) => m < 1.3).length).toBeGreaterThanOrEqual(3)
        for (const market of markets) expect(Math.abs(market.poolPriceUsd / market.markUsd - 1)).toBeLessThan(0.05)
      })
    },
    400_000,
  )
})
