/** All markets side by side. */
import { useQueries } from '@tanstack/react-query'
import { useMemo } from 'react'
import { Link } from 'wouter'
import { ask, useAnswer } from '../data/client.ts'
import { MarketRiskDocument, MarketsDocument } from '../generated/operations.ts'
import type { MarketRiskQuery, MarketsQuery } from '../generated/operations.ts'
import { LevelTag, TRIGGERS, showTrigger } from '../ui/breakers.tsx'
import { age, compact, dateTime, percent, price, share, signedPercent, size, whole, words } from '../ui/format.ts'
import { Figure, Hint, Loaded, PageHead, Panel, Tag, Time, Unknown, sentence } from '../ui/parts.tsx'
import { CsvButton, Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { text } from './parts.tsx'
import { lastDay, product, sumE18, thinner } from './series.ts'
import './market.css'

type Market = MarketsQuery['markets'][number]
type Row = Market & {
  readonly breaker: NonNullable<MarketsQuery['circuitBreakers']>['markets'][number] | undefined
  readonly feed: NonNullable<MarketsQuery['oracleHealth']>['feeds'][number] | undefined
  readonly day: { readonly volume: string; readonly liquidated: string }
  readonly capacity: MarketRiskQuery['marketCapacity']
  readonly volatility: MarketRiskQuery['volatility']
  /** Why capacity and volatility are not there. */
  readonly why: string
}

const noPrice = 'The oracle has given no price yet'
const amount = (value: { value: string } | null, why: string, shown: (value: string) => string = price) => (value ? <Figure exact={value.value} unit="USD">{shown(value.value)}</Figure> : <Unknown why={why} />)
const money = (value: number | null | undefined, why: string | undefined) => (value == null ? <Unknown why={why} /> : <Figure exact={text(value)} unit="USD">{compact(value)}</Figure>)

const STATUS = { OK: 'quiet', WARN: 'warn', FAIL: 'down' } as const

const COLUMNS: readonly Column<Row>[] = [
  { key: 'symbol', head: 'Market', value: ({ symbol }) => symbol, cell: ({ symbol, state }) => <><Link href={`/markets/${symbol}`}>{symbol}</Link>{state !== 'OPEN' && <> <Tag kind="down">{words(state)}</Tag></>}</> },
  { key: 'index', head: 'Index', name: 'Index price, USD', numeric: true, value: ({ indexPrice }) => indexPrice?.value, cell: ({ indexPrice }) => amount(indexPrice, noPrice) },
  { key: 'mark', head: 'Mark', name: 'Mark price, USD', numeric: true, value: ({ markPrice }) => markPrice?.value, cell: ({ markPrice }) => amount(markPrice, 'The contract gives no mark price now') },
  { key: 'pool', head: 'Pool', name: 'Price of the pool, USD', numeric: true, value: ({ marketPrice }) => marketPrice?.value, cell: ({ marketPrice }) => amount(marketPrice, 'Nobody has traded yet') },
  { key: 'premium', head: 'Premium', name: 'Premium, fraction', numeric: true, value: ({ premium }) => premium, cell: ({ premium }) => (premium === null ? <Unknown why="It needs an index price and a price of the pool" /> : signedPercent(premium)) },
  { key: 'long', head: 'Long', name: 'Long, USD', numeric: true, value: ({ openInterestLong, indexPrice }) => indexPrice && product(openInterestLong.value, indexPrice.value), cell: ({ capacity, openInterestLong, indexPrice }) => side('long', openInterestLong.value, indexPrice?.value, capacity?.openInterestLong, capacity?.cap) },
  { key: 'short', head: 'Short', name: 'Short, USD', numeric: true, value: ({ openInterestShort, indexPrice }) => indexPrice && product(openInterestShort.value, indexPrice.value), cell: ({ capacity, openInterestShort, indexPrice }) => side('short', openInterestShort.value, indexPrice?.value, capacity?.openInterestShort, capacity?.cap) },
  { key: 'cap', head: 'Capacity', name: 'Capacity of a side, USD', numeric: true, value: ({ capacity }) => capacity?.cap, cell: ({ capacity, why }) => <>{money(capacity?.cap, capacity?.unknown?.message ?? why)}</> },
  { key: 'used', head: 'Used', name: 'Used of the capacity, fraction', numeric: true, value: ({ capacity }) => capacity?.utilisation, cell: ({ capacity, why }) => (capacity?.utilisation == null ? <Unknown why={capacity?.unknown?.message ?? why} /> : <span className={capacity.utilisation > 1 ? 'down' : undefined}>{share(capacity.utilisation)}</span>) },
  { key: 'depth', head: 'Depth, 2 %', name: 'Depth at 2 %, the thinner side, USD', numeric: true, value: ({ depth }) => thinner(depth), cell: ({ depth }) => { const value = thinner(depth); return value === null ? <Unknown why="The pool’s liquidity is not indexed" /> : <Figure exact={value} unit="USD">{compact(Number(value))}</Figure> } },
  { key: 'volume', head: 'Volume, 24 h', name: 'Volume of 24 completed hours, USD', numeric: true, value: ({ day }) => day.volume, cell: ({ day }) => <Figure exact={day.volume} unit="USD">{compact(Number(day.volume))}</Figure> },
  { key: 'liquidated', head: 'Liquidated, 24 h', name: 'Liquidated in 24 completed hours, USD', numeric: true, value: ({ day }) => day.liquidated, cell: ({ day }) => <Figure exact={day.liquidated} unit="USD">{compact(Number(day.liquidated))}</Figure> },
  { key: 'volatility', head: 'Volatility', name: 'Volatility a year by EWMA, fraction', numeric: true, value: ({ volatility }) => volatility?.ewma?.nowPerYear, cell: ({ volatility, why }) => (volatility?.ewma ? percent(volatility.ewma.nowPerYear, 0) : <Unknown why={volatility?.unknown[0]?.message ?? why} />) },
  { key: 'breaker', head: 'Breaker', value: ({ breaker }) => breaker?.effective, cell: ({ breaker }) => (breaker ? <Hint text={breaker.triggers.filter(({ level }) => level !== 'NORMAL').map(({ name, value, level }) => `${TRIGGERS[name]?.title ?? name} ${value === null ? '—' : showTrigger(name, value)} asks for ${level}`).join('; ') || 'No trigger asks for more than normal'}><LevelTag level={breaker.effective} /></Hint> : <Unknown why="No breaker has been observed yet" />) },
  { key: 'oracle', head: 'Oracle', name: 'Age of the oracle’s price, s', numeric: true, value: ({ oracleAgeSec }) => oracleAgeSec, cell: ({ feed, oracleAgeSec }) => (oracleAgeSec === null ? <Unknown why={noPrice} /> : <Hint text={feed ? (feed.flags.map(({ text: one }) => one).join('; ') || `Its heartbeat is ${age(feed.heartbeatSec)}`) : 'The API did not judge this feed'}><Tag kind={feed ? STATUS[feed.status] : 'quiet'}>{feed && feed.status !== 'OK' ? `${words(feed.status)}, ` : ''}{age(oracleAgeSec)}</Tag></Hint>) },
]

/** A side in USD at the index price, and how much of the market's capacity it was when that was measured: `quote` is of the same block as `cap`. */
function side(name: 'long' | 'short', base: string, index: string | undefined, quote: number | null | undefined, cap: number | null | undefined) {
  if (index === undefined) return <span className="market-side"><Unknown why={`${size(base)} base. ${noPrice}`} /></span>
  return <span className="market-side"><Figure exact={base} unit="base"><span className={name}>{compact(Number(product(base, index)))}</span></Figure>{quote != null && cap != null && cap > 0 && <span className="market-mini" aria-hidden="true"><i className={quote > cap ? 'over' : name} style={{ width: `${Math.min(100, (quote / cap) * 100)}%` }} /></span>}</span>
}

/** `block 3,348`, or `blocks 3,340 to 3,348` of answers that are of several; null before there is one. */
function blocksOf(numbers: readonly number[]): string | null {
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)]
  return numbers.length === 0 ? null : low === high ? `block ${whole(low)}` : `blocks ${whole(low)} to ${whole(high)}`
}

