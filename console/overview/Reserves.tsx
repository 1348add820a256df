/** What stands between a falling price and a loss for everyone: liquidators, the insurance fund, the prices they all go by. */
import { Link } from 'wouter'
import type { Asked } from '../data/client.ts'
import type { OverviewFundQuery, OverviewOraclesQuery, OverviewQueueQuery } from '../generated/operations.ts'
import { compact, duration, float, grouped, percent, short, signedPercent, usd, words } from '../ui/format.ts'
import { Empty, Figure, Hint, Loaded, Notice, Panel, Provenance, Sums, Tag, Unknown } from '../ui/parts.tsx'
import { CsvButton, Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { Spark } from './Spark.tsx'
import { list } from './safety.ts'

const money = (value: number): string => float(value, Math.abs(value) >= 1000 ? 0 : 2)
const Money = ({ of }: { of: number }) => <Figure exact={String(of)} unit="USD">{money(of)} <u>USD</u></Figure>

type Queue = NonNullable<OverviewQueueQuery['liquidationQueue']>
type Entry = Queue['entries'][number]

const TIER: Readonly<Record<string, 'good' | 'warn' | 'down' | 'quiet'>> = { HEALTHY: 'quiet', WARN: 'warn' }

const ENTRIES: readonly Column<Entry>[] = [
  { key: 'account', head: 'Account', value: (one) => one.account, cell: (one) => <Link href={`/accounts/${one.account}`} title={one.account}><code>{short(one.account)}</code></Link> },
  { key: 'tier', head: 'Tier', value: (one) => one.tier, cell: (one) => <span title={one.why}><Tag kind={TIER[one.tier] ?? 'down'}>{words(one.tier)}</Tag>{one.hindered && <> <Hint text={one.hindered}>hindered</Hint></>}</span> },
  { key: 'distance', head: <span title="(value − requirement) / gross notional">Distance</span>, name: 'Distance', numeric: true, value: (one) => one.distance, cell: (one) => signedPercent(one.distance) },
  { key: 'value', head: 'Value', name: 'Value, USD', numeric: true, value: (one) => one.value, cell: (one) => <Figure exact={String(one.value)} unit="USD">{money(one.value)}</Figure> },
  { key: 'requirement', head: 'Required', name: 'Required, USD', numeric: true, value: (one) => one.requirement, cell: (one) => <Figure exact={String(one.requirement)} unit="USD">{money(one.requirement)}</Figure> },
  { key: 'gross', head: 'Gross', name: 'Gross, USD', numeric: true, value: (one) => one.gross, cell: (one) => <Figure exact={String(one.gross)} unit="USD" note={one.positions.map(({ market, notional }) => `${market.symbol} ${money(notional)}`).join(', ')}>{money(one.gross)}</Figure> },
  { key: 'due', head: 'Due', name: 'Due, USD', numeric: true, value: (one) => one.dueNotional, cell: (one) => <Figure exact={String(one.dueNotional)} unit="USD">{money(one.dueNotional)}</Figure> },
]

/** Accounts by how far they are from liquidation. */
function Buckets({ of }: { of: Queue['buckets'] }) {
  const most = Math.max(1, ...of.map(({ notional }) => notional))
  const name = ({ from, to }: Queue['buckets'][number]): string => (from === null ? 'below their requirement' : `${percent(from, 0)} to ${percent(to, 0)} above`)
  return (
    <table className="overview-buckets">
      <caption className="sr">Accounts by distance to liquidation, of gross notional</caption>
      <thead className="sr"><tr><th scope="col">Distance</th><th scope="col">Accounts</th><th scope="col">Notional, USD</th></tr></thead>
      <tbody>
        {of.map((bucket) => (
          <tr key={bucket.to}>
            <th scope="row">{name(bucket)}</th>
            <td className="n">{bucket.accounts}</td>
            <td className="n" title={`${bucket.notional} USD`}>{compact(bucket.notional)}</td>
            <td aria-hidden="true" className="overview-length"><svg viewBox="0 0 100 8" preserveAspectRatio="none"><rect width={(bucket.notional / most) * 100} height="8" className={bucket.from === null ? 'due' : undefined} /></svg></td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

/** From when on work for liquidators is too much, and whose margins say so. */
const BacklogLimit = ({ of: { seconds, market, origin, why } }: { of: NonNullable<Queue['backlogLimit']> }) => <Hint text={`Margins of ${market.symbol} count on a position to be closed in ${duration(seconds)}, the least of the markets (${words(origin)}: ${grouped(why)}). Work above it lasts longer than they are made for.`}>limit {duration(seconds)}, {market.symbol}</Hint>

export function Backlog({ of }: { of: Asked<OverviewQueueQuery> }) {
  return (
    <Panel id="backlog" title={<Link href="/accounts">Liquidation backlog</Link>} note="Accounts within 5 % of gross notional of their requirement, nearest first" actions={<CsvButton title="Liquidation backlog" columns={ENTRIES} rows={of.data?.liquidationQueue?.entries ?? []} />}>
      <Loaded of={of} height={400}>{({ liquidationQueue: queue }) => {
        if (!queue) return <Empty>No account is indexed yet that could be liquidated.</Empty>
        const stuck = queue.dueNotional - queue.takeableNotional
        return (
          <>
            <div className="overview-backlog">
              <Sums of={[
                ['Due', <>{queue.dueAccounts} <u>of {queue.entryCount} near</u></>, <Money key="due" of={queue.dueNotional} />],
                ['Takeable', <Money key="takeable" of={queue.takeableNotional} />, stuck > 0.5 ? <span className="down">{money(stuck)} hindered</span> : 'nothing hindered'],
                ['Backlog', queue.backlogHours === null ? <Unknown why="Nothing can be taken at this depth" /> : duration(queue.backlogHours * 3600), <>{queue.etaSec === null ? 'no capacity' : `${compact(queue.capacityPerHour)} USD an hour can be taken`}{queue.backlogLimit && <>; <BacklogLimit of={queue.backlogLimit} /></>}</>],
                ['Velocity', queue.velocity === null ? <Unknown why="There is no open interest" /> : percent(queue.velocity), 'of open interest in 15 min'],
              ]} />
              <Buckets of={queue.buckets} />
            </div>
            {queue.unknown.map(({ message }) => <Notice key={message} kind="degraded" title="Not fully known.">{message}</Notice>)}
            <Table title="Liquidation backlog" columns={ENTRIES} rows={queue.entries} rowKey={({ account }) => account} tone={({ due }) => (due ? 'hot' : undefined)} empty="No account is within 5 % of its requirement." />
            <Provenance of={queue.provenance} />
          </>
        )
      }}</Loaded>
    </Panel>
  )
}

export function Fund({ of }: { of: Asked<OverviewFundQuery> }) {
  return (
    <Panel id="fund" title={<Link href="/fund">Insurance fund</Link>} note="against what it should hold">
      <Loaded of={of} height={340}>{({ insuranceFund: fund }) => {
        if (!fund) return <Empty>The fund has not been indexed yet. It comes with the first indexed blocks.</Empty>
        const { target, stats } = fund
        const days = stats.nodes.toReversed()
        const points = days.map(({ timestamp, balance }) => [Number(timestamp), Number(balance.value)] as const)
        return (
          <>
            <Sums of={[
              ['Fund', <Figure key="fund" exact={fund.capacity.value} unit="USD">{usd(fund.capacity.value)} <u>USD</u></Figure>, `${usd(fund.badDebt.value)} bad debt paid`],
              ['Target', target && <Money key="target" of={target.target} />, target && `by ${target.binding}`],
              ['Gap', target && (target.gap === null ? <Unknown why={target.fundUnknown?.message} /> : target.gap > 0 ? <span className="warn"><Money of={target.gap} /></span> : <span className="up">none</span>), target?.gap == null ? undefined : target.gap <= 0 ? `${compact(-target.gap)} USD above` : 'short of its target'],
              ['Runway', target && (target.runwayDays === null ? (target.simulationUnknown || target.fund === null ? <Unknown why={target.simulationUnknown?.message ?? target.fundUnknown?.message} /> : <span className="up">grows</span>) : duration(target.runwayDays * 86_400)), target?.runwayDays == null ? (target?.simulationUnknown ? 'nothing simulated yet' : 'income covers expected loss') : 'at expected loss less income'],
            ]} />
            {target && target.fund !== null && <Cover fund={target.fund} target={target.target} cover1={target.cover1} cover2={target.cover2} />}
            <div className="overview-history">
              <Spark of={points} label={`Balance over the last ${points.length} days with a flow, from ${usd(days[0]?.balance.value ?? '0')} to ${usd(days.at(-1)?.balance.value ?? '0')} USD`} />
              <small>{points.length > 1 ? `Balance, last ${points.length} days with a flow` : 'No completed day with a flow yet'}</small>
            </div>
            {target ? <><p className="overview-why">{grouped(target.why)}.</p>{target.simulationUnknown && <Notice kind="degraded" title="The target lacks its simulated shortfall.">{target.simulationUnknown.message}</Notice>}<Provenance of={target.provenance} /></> : <Notice kind="degraded" title="Its target is unknown." />}
          </>
        )
      }}</Loaded>
    </Panel>
  )
}

/** The fund on the way to its target, with what the worst one and two accounts could cost it. */
function Cover({ fund, target, cover1, cover2 }: { fund: number; target: number; cover1: number; cover2: number }) {
  const end = Math.max(fund, target, cover2, 1)
  const at = (value: number): number => Math.max(0, Math.min(100, (value / end) * 100))
  const words = `Fund ${money(fund)}; worst account ${money(cover1)}, worst two ${money(cover2)}, target ${money(target)} USD`
  return (
    <div className="overview-cover" title={words}>
      <svg viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label={words}>
        <rect width="100" height="10" className="track" />
        <rect width={at(fund)} height="10" className={fund >= target ? 'fill good' : fund >= cover1 ? 'fill warn' : 'fill down'} />
        {[cover1, cover2, target].map((value, index) => <rect key={index} x={Math.min(99.4, at(value))} width={index === 2 ? 0.6 : 0.3} height="10" className="mark" />)}
      </svg>
      <small>Worst account {compact(cover1)} · worst two {compact(cover2)} · target {compact(target)} USD</small>
    </div>
  )
}

type Feed = NonNullable<OverviewOraclesQuery['oracleHealth']>['feeds'][number]
const STATUS = { OK: 'good', WARN: 'warn', FAIL: 'down' } as const

const FEEDS: readonly Column<Feed>[] = [
  { key: 'feed', head: 'Feed', value: (one) => one.symbols.join(' '), cell: (one) => <span title={one.feed}>{one.symbols.length === 0 ? <code>{short(one.feed)}</code> : one.symbols.map((symbol, index) => <span key={symbol}>{index > 0 && ' '}{/^v[A-Z]/.test(symbol) ? <Link href={`/markets/${symbol}#oracle`}>{symbol}</Link> : symbol}</span>)}</span> },
  { key: 'status', head: 'Status', value: (one) => one.status, cell: (one) => <span title={one.flags.map(({ text }) => text).join('; ') || undefined}><Tag kind={STATUS[one.status]}>{one.status === 'OK' ? 'ok' : one.status === 'WARN' ? 'warn' : 'fail'}</Tag></span> },
  { key: 'age', head: 'Age / limit', name: 'Age, s', numeric: true, value: (one) => one.ageSec, cell: (one) => (one.ageSec === null ? <Unknown why="The feed has given no price yet" /> : <span className="overview-age" title={one.lateWhy}>{whole(one.ageSec)} / {whole(one.lateSec)} <u>s</u><meter aria-label={`Age of ${one.symbols.join(' ')} against its limit`} min={0} max={Math.max(one.lateSec, one.heartbeatSec) * 1.5} low={Math.min(one.lateSec, one.heartbeatSec)} high={one.lateSec} optimum={0} value={one.ageSec} /></span>) },
  { key: 'deviation', head: 'Deviation / limit', name: 'Deviation', numeric: true, value: (one) => one.deviation, cell: (one) => (one.deviation === null ? <Unknown why="No market price to compare it with" /> : <>{signedPercent(one.deviation)} / {one.deviationLimit === null ? <Unknown why="Volatility is unknown" /> : percent(one.deviationLimit)}</>) },
  { key: 'hides', head: <span title="Move that the price’s age can hide at 3 σ">Can hide</span>, name: 'Can hide', numeric: true, value: (one) => one.stalenessLoss, cell: (one) => (one.stalenessLoss === null ? <Unknown why="Volatility is unknown" /> : percent(one.stalenessLoss)) },
]
const whole = (value: number): string => float(value, 0)

/** Each limit once, with the feeds that it holds for where there are several. */
function limitsIn(feeds: readonly Feed[]): string[] {
  const names = new Map<string, string[]>()
  for (const { symbols, feed, lateSec, lateWhy } of feeds) {
    const text = `Limit ${whole(lateSec)} s, ${lateWhy}`
    names.set(text, [...(names.get(text) ?? []), ...(symbols.length > 0 ? symbols : [short(feed)])])
  }
  return [...names].map(([text, of]) => (names.size > 1 ? `${text}: ${list(of)}` : text))
}

export function Oracles({ of }: { of: Asked<OverviewOraclesQuery> }) {
  const feeds = of.data?.oracleHealth?.feeds ?? []
  const flags = feeds.flatMap(({ symbols, flags: own, fallback, freezeReason }) => [...own.map(({ text, severity }) => ({ text: `${symbols.join(', ')}: ${text}`, severity })), ...(fallback && own.length === 0 ? [{ text: `${symbols.join(', ')} has fallen back to its other source`, severity: 'WARN' }] : []), ...(freezeReason !== 'not frozen' && own.length === 0 ? [{ text: `${symbols.join(', ')}: ${freezeReason}`, severity: 'WARN' }] : [])])
  return (
    <Panel id="oracles" title="Oracles" note="late from the limit on" actions={<CsvButton title="Oracles" columns={FEEDS} rows={feeds} />}>
      <Loaded of={of} height={191}>{({ oracleHealth }) => {
        if (!oracleHealth) return <Empty>No price feed is indexed yet.</Empty>
        return (
          <>
            <Table title="Oracles" columns={FEEDS} rows={oracleHealth.feeds} rowKey={({ feed }) => feed} tone={({ status }) => (status === 'FAIL' ? 'hot' : undefined)} empty="No price feed is indexed yet." />
            {limitsIn(oracleHealth.feeds).map((text) => <p key={text} className="overview-why">{text}.</p>)}
            {flags.map(({ text, severity }) => <Notice key={text} kind={severity === 'FAIL' ? 'down' : 'degraded'} title={text.replace(/\.?$/, '.')} />)}
            <Provenance of={oracleHealth.provenance} />
          </>
        )
      }}</Loaded>
    </Panel>
  )
}

