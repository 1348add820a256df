/**
 * The contracts asked at a price that the market does not have: for the time of a call its base token is lent another status
 * and price, by which the contracts then value the market (AccountBalance._getReferencePrice). Shows that the prices of the
 * closed form are those at which the contracts' own value meets their own requirement; and asks ClearingHouse.liquidate itself.
 */
import { encodeFunctionData, hexToBigInt, numberToHex, type Abi, type Hex } from 'viem'
import { InvariantError } from '../../core/errors.ts'
import { curie } from '../../devnet/artifacts.ts'
import { RpcError, type RpcClient } from '../../devnet/rpc.ts'
import type { Address, Deployment } from '../../protocols/adapter.ts'
import { Contracts, known, type AccountAnswers, type Answers } from './closed.ts'
import { keyOf, type Value } from './getters.ts'

/** Figures that the contracts give at another price, or refuse an action for. */
export const ASKED_ELSEWHERE = {
  liquidation: 'API margin.positions.liquidationPrice, asked of the contracts',
  bankruptcy: 'API margin.positions.bankruptcyPrice, asked of the contracts',
  liquidate: 'API margin.liquidatable, asked of ClearingHouse.liquidate',
} as const

/** What says that the contracts' own figures meet at a price. */
export const MEETS: Value = 'meets'

/** The status of a closed market (IBaseToken.Status.Closed), in the byte behind the feed's decimals and address. */
const CLOSED = 2n << 168n
const STATUS_MASK = 255n << 168n

const abs = (x: bigint): bigint => (x < 0n ? -x : x)

/** Slots of BaseTokenStorageV2, found by asking: a word that is lent to one of them comes back as the paused index price. */
async function slotsOf(rpc: RpcClient, token: Address): Promise<{ status: bigint; closedPrice: bigint }> {
  const abi = curie('BaseToken').abi
  const mark = numberToHex(123_456_789n, { size: 32 })
  const data = encodeFunctionData({ abi, functionName: 'getPausedIndexPrice' })
  for (let slot = 0n; slot < 400n; slot++) {
    const answer = await rpc.call<Hex>('eth_call', [{ to: token, data }, 'latest', { [token]: { stateDiff: { [numberToHex(slot, { size: 32 })]: mark } } }])
    // The status with the feed, the paused price, the time of the pause, the closed price.
    if (answer === mark) return { status: slot - 1n, closedPrice: slot + 2n }
  }
  throw new InvariantError(`the storage of BaseToken ${token} is not as expected`)
}

/** Why the contract refuses, in its own words; null where it does not. */
async function refusal(rpc: RpcClient, call: { from: Address; to: Address; data: Hex }): Promise<string | null> {
  try {
    await rpc.call('eth_call', [{ ...call, gas: '0x1312d00' }, 'latest'])
    return null
  } catch (error) {
    if (!(error instanceof RpcError)) throw error
    return error.message
  }
}

export type Elsewhere = {
  /** What the contracts say of the closed form's prices and of who may be liquidated, at the latest block. */
  ask(answers: Answers): Promise<Record<string, Record<string, Value>>>
}