export default function Markets() {
  const answer = useAnswer(MarketsDocument, {}, 'block')
  const markets = useMemo(() => answer.data?.markets ?? [], [answer.data])
  const risks = useQueries({
    queries: markets.map(({ id }) => ({ queryKey: ['minute', 'MarketRisk', { market: id }], queryFn: async ({ signal }: { signal: AbortSignal }) => ask(MarketRiskDocument, { market: id }, signal), staleTime: 60_000 })),
    combine: (results) => results.map(({ data, error, isPending }) => ({ data, why: error ? sentence(error) : isPending ? 'It is being computed' : noPrice })),
  })
  const indexed = answer.data?.status.indexed
  const day = lastDay(Number(indexed?.timestamp ?? 0))
  const rows = useMemo(() => {
    return markets.map((market, i): Row => {
      const hours = market.stats.nodes.filter(({ timestamp }) => Number(timestamp) >= day.from && Number(timestamp) < day.to)
      return {
        ...market,
        breaker: answer.data?.circuitBreakers?.markets.find(({ subject }) => subject === market.id),
        feed: answer.data?.oracleHealth?.feeds.find(({ symbols }) => symbols.includes(market.symbol)),
        day: { volume: sumE18(hours.map(({ volume }) => volume.raw)), liquidated: sumE18(hours.map(({ liquidatedNotional }) => liquidatedNotional.raw)) },
        capacity: risks[i]?.data?.marketCapacity ?? null,
        volatility: risks[i]?.data?.volatility ?? null,
        why: risks[i]?.why ?? noPrice,
      }
    })
  }, [answer.data, markets, risks, day.from, day.to])
  const older = blocksOf(risks.flatMap(({ data }) => [data?.marketCapacity, data?.volatility]).flatMap((of) => (of ? [Number(of.provenance.block.number)] : [])))
  return (
    <>
      <PageHead title="Markets" note={indexed ? <>block {whole(indexed.number)}, <Time at={indexed.timestamp} /></> : 'No block is indexed yet'} />
      <Panel id="markets" title="All markets" note={`USD, unless a unit is given${indexed ? ` · 24 h: the completed hours from ${dateTime(day.from)} to ${dateTime(day.to)}` : ''}${older === null ? '' : ` · capacity, what is used of it and volatility: ${older}`}`} actions={<CsvButton title="Markets" columns={COLUMNS} rows={rows} />}>
        <Loaded of={answer} height={160}>{() => <Table title="All markets" columns={COLUMNS} rows={rows} rowKey={({ id }) => id} empty="No market is indexed yet: the first follows the first indexed blocks." />}</Loaded>
      </Panel>
    </>
  )
}

