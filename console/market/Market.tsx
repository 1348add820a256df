/** A market's desk. */
import { useCallback } from 'react'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import { renew, useAnswer } from '../data/client.ts'
import { useEvents } from '../data/live.ts'
import { CapacityDocument, MarketBreakerChangedDocument, MarketBreakersDocument, MarketDocument, MarketLiquidatedDocument, MarketNamesDocument } from '../generated/operations.ts'
import type { BreakerLevel, MarketQuery } from '../generated/operations.ts'
import { LevelTag } from '../ui/breakers.tsx'
import { age, compact, price, share, signedPercent, size, whole, words } from '../ui/format.ts'
import { Address, Empty, Figure, Hint, Loaded, PageHead, Panel, Sums, Tag, Time, Unknown, sentence } from '../ui/parts.tsx'
import { Breaker } from './Breaker.tsx'
import { Deleveraging } from './Deleveraging.tsx'
import { Interest } from './Interest.tsx'
import { Keepers } from './Keepers.tsx'
import { Ladder } from './Ladder.tsx'
import { Liquidity } from './Liquidity.tsx'
import { Margins } from './Margins.tsx'
import { Oracle } from './Oracle.tsx'
import { Parameters } from './Parameters.tsx'
import { Price } from './Price.tsx'
import { Backtests, Volatility } from './Volatility.tsx'
import { Later } from './parts.tsx'
import { freezeWords, product } from './series.ts'
import './market.css'

type MarketRow = NonNullable<MarketQuery['market']>

const SECTIONS = [['price', 'Price'], ['ladder', 'Ladder'], ['deleveraging', 'Deleveraging'], ['interest', 'Open interest'], ['breaker', 'Breaker'], ['oracle', 'Oracle'], ['volatility', 'Volatility'], ['margins', 'Margins'], ['backtest', 'Backtest'], ['liquidity', 'Liquidity'], ['keepers', 'Keepers'], ['parameters', 'Parameters']] as const

export default function Market({ id }: { id: string }) {
  const answer = useAnswer(MarketDocument, { id }, 'block')
  return (
    <Loaded of={answer} height={600} title="Market">
      {({ market, status }) => (market ? <Desk market={market} indexed={status.indexed} /> : <><PageHead title="No such market" /><Empty>{status.indexed ? <>The index holds no market “{id}”.</> : <>No block is indexed yet: markets appear with the first.</>} <Link href="/markets">See all markets</Link>.</Empty></>)}
    </Loaded>
  )
}

function Desk({ market, indexed }: { market: MarketRow; indexed: MarketQuery['status']['indexed'] }) {
  const { id, symbol } = market
  const nowSec = Number(indexed?.timestamp ?? 0)
  useEvents(MarketBreakerChangedDocument, { subject: id }, useCallback(() => void renew('MarketBreakers'), []))
  useEvents(MarketLiquidatedDocument, { market: id }, useCallback(() => void renew('MarketLiquidations', 'Interest'), []))
  const breakers = useAnswer(MarketBreakersDocument, {}, 'minute')
  const breaker = breakers.data?.circuitBreakers?.markets.find(({ subject }) => subject === id)
  return (
    <>
      <PageHead title={symbol} note={<><Address of={id} label={`Base token of ${symbol}`} />{indexed && <> · block {whole(indexed.number)}, <Time at={indexed.timestamp} /></>}</>}>
        <Others symbol={symbol} />
      </PageHead>
      <Standing market={market} nowSec={nowSec} breaker={breaker?.effective} />
      <nav className="market-sections" aria-label="Sections of this page">{SECTIONS.map(([section, name]) => <a key={section} href={`#${section}`}>{name}</a>)}</nav>
      <div className="stack">
        <div className="desk">
          <div className="stack">
            <Panel id="price" title="Price"><Price market={market} nowSec={nowSec} breakers={breakers} /></Panel>
            <Panel id="ladder" title="Liquidation ladder" note="What each price would set off"><Ladder market={id} symbol={symbol} /></Panel>
            <Later id="deleveraging" title="Deleveraging queue" height={480}>{() => <Deleveraging market={id} symbol={symbol} />}</Later>
          </div>
          <div className="stack">
            <Later id="interest" title="Open interest" height={560}>{() => <Interest market={market} nowSec={nowSec} />}</Later>
            <Panel id="breaker" title="Circuit breaker"><Breaker of={breakers} market={id} /></Panel>
            <Later id="oracle" title="Oracle" height={560}>{() => <Oracle market={id} />}</Later>
          </div>
        </div>
        <div className="desk">
          <Later id="volatility" title="Volatility" height={900}>{() => <Volatility market={id} symbol={symbol} nowSec={nowSec} />}</Later>
          <Later id="margins" title="Margins that volatility asks for" height={900}>{() => <Margins market={id} symbol={symbol} />}</Later>
        </div>
        <Later id="backtest" title="Backtest" note="How right each model was over the last 30 days" height={330}>{() => <Backtests market={id} />}</Later>
        <div className="desk">
          <Later id="liquidity" title="Liquidity" height={600}>{() => <Liquidity market={id} symbol={symbol} />}</Later>
          <Later id="keepers" title="Keepers" note="Which liquidations pay" height={720}>{() => <Keepers market={id} symbol={symbol} />}</Later>
        </div>
        <Later id="parameters" title="Parameters" height={560}>{() => <Parameters market={id} symbol={symbol} nowSec={nowSec} />}</Later>
      </div>
    </>
  )
}

