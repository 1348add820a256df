import { useState } from 'react'
import type { ReactNode } from 'react'
import { useFeed, useNow } from './api.ts'
import type { Account, Feed, InsuranceFund, Market, Page, Proposal, Recommendation } from './api.ts'
import { age, decimal, percent, price, short, signedPercent, size, time, usd, whole, words } from './format.ts'
import { Copyable, Figure, Notice, Panel, Row, Table, Tag } from './parts.tsx'

export function App() {
  const feed = useFeed()
  const now = useNow()
  return (
    <>
      <a className="skip" href="#main">Skip to the figures</a>
      <StatusBar feed={feed} now={now} />
      <main id="main">
        <Trouble feed={feed} />
        {feed.page ? <Figures page={feed.page} /> : <FirstLoad feed={feed} />}
      </main>
      <footer>
        <span>Amounts in USD unless a unit is given. Ages in chain time. “—” is unknown, never zero.</span>
        <a href="/graphql">Query the API</a>
      </footer>
    </>
  )
}

/** What the figures stand on. It stays on the screen whatever else happens. */
function StatusBar({ feed, now }: { feed: Feed; now: number }) {
  const { status } = feed
  const sinceSec = status ? Math.max(0, (now - feed.statusAtMs) / 1000) : 0
  const apiHealth = feed.statusError ? 'DOWN' : status?.health
  return (
    <header className="bar">
      <strong className="brand">Bulwark</strong>
      <span className="pill" title={status ? `Chain id ${status.chainId}` : undefined}>{status?.network ?? '…'}</span>
      <dl className="standing">
        <div>
          <dt>Block</dt>
          <dd>{status?.indexed ? <Copyable text={status.indexed.hash} label={`Hash of block ${status.indexed.number}`}>{whole(status.indexed.number)}</Copyable> : '—'}</dd>
        </div>
        <div>
          <dt>Age</dt>
          <dd>{status?.ageSec == null ? '—' : age(status.ageSec + (feed.statusError ? sinceSec : 0))}</dd>
        </div>
        <div className="wide">
          <dt>Block time</dt>
          <dd>{status?.indexed ? <time dateTime={new Date(Number(status.indexed.timestamp) * 1000).toISOString()}>{time(status.indexed.timestamp)}</time> : '—'}</dd>
        </div>
      </dl>
      <details className="health">
        <summary aria-label={`Health: ${apiHealth ? words(apiHealth) : 'not known yet'}. Parts`}>
          {status ? status.parts.map((part) => <Health key={part.name} name={part.name} health={part.name === 'api' && feed.statusError ? 'DOWN' : part.health} stale={feed.statusError !== null} />) : <Health name="api" health={feed.statusError ? 'DOWN' : undefined} />}
        </summary>
        <ul>
          {status?.parts.map((part) => <li key={part.name}><Health name={part.name} health={part.health} /> <span>{part.detail}</span></li>)}
        </ul>
      </details>
    </header>
  )
}

const MARK = { UP: '●', DEGRADED: '▲', DOWN: '■' } as const

function Health({ name, health, stale = false }: { name: string; health: keyof typeof MARK | undefined; stale?: boolean }) {
  return (
    <span className={`part ${health?.toLowerCase() ?? 'unknown'}${stale ? ' stale' : ''}`} title={`${name}: ${health ? words(health) : 'not known yet'}`}>
      <i aria-hidden="true">{health ? MARK[health] : '○'}</i>
      {name}
      <span className="sr">{health ? ` ${words(health)}` : ' not known yet'}</span>
    </span>
  )
}

/** What is wrong and what to do, while the last good figures stay below. */
function Trouble({ feed }: { feed: Feed }) {
  const { status } = feed
  const parts = status && !feed.statusError ? status.parts.filter((part) => part.health !== 'UP') : []
  return (
    <div aria-live="polite">
      {feed.statusError && (
        <Notice kind="down" title={`${feed.statusError}.`}>
          {feed.page && status ? `The figures below stand at block ${status.indexed ? whole(status.indexed.number) : '—'} and came at ${time(feed.statusAtMs / 1000)}. ` : ''}
          If you run Bulwark on this machine, see whether <code>npm start</code> is still running. This page asks again every few seconds and goes on by itself.
        </Notice>
      )}
      {parts.length > 0 && (
        <ul className={`notice ${parts.some((part) => part.health === 'DOWN') ? 'down' : 'degraded'}`}>
          {parts.map((part) => <li key={part.name}><b>{part.name} is {words(part.health)}.</b> {part.detail}</li>)}
        </ul>
      )}
      {!feed.statusError && feed.pageError && <Notice kind="degraded" title="The figures could not be renewed.">{feed.pageError}{feed.page ? ' The ones below are the last that came.' : ''}</Notice>}
    </div>
  )
}

