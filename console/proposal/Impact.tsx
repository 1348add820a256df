/** What the change does to accounts, fund and breakers, as the simulation found it. */
import { Fragment } from 'react'
import { Link } from 'wouter'
import type { ReviewFragment } from '../generated/operations.ts'
import { percent, signedPercent, time, usd, whole, words } from '../ui/format.ts'
import { Address, Empty, Facts, Notice, Panel, Sums, Unknown } from '../ui/parts.tsx'
import { CsvButton, Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'

type Found = NonNullable<ReviewFragment['impact']>
type Hit = Found['newlyLiquidatable'][number]

const NOT_KNOWN = 'A volatility is unknown at this block'
const margin = (ratio: number | null) => (ratio === null ? null : percent(ratio))

const COLUMNS: readonly Column<Hit>[] = [
  { key: 'account', head: 'Account', value: (row) => row.account, cell: (row) => <><Address of={row.account} label="Account" /> <Link className="proposal-open" href={`/accounts/${row.account}`}>open</Link></> },
  { key: 'falls', head: 'May be liquidated', value: (row) => row.falls.map(words).join(', '), cell: (row) => <>{row.falls.map(words).join(', ')}{row.afterCancelling && <small className="muted"> after cancelling its liquidity</small>}</> },
  { key: 'before', head: 'Margin before', numeric: true, value: (row) => row.before.marginRatio, cell: (row) => margin(row.before.marginRatio) },
  { key: 'after', head: 'Margin after', numeric: true, value: (row) => row.after.marginRatio, cell: (row) => margin(row.after.marginRatio) },
  { key: 'value', head: <span>Value after <u>USD</u></span>, name: 'Account value after, USD', numeric: true, value: (row) => row.after.value.value, cell: (row) => usd(row.after.value.value) },
  { key: 'requirement', head: <span>Requirement after <u>USD</u></span>, name: 'Requirement after, USD', numeric: true, value: (row) => row.after.requirement.value, cell: (row) => usd(row.after.requirement.value) },
  { key: 'gross', head: <span>Positions <u>USD</u></span>, name: 'Positions, USD', numeric: true, value: (row) => row.gross.value, cell: (row) => usd(row.gross.value) },
  { key: 'badDebt', head: <span>Bad debt now <u>USD</u></span>, name: 'Bad debt if closed now, USD', numeric: true, value: (row) => row.badDebt.value, cell: (row) => usd(row.badDebt.value) },
  { key: 'expected', head: <span>Expected <u>USD</u></span>, name: 'Expected bad debt, USD', numeric: true, value: (row) => row.expectedBadDebt?.value ?? null, cell: (row) => (row.expectedBadDebt ? usd(row.expectedBadDebt.value) : <Unknown why={NOT_KNOWN} />) },
]

const countOf = (list: unknown): number => (Array.isArray(list) ? list.length : 0)

export function ImpactPanel({ of: impact }: { of: Found }) {
  const hit = impact.newlyLiquidatable
  const differences = countOf(impact.differences)
  const { coverage, accountsValued } = impact
  const isWhole = accountsValued === impact.accountsIndexed
  return (
    <Panel id="impact" title="Affected accounts" note={`at block ${whole(impact.block)}, ${time(impact.timestamp)}`} actions={<CsvButton title="Newly liquidatable" columns={COLUMNS} rows={hit} />}>
      <Sums of={[
        ['Newly liquidatable', <span key="n" className={hit.length > 0 ? 'down' : undefined}>{whole(hit.length)}</span>, <Fragment key="of">{coverage}<br />{whole(impact.noLongerLiquidatable.length)} no longer</Fragment>],
        ['Their positions', usd(impact.gross.value), 'USD'],
        ['Bad debt if closed now', usd(impact.badDebt.value), 'USD'],
        ['Expected bad debt', impact.expectedBadDebt ? usd(impact.expectedBadDebt.value) : <Unknown why={NOT_KNOWN} />, impact.uncovered ? `USD, ${usd(impact.uncovered.value)} beyond the fund` : 'USD'],
        ['Fund', impact.fund ? usd(impact.fund.value) : <Unknown why="The fund's capacity is not known at this block" />, impact.cover === null ? 'USD' : `USD, ${impact.cover > 1000 ? 'more than 1,000' : impact.cover.toFixed(1)} times the expected bad debt`],
      ]} />
      {impact.loosening.map((each) => <Notice key={each} kind="degraded" title={`${each.replace(/\.$/, '')}.`} />)}
      {!isWhole && (
        <Notice kind="degraded" title={accountsValued === null ? 'How many accounts every figure here is of is not known: simulate again.' : `Every figure here is of ${whole(accountsValued)} accounts; what it does to ${impact.accountsIndexed - accountsValued === 1 ? 'one other' : `${whole(impact.accountsIndexed - accountsValued)} others`} is not known.`}>
          {impact.unvalued.map(({ reason, count, accounts }) => (
            <Fragment key={reason}>
              {whole(count)} {reason}:{' '}
              {accounts.map((account, index) => <Fragment key={account}>{index > 0 && ', '}<Address of={account} label="Account" /></Fragment>)}
              {count > accounts.length ? ', … ' : '. '}
            </Fragment>
          ))}
        </Notice>
      )}
      {hit.length === 0 ? <Empty>No account can be liquidated by this change that could not be before, {coverage}.</Empty> : <Table title="Newly liquidatable accounts" columns={COLUMNS} rows={hit} rowKey={({ account }) => account} few={10} />}
      {impact.nearMiss.length > 0 && (
        <>
          <h3 className="proposal-sub">If prices move before it is executed <small className="muted">accounts due, {coverage}</small></h3>
          <div className="scroll">
            <table>
              <thead><tr><th scope="col">Every index price</th><th scope="col" className="n">Due without it</th><th scope="col" className="n">Due with it</th><th scope="col" className="n">Added</th></tr></thead>
              <tbody>{impact.nearMiss.map((row) => <tr key={row.move}><th scope="row">{signedPercent(row.move)}</th><td className="n">{whole(row.without)}</td><td className="n"><b className={row.with > row.without ? 'down' : undefined}>{whole(row.with)}</b></td><td className="n" title={row.added.join(', ') || undefined}>{whole(row.added.length)}</td></tr>)}</tbody>
            </table>
          </div>
        </>
      )}
      <Facts of={[
        ['Fund target', impact.fundTargetBefore && impact.fundTargetAfter ? `${usd(impact.fundTargetBefore.value)} → ${usd(impact.fundTargetAfter.value)} USD` : <Unknown key="target" why={impact.fundGap ?? 'Unknown'} />],
        ['Accounts read', `${whole(impact.accountsRead)} of ${whole(impact.accountsIndexed)} from the contracts' own getters${impact.cut && impact.engineGap === null ? ': those nearest to liquidation; the risk engine stands for the rest' : ''}`],
        ['Second opinion', impact.engineGap ?? (differences === 0 ? `The risk engine agrees in all ${whole(impact.comparedBefore + impact.comparedAfter)} figures` : `The risk engine differs in ${differences} of ${whole(impact.comparedBefore + impact.comparedAfter)} figures`)],
        ['Couplings', impact.invariantsChecked === 0 ? 'None of the policy concerns these parameters' : impact.invariantsNewlyBroken === 0 ? `${whole(impact.invariantsChecked)} checked after every call, none broken` : `${impact.invariantsNewlyBroken} of ${impact.invariantsChecked} broken at a step`],
        ...replayFacts(impact.replays),
      ]} />
      {impact.notes.length > 0 && <details className="proposal-more"><summary>What was assumed</summary><ul>{impact.notes.map((note) => <li key={note}>{note}</li>)}</ul></details>}
    </Panel>
  )
}

type Replay = { readonly market: string; readonly trades: number; readonly unknown: number; readonly fromSec: number; readonly toSec: number; readonly before: { readonly trades: number }; readonly after: { readonly trades: number; readonly accounts: number }; readonly note: string }
const isReplay = (each: unknown): each is Replay => typeof each === 'object' && each !== null && 'market' in each && 'before' in each && 'after' in each

/** What a narrower band or tick cap would have refused in the last days. */
const replayFacts = (replays: unknown): (readonly [string, string])[] =>
  (Array.isArray(replays) ? replays.filter(isReplay) : []).map(({ market, trades, unknown, fromSec, toSec, before, after, note }) => [
    `Replay, ${market}`,
    `Of ${whole(trades)} trades from ${time(fromSec)} to ${time(toSec)} the new setting would have refused ${whole(after.trades)}${after.accounts > 0 ? ` (${whole(after.accounts)} accounts)` : ''}, the old one ${whole(before.trades)}${unknown > 0 ? `; of ${whole(unknown)} nobody can say` : ''}. ${note.charAt(0).toUpperCase()}${note.slice(1).replace(/\.?$/, '.')}`,
  ])
