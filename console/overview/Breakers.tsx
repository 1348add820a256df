/** Each breaker, what asks of it, and what it asks of people. */
import { Link } from 'wouter'
import type { Asked } from '../data/client.ts'
import type { BreakerNowFragment, OverviewBreakersQuery } from '../generated/operations.ts'
import { LEVELS, LevelTag, TRIGGERS, severityOf } from '../ui/breakers.tsx'
import { age, float, percent, words } from '../ui/format.ts'
import { Empty, Hint, Loaded, Panel, Provenance, Time } from '../ui/parts.tsx'
import { CsvButton, Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { boardOf } from './safety.ts'

type Breaker = BreakerNowFragment
type Trigger = Breaker['triggers'][number]

const KIND = { NORMAL: 'good', WATCH: 'warn', RESTRICT: 'down', HALT: 'down' } as const

const SHARES = ['fundDrawdown', 'utilisation']
const amount = (name: string, value: number): string => (SHARES.includes(name) ? percent(value, 1) : value > 100 ? '> 100' : `${float(value, 2)}×`)
/** Beside its bar; the head says the unit. */
const limits = ({ name, watch, restrict, halt, exitFactor }: Trigger): string => `${[['WATCH', watch], ['RESTRICT', restrict], ['HALT', halt]].flatMap(([level, at]) => (typeof at === 'number' ? [`${level} from ${amount(name, at)}`] : [])).join(', ')}; left below ${percent(exitFactor, 0)} of that`

/** Value against its three thresholds: the bar ends at HALT. */
function Gauge({ of }: { of: Trigger }) {
  const { name, state, why, value, level, watch, restrict, halt } = of
  if (state === 'NOT_APPLICABLE') return <span className="unknown" title={why ?? undefined}><span aria-hidden="true">·</span><span className="sr">does not apply: {why}</span></span>
  if (state === 'UNKNOWN' || value === null) return <Hint text={why ?? 'Not measured at this block'}><span className="overview-blind">unknown{level !== 'NORMAL' && `, held at ${level}`}</span></Hint>
  const end = halt ?? restrict ?? watch ?? 1
  const share = (at: number): number => Math.min(100, (at / end) * 100)
  return (
    <span className={`overview-gauge ${KIND[level]}`} title={`${amount(name, value)}: ${limits(of)}`}>
      {amount(name, value)}{level !== 'NORMAL' && <span className="sr"> asks for {level}</span>}
      <svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
        <rect width="100" height="6" className="track" />
        <rect width={share(value)} height="6" className="fill" />
        {[watch, restrict].map((at, index) => at !== null && <rect key={index} x={share(at) - 0.75} width="1.5" height="6" className="mark" />)}
      </svg>
    </span>
  )
}

const NAME_OF = (breaker: Breaker): string => (breaker.label === 'protocol' ? 'Protocol' : breaker.label)

function columns(nowSec: number, board: readonly Breaker[]): Column<Breaker>[] {
  const used = (board[0]?.triggers ?? []).map(({ name }) => name).filter((name) => board.some(({ triggers }) => triggers.some((one) => one.name === name && one.state !== 'NOT_APPLICABLE')))
  const triggerOf = (breaker: Breaker, name: string) => breaker.triggers.find((one) => one.name === name)
  return [
    { key: 'label', head: 'Breaker', value: NAME_OF, cell: (one) => <Link href={`/breakers#breaker-${one.label}`}>{NAME_OF(one)}</Link> },
    { key: 'effective', head: 'Level', value: (one) => severityOf(one.effective), cell: (one) => <><LevelTag level={one.effective} />{one.level !== one.effective && <small className="muted"> own {one.level}</small>}</> },
    { key: 'since', head: 'Since', numeric: true, value: (one) => (one.since === '0' ? null : nowSec - Number(one.since)), cell: (one) => (one.since === '0' ? <span className="muted" title="It has never stood elsewhere">start</span> : <Time at={one.since}>{age(nowSec - Number(one.since))}</Time>) },
    ...used.map((name): Column<Breaker> => {
      const title = TRIGGERS[name]?.title ?? name
      return { key: name, head: <span title={TRIGGERS[name]?.what}>{title}</span>, name: title, numeric: true, value: (one) => triggerOf(one, name)?.value, cell: (one) => { const trigger = triggerOf(one, name); return trigger ? <Gauge of={trigger} /> : null } }
    }),
  ]
}

/** What a raised breaker asks for, and of whom. */
function Raised({ of, nowSec }: { of: Breaker; nowSec: number }) {
  const { label, level, effective, triggers, asks, latched, quietSince, since } = of
  const asking = triggers.filter((one) => one.level !== 'NORMAL')
  return (
    <li>
      <p><b>{NAME_OF(of)}</b> <LevelTag level={effective} /> {since !== '0' && <>since <Time at={since} />. </>}
        {asking.length > 0 ? asking.map((one) => `${TRIGGERS[one.name]?.what ?? one.name} is ${one.value === null ? 'unknown since it passed its limit' : amount(one.name, one.value)} (${limits(one)})`).join('; ') : level === 'NORMAL' ? 'It follows the protocol’s own breaker' : `Nothing asks for it now${quietSince ? `, quiet for ${age(nowSec - Number(quietSince))}` : ''}; it falls by one level after each quiet time`}.</p>
      {asks.length > 0 && <p>It asks to {asks.map(({ action, why }, index) => <span key={action}>{index > 0 && ', '}<Hint text={why}>{words(action.replaceAll('-', ' '))}</Hint></span>)}: <Link href={`/breakers#breaker-${label}`}>the prepared changes</Link>. None of it stops liquidations.</p>}
      {latched && <p className="down"><b>HALT is latched.</b> It stays until a steward or an owner of the Safe has found the cause gone and lifts it: <Link href={`/breakers#breaker-${label}`}>lift it</Link>.</p>}
    </li>
  )
}

export function Breakers({ of }: { of: Asked<OverviewBreakersQuery> }) {
  const board = of.data?.circuitBreakers ? boardOf(of.data.circuitBreakers) : []
  const nowSec = Number(of.data?.circuitBreakers?.provenance.block.timestamp ?? 0)
  const shown = columns(nowSec, board)
  return (
    <Panel id="breakers" title={<Link href="/breakers">Circuit breakers</Link>} note={`Value against ${LEVELS.slice(1).join(', ')}; the bar ends at HALT`} actions={<CsvButton title="Circuit breakers" columns={shown} rows={board} />}>
      <Loaded of={of} height={208}>{({ circuitBreakers }) => {
        if (!circuitBreakers) return <Empty>No breaker has been observed yet. The first observation follows the first indexed block; the header’s health says how far that is.</Empty>
        const raised = board.filter(({ effective }) => effective !== 'NORMAL').toSorted((a, b) => severityOf(b.effective) - severityOf(a.effective))
        return (
          <>
            <Table title="Circuit breakers" columns={shown} rows={board} rowKey={({ subject }) => subject} tone={({ effective }) => (severityOf(effective) >= 2 ? 'hot' : undefined)} />
            {raised.length > 0 && <ul className="overview-raised">{raised.map((one) => <Raised key={one.subject} of={one} nowSec={nowSec} />)}</ul>}
            <Provenance of={circuitBreakers.provenance} />
          </>
        )
      }}</Loaded>
    </Panel>
  )
}