function FirstLoad({ feed }: { feed: Feed }) {
  if (feed.statusError || feed.pageError) return <p className="empty">No figures yet. They appear here as soon as the API answers.</p>
  return <p className="empty" role="status">Asking the API for the first figures …</p>
}

function Figures({ page }: { page: Page }) {
  return (
    <>
      <Summary page={page} />
      <div className="desk">
        <div>
          <Markets markets={page.markets} />
          <Accounts accounts={page.accounts.nodes} total={page.accounts.totalCount} />
          <Fund fund={page.insuranceFund} />
        </div>
        <div>
          <Recommendations all={page.recommendations} />
          <Proposals proposals={page.proposals.nodes} total={page.proposals.totalCount} />
        </div>
      </div>
    </>
  )
}

/** The protocol in one line, and on a narrow screen the way to each part of the page. */
function Summary({ page: { protocol } }: { page: Page }) {
  return (
    <div className="summary">
      {protocol && (
        <p>
          <b>{protocol.name}</b> {whole(protocol.marketCount)} markets · {whole(protocol.accountCount)} accounts · {whole(protocol.openPositionCount)} open positions · {whole(protocol.liquidationCount)} liquidations
          {protocol.safe && <> · Safe <Copyable text={protocol.safe.address} label="Safe">{short(protocol.safe.address)}</Copyable>, {protocol.safe.threshold} of {protocol.safe.owners.length}</>}
        </p>
      )}
      <nav aria-label="Parts of this page">
        <a href="#markets">Markets</a><a href="#accounts">Accounts</a><a href="#fund">Fund</a><a href="#recommendations">Recommendations</a><a href="#proposals">Proposals</a>
      </nav>
    </div>
  )
}

function Markets({ markets }: { markets: readonly Market[] }) {
  return (
    <Panel id="markets" title="Markets" note={markets.length ? `${markets.length}` : undefined}>
      {markets.length === 0 ? <p className="empty">No market is indexed yet. The first appears when graph-node has read the block that added it: see Block in the bar above.</p> : (
        <Table label="Markets" head={['Market', 'Index, USD', 'Mark, USD', 'Premium', 'Long OI', 'Short OI', 'Liquidated, USD', 'Oracle age']} numeric={[1, 2, 3, 4, 5, 6, 7]}>
          {markets.map((market) => {
            const unit = market.symbol.replace(/^v/, '')
            return (
              <Row key={market.id} cells={[
                ['Market', <><Copyable text={market.id} label={`Address of ${market.symbol}`}><b>{market.symbol}</b></Copyable>{market.state !== 'OPEN' && <Tag kind="down">{words(market.state)}</Tag>}</>],
                ['Index, USD', market.indexPrice && <Figure exact={market.indexPrice.value} unit="USD">{price(market.indexPrice.value)}</Figure>],
                ['Mark, USD', market.markPrice ? <Figure exact={market.markPrice.value} unit="USD">{price(market.markPrice.value)}</Figure> : null],
                ['Premium', market.premium !== null && <Figure exact={String(market.premium)} unit="of index, pool price">{signedPercent(market.premium)}</Figure>],
                ['Long OI', <Figure exact={market.openInterestLong.value} unit={unit}>{size(market.openInterestLong.value)} <u>{unit}</u></Figure>],
                ['Short OI', <Figure exact={market.openInterestShort.value} unit={unit}>{size(market.openInterestShort.value)} <u>{unit}</u></Figure>],
                ['Liquidated, USD', <Figure exact={market.liquidatedNotional.value} unit={`USD in ${market.liquidationCount} liquidations`}>{decimal(market.liquidatedNotional.value, 0)} <u>in {whole(market.liquidationCount)}</u></Figure>],
                ['Oracle age', <OracleState market={market} />],
              ]} />
            )
          })}
        </Table>
      )}
    </Panel>
  )
}

