/** Every market on one line. */
import { Link } from 'wouter'
import { useAnswer } from '../data/client.ts'
import { OverviewMarketsDocument, OverviewPricesDocument } from '../generated/operations.ts'
import type { BreakerNowFragment, OverviewMarketsQuery } from '../generated/operations.ts'
import { LevelTag } from '../ui/breakers.tsx'
import { compact, duration, price, signedPercent, size, usd, whole, words } from '../ui/format.ts'
import { Figure, Loaded, Panel, Tag, Unknown } from '../ui/parts.tsx'
import { CsvButton, Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { thinner } from '../market/series.ts'
import { Spark } from './Spark.tsx'

type Market = OverviewMarketsQuery['markets'][number]
type Prices = Readonly<Record<string, readonly (readonly [number, number])[]>>

/** `ETH` of `vETH`: what a position counts. */
const baseOf = (symbol: string): string => symbol.replace(/^v(?=[A-Z])/, '')

/** From the first of them to the last, fraction. */
const changeOf = (points: readonly (readonly [number, number])[]): number | null => (points.length > 1 ? (points.at(-1)?.[1] ?? 0) / (points[0]?.[1] ?? 1) - 1 : null)

/** The last prices of a market and how far they went; each feed gives its own in its own time, so how long that was is said, too. */
function Trend({ of: points }: { of: readonly (readonly [number, number])[] }) {
  const change = changeOf(points)
  if (change === null) return <span className="overview-line"><Spark of={points} label="no prices yet" /></span>
  const told = `${signedPercent(change)} in ${duration((points.at(-1)?.[0] ?? 0) - (points[0]?.[0] ?? 0))}`
  return <span className="overview-line"><Spark of={points} label={`last ${points.length} index prices, ${told}`} /><small title={`From the first to the last of ${points.length} prices`}>{told}</small></span>
}

function columns(prices: Prices, breakers: readonly BreakerNowFragment[] | undefined): Column<Market>[] {
  const interest = (side: 'openInterestLong' | 'openInterestShort', head: string): Column<Market> => ({
    key: side, head, name: `${head}, base`, numeric: true, value: (one) => one[side].value,
    cell: (one) => <Figure exact={one[side].value} unit={baseOf(one.symbol)}>{size(one[side].value)}</Figure>,
  })
  return [
    { key: 'symbol', head: 'Market', value: (one) => one.symbol, cell: (one) => { const breaker = breakers?.find(({ subject }) => subject === one.id); return <span className="overview-market"><Link href={`/markets/${one.symbol}`}>{one.symbol}</Link>{breaker && breaker.effective !== 'NORMAL' && <LevelTag level={breaker.effective} />}{one.state !== 'OPEN' && <Tag kind="down">{words(one.state)}</Tag>}</span> } },
    { key: 'index', head: 'Index', name: 'Index, USD', numeric: true, value: (one) => one.indexPrice?.value, cell: (one) => (one.indexPrice ? <Figure exact={one.indexPrice.value} unit="USD">{price(one.indexPrice.value)}</Figure> : <Unknown why="The oracle has given no valid price yet" />) },
    { key: 'mark', head: 'Mark', name: 'Mark, USD', numeric: true, value: (one) => one.markPrice?.value, cell: (one) => (one.markPrice ? <Figure exact={one.markPrice.value} unit="USD">{price(one.markPrice.value)}</Figure> : <Unknown why="The protocol has no mark price at this block" />) },
    { key: 'premium', head: <span title="Pool’s price over the index">Premium</span>, name: 'Premium', numeric: true, value: (one) => one.premium, cell: (one) => (one.premium === null ? <Unknown why="Needs a price of the pool and of the oracle" /> : signedPercent(one.premium)) },
    { key: 'line', head: 'Last prices', name: 'Trend', value: (one) => changeOf(prices[one.id] ?? []), cell: (one) => <Trend of={prices[one.id] ?? []} /> },
    interest('openInterestLong', 'OI long'),
    interest('openInterestShort', 'OI short'),
    { key: 'depth', head: 'Depth 2 %', name: 'Depth 2 %, USD', numeric: true, value: (one) => thinner(one.depth), cell: (one) => (one.depth ? <span title={`Moves the pool by 2 %: buying ${usd(one.depth.buyQuote.value)} USD, selling ${usd(one.depth.sellQuote.value)} USD`}>{compact(Number(thinner(one.depth)))}</span> : <Unknown why="The liquidity of its pool is unknown" />) },
    { key: 'age', head: 'Oracle age', name: 'Oracle age, s', numeric: true, value: (one) => one.oracleAgeSec, cell: (one) => (one.oracleAgeSec === null ? <Unknown why="The oracle has given no price yet" /> : <>{whole(one.oracleAgeSec)} <u>s</u></>) },
  ]
}

export function Markets({ breakers }: { breakers: readonly BreakerNowFragment[] | undefined }) {
  const markets = useAnswer(OverviewMarketsDocument, {}, 'block')
  const prices = useAnswer(OverviewPricesDocument, {}, 'minute')
  const lines: Prices = Object.fromEntries(prices.data?.markets.map(({ id, prices: points }) => [id, points.map(({ timestamp, price: at }) => [Number(timestamp), Number(at.value)] as const)]) ?? [])
  const shown = columns(lines, breakers)
  return (
    <Panel id="markets" title={<Link href="/markets">Markets</Link>} note="Open interest in base; depth: USD that moves the pool by 2 %, the thinner side" actions={<CsvButton title="Markets" columns={shown} rows={markets.data?.markets ?? []} />}>
      <Loaded of={markets} height={127}>{(data) => <Table title="Markets" columns={shown} rows={data.markets} rowKey={({ id }) => id} empty="No market is indexed yet. They come with the first indexed blocks; the header’s health says how far that is." />}</Loaded>
    </Panel>
  )
}
