/** What lint and policy ask about the world, out of the mirror and the newest recommendations. What is not there is unknown. */
import type { LintContext } from '../api/recommendations/lint.ts'
import type { BreakerBoard } from '../api/risk/index.ts'
import { InvariantError } from '../core/errors.ts'
import { fromE18, fromFloat } from '../core/units.ts'
import type { Address } from '../protocols/adapter.ts'
import { protocols } from '../protocols/index.ts'
import { keyOf, type Target } from './draft.ts'
import { lower } from './safe.ts'
import type { Db, IndexedBlock } from './store.ts'

/** The world as the index has it at `block`, and the chain time of each parameter's last change, s (0: never changed, null: not indexed). */
export type World = { readonly lint: LintContext; readonly lastChangeSec: (parameter: string, subject: Address) => number | null }

/** `current`: values by `keyOf`, as drafting read them; what is not there is looked for among all that is indexed. */
export async function readWorld(db: Db, target: Target, block: IndexedBlock, current: ReadonlyMap<string, bigint>): Promise<World> {
  const { deployment } = target
  const protocol = protocols.find((each) => each.catalog === target.catalog)
  if (protocol === undefined) throw new InvariantError('Found a catalog of no protocol, allowed are those of protocols/index.ts; pass one of them')
  const [parameters, fund, balances, run, board] = await Promise.all([
    db.parameter.findMany({ select: { name: true, subject: true, value: true, changeCount: true, updatedAtTimestamp: true } }),
    db.insuranceFund.findFirst(),
    db.collateralBalance.groupBy({ by: ['assetId'], _sum: { amount: true } }),
    db.recommendationRun.findFirst({ orderBy: [{ blockNumber: 'desc' }, { id: 'desc' }], where: { blockNumber: { lte: block.number } }, select: { recommendations: { select: { parameter: true, subject: true, modelValue: true, inputs: true } } } }),
    db.breakerBoard.findFirst({ orderBy: { blockNumber: 'desc' }, where: { blockNumber: { lte: block.number } } }),
  ])
  const indexed = new Map(parameters.map((row) => [keyOf({ parameter: row.name, subject: row.subject }), row]))
  const held = new Map(balances.map((row) => [row.assetId.toLowerCase(), BigInt(row._sum.amount?.toFixed(0) ?? 0)]))
  const recommended = run?.recommendations ?? []
  const { decimals } = deployment.settlementToken
  const fundTarget = recommended.find((row) => row.parameter === 'distributionThreshold')?.modelValue ?? null
  const levels = board?.board as unknown as BreakerBoard | undefined
  const isMarket = (subject: Address): boolean => deployment.markets.some((market) => lower(market.baseToken) === lower(subject))
  return {
    lint: {
      protocol,
      deployment,
      currentOf: (parameter, subject) => {
        const key = keyOf({ parameter, subject })
        const row = indexed.get(key)
        return current.get(key) ?? (row === undefined ? null : BigInt(row.value.toFixed(0)))
      },
      fundCapacity: fund === null ? null : BigInt(fund.walletBalance.toFixed(0)) + BigInt(fund.inTransit.toFixed(0)) + fromE18(BigInt(fund.vaultBalanceE18.toFixed(0)), decimals),
      fundTarget: fundTarget === null ? null : fromFloat(fundTarget, decimals, 'ceil'),
      heldOf: (collateral) => held.get(lower(collateral)) ?? null,
      volatilityHaircutE6: (collateral) => {
        const row = recommended.find((each) => each.parameter === 'collateralRatio' && lower(each.subject as Address) === lower(collateral))
        const discount = (row?.inputs as { data?: { discount?: unknown } } | undefined)?.data?.discount
        // The model's ratio leaves room for the liquidation discount as well, which the rule counts by itself.
        return row?.modelValue == null || typeof discount !== 'number' ? null : fromFloat(Math.max(0, 1 - row.modelValue - discount), 6, 'ceil')
      },
      breakerOf: (subject) => (levels === undefined ? 'NORMAL' : ((isMarket(subject) ? levels.markets[lower(subject)]?.level : undefined) ?? levels.protocol.level)),
      nowSec: Number(block.timestamp),
    },
    lastChangeSec: (parameter, subject) => {
      const row = indexed.get(keyOf({ parameter, subject }))
      return row === undefined ? null : row.changeCount === 0 ? 0 : Number(row.updatedAtTimestamp)
    },
  }
}