function OracleState({ market }: { market: Market }) {
  if (market.oracleFallback) return <Tag kind="down">fell back</Tag>
  if (market.oracleFreezeReason) return <Tag kind="down">frozen ({market.oracleFreezeReason})</Tag>
  return market.oracleAgeSec === null ? null : <span title={`The price is ${market.oracleAgeSec} s older than the block`}>{age(market.oracleAgeSec)}</span>
}

/** Nearest to liquidation first; a bar shows how much of the way is left, full at 10 %. A narrow screen shows eight until asked for all. */
function Accounts({ accounts, total }: { accounts: readonly Account[]; total: number }) {
  const [all, setAll] = useState(false)
  const exposed = accounts.filter((account) => account.positions.length > 0 || account.ranges.length > 0)
  return (
    <Panel id="accounts" title="Most endangered accounts" note={exposed.length ? `${exposed.length} of ${whole(total)}` : undefined}>
      {exposed.length === 0 ? <p className="empty">No account holds a position at this block.</p> : (
        <div className={all ? undefined : 'few'}>
        <Table label="Most endangered accounts" head={['Account', 'Margin ratio', 'Distance', 'Value, USD', 'Maintenance, USD', 'Positions']} numeric={[1, 2, 3, 4]}>
          {exposed.map((account) => {
            const { margin } = account
            return (
              <Row key={account.id} tone={margin?.liquidatable ? 'hot' : undefined} cells={[
                ['Account', <><Copyable text={account.id} label="Address">{short(account.id)}</Copyable>{margin?.liquidatable && <Tag kind="down">liquidatable</Tag>}</>],
                ['Margin ratio', margin?.marginRatio != null && <Figure exact={String(margin.marginRatio)} unit="account value / position value">{bound(margin.exactness)}{percent(margin.marginRatio)}</Figure>],
                ['Distance', margin?.distanceToLiquidation != null && <Distance value={margin.distanceToLiquidation} />],
                ['Value, USD', margin && <Figure exact={margin.accountValue.value} unit="USD" note={margin.missing.length ? `without ${margin.missing.join(', ')}` : undefined}>{bound(margin.exactness)}{usd(margin.accountValue.value)}</Figure>],
                ['Maintenance, USD', margin && <Figure exact={margin.maintenanceMargin.value} unit="USD">{usd(margin.maintenanceMargin.value)}</Figure>],
                ['Positions', <Positions positions={account.positions} />],
              ]} />
            )
          })}
        </Table>
        {exposed.length > 8 && !all && <button type="button" className="all" onClick={() => setAll(true)}>Show all {exposed.length}</button>}
        </div>
      )}
    </Panel>
  )
}

const bound = (exactness: 'EXACT' | 'LOWER_BOUND') => (exactness === 'LOWER_BOUND' ? <abbr title="At least: something that can only add is left out">≥ </abbr> : null)

function Distance({ value }: { value: number }) {
  const left = Math.max(0, Math.min(1, value / 0.1))
  return (
    <span className="distance" title={`Prices may move about ${percent(value)} against it before it can be liquidated`}>
      <meter min={0} max={1} low={0.25} high={0.5} optimum={1} value={left} aria-label="Distance to liquidation">{percent(value)}</meter>
      {percent(value)}
    </span>
  )
}

function Positions({ positions }: { positions: Account['positions'] }) {
  return (
    <span className="positions">
      {positions.map((position) => {
        const short = position.size.value.startsWith('-')
        const unit = position.market.symbol.replace(/^v/, '')
        return (
          <span key={position.id} title={`${position.size.value} ${unit}${position.liquidationPrice ? `, liquidatable at ${position.liquidationPrice.value} USD` : ''}`}>
            {short ? 'short' : 'long'} {size(position.size.value.replace('-', ''))} {unit}
            {position.liquidationPrice && <em> liq. {price(position.liquidationPrice.value)}</em>}
          </span>
        )
      })}
    </span>
  )
}

function Recommendations({ all }: { all: readonly Recommendation[] }) {
  const act = all.filter((one) => one.direction !== 'HOLD')
  const hold = all.filter((one) => one.direction === 'HOLD')
  return (
    <Panel id="recommendations" title="Recommendations" note={all.length ? `${act.length} to change, ${hold.length} to hold` : undefined}>
      {all.length === 0 && <p className="empty">No run has finished yet. The first follows the first indexed block; “recommendations” in the bar above says how it stands.</p>}
      {all.length > 0 && act.length === 0 && <p className="empty">Nothing to change now; each card below says why.</p>}
      <ul className="cards">{act.map((one) => <RecommendationCard key={one.id} one={one} />)}</ul>
      {hold.length > 0 && (
        <details className="more">
          <summary>{hold.length} to hold</summary>
          <ul className="cards">{hold.map((one) => <RecommendationCard key={one.id} one={one} />)}</ul>
        </details>
      )}
    </Panel>
  )
}