/** The other markets, with this place kept in mind: the hash stays. */
function Others({ symbol }: { symbol: string }) {
  const { data } = useAnswer(MarketNamesDocument, {}, 'event')
  return <nav className="market-others" aria-label="Markets"><Link href="/markets">All</Link>{data?.markets.map((one) => <Link key={one.id} href={`/markets/${one.symbol}`} aria-current={one.symbol === symbol ? 'page' : undefined}>{one.symbol}</Link>)}</nav>
}

/** The figures that are always looked at first. */
function Standing({ market, nowSec, breaker }: { market: MarketRow; nowSec: number; breaker: BreakerLevel | undefined }) {
  const asked = useAnswer(CapacityDocument, { market: market.id }, 'minute')
  const capacity = asked.data?.marketCapacity
  const noPrice = 'The oracle has given no price yet'
  const amount = (value: { value: string } | null, why: string): ReactNode => (value ? <Figure exact={value.value} unit="USD">{price(value.value)}</Figure> : <Unknown why={why} />)
  const interest = (base: { value: string }, name: 'long' | 'short'): ReactNode => <Figure exact={base.value} unit="base"><span className={name}>{market.indexPrice ? compact(Number(product(base.value, market.indexPrice.value))) : `${size(base.value)} base`}</span></Figure>
  return (
    <section className="panel" aria-label={`${market.symbol} now`}>
      <Sums of={[
        ['Index', amount(market.indexPrice, noPrice), market.oracleAgeSec === null ? ' ' : `${age(market.oracleAgeSec)} old`],
        ['Mark', amount(market.markPrice, 'The contract gives no mark price now'), 'margins use it'],
        ['Pool', amount(market.marketPrice, 'Nobody has traded yet'), market.premium === null ? 'premium unknown' : `${signedPercent(market.premium)} of the index`],
        ['Long', interest(market.openInterestLong, 'long'), `${size(market.openInterestLong.value)} base`],
        ['Short', interest(market.openInterestShort, 'short'), `${size(market.openInterestShort.value)} base`],
        ['Of capacity', capacity == null ? (asked.isPending ? '…' : <Unknown why={asked.error ? sentence(asked.error) : undefined} />) : capacity.utilisation === null ? <Unknown why={capacity.unknown?.message} /> : <span className={capacity.utilisation > 1 ? 'down' : undefined}>{share(capacity.utilisation)}</span>, capacity == null ? ' ' : `${capacity.cap === null ? '' : `${compact(capacity.cap)} by ${capacity.binding ?? ''}, `}block ${whole(capacity.provenance.block.number)}`],
        ['Volume', <Figure key="v" exact={market.volume.value} unit="USD">{compact(Number(market.volume.value))}</Figure>, 'since the start'],
        ['Liquidated', <Figure key="l" exact={market.liquidatedNotional.value} unit="USD">{compact(Number(market.liquidatedNotional.value))}</Figure>, `${whole(market.liquidationCount)} since the start`],
        ['State', <span key="s" className="market-tags">
          <Tag kind={market.state === 'OPEN' ? 'quiet' : 'down'}>{words(market.state)}</Tag>
          {breaker ? <span title="Circuit breaker"><LevelTag level={breaker} /></span> : <Tag>breaker unknown</Tag>}
          {market.oracleFreezeReason === null && <Tag>oracle unknown</Tag>}
          {market.oracleFreezeReason !== null && market.oracleFreezeReason !== 0 && <Tag kind="down">oracle frozen: {freezeWords(market.oracleFreezeReason)}</Tag>}
          {market.oracleFallback === true && <Hint text="The dispatcher has fallen back to its on-chain source; it never comes back."><Tag kind="warn">oracle fallback</Tag></Hint>}
        </span>, nowSec === 0 ? 'nothing is indexed yet' : ' '],
      ]} />
    </section>
  )
}
