/** Whether the market's feed can be trusted now, what its silence may cost, and what it said last. */
import { useAnswer } from '../data/client.ts'
import { MarketOracleDocument } from '../generated/operations.ts'
import type { MarketOracleQuery } from '../generated/operations.ts'
import { age, dateTime, duration, percent, price, signedPercent, time, usd, whole, words } from '../ui/format.ts'
import { Address, Empty, Facts, Figure, Loaded, Notice, Provenance, Tag, Unknown } from '../ui/parts.tsx'
import { CsvButton, Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { text } from './parts.tsx'
import { freezeWords } from './series.ts'

type Feed = NonNullable<NonNullable<MarketOracleQuery['market']>['oracle']>
type Update = Feed['updates']['nodes'][number]
type Change = Feed['sourceChanges']['nodes'][number]
type Health = NonNullable<MarketOracleQuery['oracleHealth']>['feeds'][number]

const UPDATES: readonly Column<Update>[] = [
  { key: 'timestamp', head: 'Block time', value: ({ timestamp }) => timestamp, cell: ({ timestamp }) => <time title={time(timestamp)}>{dateTime(timestamp)}</time> },
  { key: 'block', head: 'Block', numeric: true, value: ({ block }) => block, cell: ({ block }) => whole(block) },
  { key: 'price', head: 'Price, USD', numeric: true, value: (update) => update.price.value, cell: (update) => <Figure exact={update.price.value} unit="USD">{price(update.price.value)}</Figure> },
  { key: 'age', head: 'Age when taken', name: 'Age when taken, s', numeric: true, value: ({ ageSec }) => ageSec, cell: ({ ageSec }) => (ageSec === null ? <Unknown why="The oracle’s own time is unknown" /> : duration(Number(ageSec))) },
  { key: 'answer', head: 'Answer', value: ({ freezeReason }) => freezeWords(freezeReason), cell: ({ freezeReason }) => (freezeReason === 0 ? 'taken' : <Tag kind="down">refused: {freezeWords(freezeReason)}</Tag>) },
]

const SOURCES: readonly Column<Change>[] = [
  { key: 'timestamp', head: 'Block time', value: ({ timestamp }) => timestamp, cell: ({ timestamp }) => <time title={time(timestamp)}>{dateTime(timestamp)}</time> },
  { key: 'fallback', head: 'Prices from then on', value: ({ fallback }) => (fallback ? 'on-chain source' : 'oracle'), cell: ({ fallback }) => (fallback ? <Tag kind="warn">from the on-chain source</Tag> : 'from the oracle') },
  { key: 'transaction', head: 'Transaction', value: ({ transactionHash }) => transactionHash, cell: ({ transactionHash }) => <Address of={transactionHash} label="Transaction" /> },
]

const STATUS = { OK: 'good', WARN: 'warn', FAIL: 'down' } as const

export function Oracle({ market }: { market: string }) {
  const answer = useAnswer(MarketOracleDocument, { id: market }, 'minute')
  return (
    <Loaded of={answer} height={520}>
      {({ market: found, oracleHealth }) => {
        const feed = found?.oracle
        if (!feed) return <Empty>No feed is indexed behind this market’s index price.</Empty>
        const health = oracleHealth?.feeds.find((one) => one.feed === feed.id)
        return (
          <>
            <Trusted feed={feed} health={health} />
            <div className="market-head"><span className="muted">{whole(feed.updateCount)} updates since the start; the newest {feed.updates.nodes.length}</span><CsvButton title="Oracle updates" columns={UPDATES} rows={feed.updates.nodes} /></div>
            <Table title="Updates of the feed" columns={UPDATES} rows={feed.updates.nodes} rowKey={({ id }) => id} few={3} empty="The feed has given no price yet." tone={({ freezeReason }) => (freezeReason === 0 ? undefined : 'hot')} />
            {feed.sourceChanges.nodes.length > 0 ? <Table title="Changes of the source" columns={SOURCES} rows={feed.sourceChanges.nodes} rowKey={({ id }) => id} /> : <p className="market-words">The dispatcher has never changed its source.</p>}
            {oracleHealth && <Provenance of={oracleHealth.provenance} />}
          </>
        )
      }}
    </Loaded>
  )
}

function Trusted({ feed, health }: { feed: Feed; health: Health | undefined }) {
  const noPrice = 'The feed has given no price yet'
  return (
    <>
      {health?.flags.map(({ flag, severity, text: words_ }) => <Notice key={flag} kind={severity === 'FAIL' ? 'down' : 'degraded'} title={`${words(flag)}:`}>{words_}</Notice>)}
      <Facts of={[
        ['Standing', health ? <><Tag kind={STATUS[health.status]}>{words(health.status)}</Tag>{feed.freezeReason !== 0 && <> <Tag kind="down">frozen: {freezeWords(feed.freezeReason)}</Tag></>}{feed.fallback && <> <Tag kind="warn">on-chain source, for good</Tag></>}</> : <Unknown why="The API did not judge this feed" />],
        ['Age', feed.ageSec === null ? <Unknown why={noPrice} /> : <>{age(feed.ageSec)} <span className="muted">{health ? `heartbeat ${duration(health.heartbeatSec)}` : ''}{feed.timeoutSec === null ? '; the feed has no timeout of its own' : `; the feed takes it for timed out at ${duration(Number(feed.timeoutSec))}`}</span> {feed.stale === true && <Tag kind="down">timed out</Tag>}</>],
        ['Against the pool', health?.deviation == null ? <Unknown why="The pool has no price of its own" /> : <>{signedPercent(health.deviation)} <span className="muted">{health.deviationLimit === null ? 'limit unknown: so is the volatility' : `flagged from ${percent(health.deviationLimit)}`}</span></>],
        ['Its age can hide', health?.stalenessLoss == null ? <Unknown why={health?.expectedLossUnknown?.message ?? 'The volatility is unknown'} /> : <>{percent(health.stalenessLoss)} <span className="muted">at three standard deviations</span></>],
        ['Expected loss by it', health?.expectedLoss == null ? <Unknown why={health?.expectedLossUnknown?.message} /> : <><Figure exact={String(health.expectedLoss)} unit="USD">{usd(text(health.expectedLoss))} USD</Figure> <span className="muted">beyond the maintenance margin, on the larger side</span></>],
        ['Feed', <Address key="f" of={feed.id} label="Feed" />],
        ['Asked through', feed.dispatcher === feed.id ? 'the feed itself' : <Address key="d" of={feed.dispatcher} label="Dispatcher" />],
        ['It asks', feed.aggregator === null ? <Unknown why="The oracle contract that the feed asks cannot be read" /> : <Address key="a" of={feed.aggregator} label="Aggregator" />],
      ]} />
    </>
  )
}