const DIRECTION = { TIGHTEN: ['▼', 'tighten'], LOOSEN: ['▲', 'loosen'], HOLD: ['=', 'hold'] } as const

function RecommendationCard({ one }: { one: Recommendation }) {
  const [mark, word] = DIRECTION[one.direction]
  return (
    <li>
      <details className={`card ${one.direction.toLowerCase()}`}>
        <summary>
          <span className="urgency" title={`Urgency ${one.urgency} of 100`}><b>{one.urgency}</b><span className="sr"> of 100 urgent</span><meter min={0} max={100} low={34} high={67} optimum={0} value={one.urgency} aria-hidden="true" /></span>
          <span className="what"><b>{one.subjectLabel}</b> {one.title}{!one.settable && <Tag kind="quiet">advisory</Tag>}</span>
          <span className="change"><span>{one.currentDisplay}</span> → <b>{one.recommendedDisplay}</b></span>
          <span className={`direction ${word}`}><i aria-hidden="true">{mark}</i> {word}</span>
          <span className="why">{one.reason}</span>
        </summary>
        {one.advisory && <p className="advisory">{one.advisory}</p>}
        <h4>Evidence</h4>
        <dl className="evidence">
          {one.evidence.map((item, index) => <div key={index}><dt>{item.label}</dt><dd title={`${item.value} ${item.unit}`}>{evidenceValue(item.value)} <u>{item.unit}</u></dd><dd className="source">{item.source}</dd></div>)}
        </dl>
        {one.adjustments.length > 0 && <>
          <h4>From the model to the recommendation</h4>
          <ol className="steps">{one.adjustments.map((step, index) => <li key={index}><b>{step.step}</b> {step.from} → {step.to}: {step.why}</li>)}</ol>
        </>}
        <p className="origin">
          Confidence {percent(one.confidence, 0)} · {one.model} {one.modelVersion} · block {whole(one.block.number)}, {time(one.block.timestamp)} · inputs <Copyable text={one.inputsDigest} label="Digest of the inputs">{short(one.inputsDigest)}</Copyable>
        </p>
      </details>
    </li>
  )
}

/** Evidence is text; a long plain number is cut to six figures, the rest stays in the title. */
const evidenceValue = (value: string): string => (/^-?\d+\.\d{5,}$/.test(value) ? Number(Number(value).toPrecision(6)).toString().replace('-', '−') : value)

const PATH = ['DRAFT', 'SIMULATED', 'AWAITING_SIGNATURES', 'READY', 'EXECUTED', 'APPLIED'] as const
/** How far along the path a state is: one in the timelock is between ready and executed; one that left the path is nowhere on it. */
const reached = (state: Proposal['state']): number => (PATH as readonly string[]).indexOf(state === 'QUEUED' ? 'READY' : state)