export function createElsewhere(rpc: RpcClient, deployment: Deployment): Elsewhere {
  const slots = new Map<Address, { status: bigint; closedPrice: bigint }>()
  const { accountBalance, clearingHouse } = deployment.contracts
  const balanceAbi = curie('AccountBalance').abi
  const houseAbi = curie('ClearingHouse').abi
  const liquidateAbi = houseAbi.filter((item) => item.type === 'function' && item.name === 'liquidate' && item.inputs.length === 2) as Abi

  /** Unrealised profit and requirement of an account where a market stands at another price. */
  const at = async (account: Address, market: Address, price: bigint): Promise<{ pnlE18: bigint; requirementE18: bigint }> => {
    const { status, closedPrice } = slots.get(market) ?? (await slotsOf(rpc, market))
    slots.set(market, { status, closedPrice })
    const word = await rpc.call<Hex>('eth_getStorageAt', [market, numberToHex(status, { size: 32 }), 'latest'])
    const lent = { [market]: { stateDiff: {
      [numberToHex(status, { size: 32 })]: numberToHex((hexToBigInt(word) & ~STATUS_MASK) | CLOSED, { size: 32 }),
      [numberToHex(closedPrice, { size: 32 })]: numberToHex(price, { size: 32 }),
    } } }
    const call = (to: Address, abi: Abi, functionName: string, args: readonly unknown[] = []) => ['eth_call', [{ to, data: encodeFunctionData({ abi, functionName, args }) }, 'latest', lent]] as const
    const [closed, pnl, requirement] = (await rpc.batch([
      call(market, curie('BaseToken').abi, 'getClosedPrice'),
      call(accountBalance, balanceAbi, 'getPnlAndPendingFee', [account]),
      call(accountBalance, balanceAbi, 'getMarginRequirementForLiquidation', [account]),
    ])) as [Hex, Hex, Hex]
    if (hexToBigInt(closed) !== price) throw new InvariantError(`BaseToken ${market} gives ${hexToBigInt(closed)} where ${price} was lent to it`)
    // The second of three words.
    return { pnlE18: hexToBigInt(`0x${pnl.slice(66, 130)}`, { signed: true }), requirementE18: hexToBigInt(requirement, { signed: true }) }
  }

  /** At the price, value and requirement are within what one wei of price moves them by, plus the wei that each quotient loses. */
  const meets = async (of: AccountAnswers, account: Address, market: Address, price: bigint, sizeE18: bigint, against: 'requirement' | 'nothing'): Promise<Value> => {
    const { pnlE18, requirementE18 } = await at(account, market, price)
    const leftE18 = of.collateralE18 + pnlE18 - (against === 'requirement' ? requirementE18 : 0n)
    const tolerance = (2n * abs(sizeE18)) / 10n ** 18n + BigInt(deployment.markets.length) + 3n
    return abs(leftE18) <= tolerance ? MEETS : `${leftE18} wei are left at ${price}`
  }

  return {
    ask: async ({ accounts, values }) => {
      const contracts = new Contracts(deployment, values)
      const out: Record<string, Record<string, Value>> = {}
      const put = (field: string, key: string, value: Value): void => void ((out[field] ??= {})[key] = value)
      const answers = accounts.map((account) => [account, known(() => contracts.account(account))] as const)
      // Whoever has the most free collateral can take over any position.
      const liquidator = answers.reduce((best, [account, of]) => ((of?.freeE18 ?? -1n) > best.freeE18 ? { account, freeE18: of?.freeE18 ?? -1n } : best), { account: accounts[0] as Address, freeE18: -1n }).account
      await Promise.all(answers.map(async ([account, of]) => {
        if (of === null) return
        for (const { baseToken: market } of deployment.markets) {
          const key = keyOf.accountMarket({ account, market })
          const size = contracts.number('AccountBalance.getTotalPositionSize', key)
          const [liquidation, bankruptcy] = [contracts.priceAt(of, account, market, of.mm), contracts.priceAt(of, account, market, 0n)]
          if (liquidation !== null) put(ASKED_ELSEWHERE.liquidation, key, await meets(of, account, market, liquidation, size, 'requirement'))
          if (bankruptcy !== null) put(ASKED_ELSEWHERE.bankruptcy, key, await meets(of, account, market, bankruptcy, size, 'nothing'))
        }
        if (account === liquidator) return
        const held = deployment.markets.filter(({ baseToken: market }) => contracts.number('AccountBalance.getTakerPositionSize', keyOf.accountMarket({ account, market })) !== 0n)
        const said = await Promise.all(held.map(({ baseToken }) => refusal(rpc, { from: liquidator, to: clearingHouse, data: encodeFunctionData({ abi: liquidateAbi, functionName: 'liquidate', args: [account, baseToken] }) })))
        if (said.some((reason) => reason?.includes('paused') === true)) return
        if (held.length > 0) put(ASKED_ELSEWHERE.liquidate, account, String(said.some((reason) => reason === null || !/CH_EAV|CH_CLWTISO|CH_MNO|CH_PSZ/.test(reason))))
      }))
      return out
    },
  }
}