function Proposals({ proposals, total }: { proposals: readonly Proposal[]; total: number }) {
  return (
    <Panel id="proposals" title="Proposals" note={total ? `${whole(total)}` : undefined}>
      {proposals.length === 0 && <p className="empty">No proposal yet. Draft one from a recommendation with <code>npm run bulwark -- proposal draft</code>, or run <code>npm run demo</code> to see one go all the way.</p>}
      <ul className="cards">
        {proposals.map((one) => (
          <li key={one.id}>
            <details className="card proposal">
              <summary>
                <span className={`state ${one.state.toLowerCase()}`}>{words(one.state)}</span>
                <span className="what"><b>{one.title}</b></span>
                <span className="signed">{one.cancellation && one.state === 'CANCELLING' ? `cancellation: ${one.cancellation.signatures.length} of ${one.threshold} signed` : `${one.signatures.length} of ${one.threshold} signed`}</span>
                <span className="path" aria-hidden="true">{PATH.map((state) => <i key={state} className={PATH.indexOf(state) <= reached(one.state) ? 'done' : ''} title={words(state)} />)}</span>
                <span className="why">
                  {one.changes.map((change) => <span key={`${change.parameter}${change.subject}`}>{change.subjectLabel} {change.title}: {change.fromDisplay} → <b>{change.toDisplay}</b></span>)}
                  {one.stateReason && <span>{one.stateReason}</span>}
                </span>
              </summary>
              <dl className="facts">
                <Fact name="Proposal" value={one.id} />
                <Fact name="Safe transaction hash" value={one.safeTxHash} />
                <Fact name="Domain hash" value={one.domainHash} />
                <Fact name="Message hash" value={one.messageHash} />
                {one.executionTxHash && <Fact name="Execution" value={one.executionTxHash} />}
                <Plain name="Safe nonce">{whole(one.nonce)}</Plain>
                <Plain name="Drafted">block {whole(one.draftedAt.number)}, {time(one.draftedAt.timestamp)}</Plain>
                <Plain name="Valid until">{time(one.validUntil)}</Plain>
                <Plain name="Simulation">{one.simulation === null ? 'not simulated yet' : one.simulation.success ? `succeeded at block ${whole(one.simulation.block)}${one.simulation.gasUsed ? `, ${whole(one.simulation.gasUsed)} gas` : ''}` : `failed: ${one.simulation.failure ?? 'no reason given'}`}</Plain>
                <Plain name="Signed by">{one.signatures.length ? one.signatures.map((signature) => <Copyable key={signature.signer} text={signature.signer} label="Signer">{short(signature.signer)}</Copyable>) : 'nobody yet'}</Plain>
                {one.queue && <Plain name="Timelock">{words(one.queue.status)}{one.queue.readyAt && `, can be executed from ${time(one.queue.readyAt)}`}</Plain>}
                {one.cancellation && <Fact name="Cancelled by" value={one.cancellation.safeTxHash} />}
                {one.executedAtBlock && <Plain name="Executed">block {whole(one.executedAtBlock)}</Plain>}
                {one.appliedAtBlock && <Plain name="Applied">block {whole(one.appliedAtBlock)}: the index has seen the change</Plain>}
              </dl>
            </details>
          </li>
        ))}
      </ul>
    </Panel>
  )
}

const Plain = ({ name, children }: { name: string; children: ReactNode }) => <div><dt>{name}</dt><dd>{children}</dd></div>
const Fact = ({ name, value }: { name: string; value: string }) => <div><dt>{name}</dt><dd className="hash"><Copyable text={value} label={name}>{value}</Copyable></dd></div>

function Fund({ fund }: { fund: InsuranceFund | null }) {
  return (
    <Panel id="fund" title="Insurance fund">
      {fund === null ? <p className="empty">The fund has not been seen yet. It appears with its first flow.</p> : <>
        <dl className="sums">
          <Sum name="Capacity" value={fund.capacity.value} strong />
          <Sum name="Wallet" value={fund.wallet.value} />
          <Sum name="Vault" value={fund.vault.value} />
          <Sum name="Paid in" value={fund.inflow.value} />
          <Sum name="Paid out" value={fund.outflow.value} />
          <Sum name="Bad debt taken" value={fund.badDebt.value} />
        </dl>
        {fund.flows.nodes.length > 0 && (
          <Table label="Latest flows of the insurance fund" head={['Latest flows', 'Amount, USD', 'Balance after, USD', 'When']} numeric={[1, 2, 3]}>
            {fund.flows.nodes.map((flow) => (
              <Row key={flow.id} cells={[
                ['Flow', <Copyable text={flow.transactionHash} label="Transaction">{words(flow.kind)}</Copyable>],
                ['Amount, USD', <Figure exact={flow.amount.value} unit="USD">{flow.amount.value.startsWith('-') ? '' : '+'}{usd(flow.amount.value)}</Figure>],
                ['Balance after, USD', <Figure exact={flow.balanceAfter.value} unit="USD">{usd(flow.balanceAfter.value)}</Figure>],
                ['When', <time dateTime={new Date(Number(flow.timestamp) * 1000).toISOString()}>{time(flow.timestamp)}</time>],
              ]} />
            ))}
          </Table>
        )}
      </>}
    </Panel>
  )
}

const Sum = ({ name, value, strong = false }: { name: string; value: string; strong?: boolean }) => (
  <div className={strong ? 'strong' : undefined}><dt>{name}</dt><dd title={`${value} USD`}>{usd(value)} <u>USD</u></dd></div>
)

