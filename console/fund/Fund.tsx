/** The insurance fund: what it holds, what it should hold and why, what a fee would do, what it may lose, and every flow. */
import { useCallback } from 'react'
import { useSearchParams } from 'wouter'
import { useAnswer } from '../data/client.ts'
import { FundHaircutsDocument, FundNowDocument, FundRunDocument } from '../generated/operations.ts'
import type { HaircutFragment } from '../generated/operations.ts'
import { CsvButton, Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { float, percent, usd, whole } from '../ui/format.ts'
import { Address, Empty, Figure, Hint, Loaded, PageHead, Panel, Provenance, Sums, Tag, Unknown } from '../ui/parts.tsx'
import { Balance } from './Balance.tsx'
import { Flows } from './Flows.tsx'
import { Simulations } from './Simulations.tsx'
import { Target, useTarget, useWhatIf } from './Target.tsx'
import './fund.css'

export default function Fund() {
  const [params, setParams] = useSearchParams()
  const put = useCallback((changes: Readonly<Record<string, string | null>>) => {
    setParams((before) => {
      const next = new URLSearchParams(before)
      for (const [key, value] of Object.entries(changes)) if (value === null) next.delete(key)
        else next.set(key, value)
      return next
    }, { replace: true })
  }, [setParams])
  const now = useAnswer(FundNowDocument, {}, 'block')
  const runId = params.get('run')
  const run = useAnswer(FundRunDocument, { id: runId ?? '' }, 'event', runId !== null).data?.riskRun
  const of = useTarget()
  const target = of.data && (of.data.insuranceFund?.target ?? null)
  // A what-if stands on a run that was chosen as soon as it is done, on the policy's own until then.
  const whatIf = useWhatIf(params, put, run?.id === runId && run?.state === 'DONE' && run.kind === 'FUND' ? runId : null)
  return (
    <>
      <PageHead title="Insurance fund" note="Pays what accounts leave behind" />
      <div className="stack">
        <Panel id="now" title="Now" note={now.data?.status.indexed ? `from its own events, block ${whole(now.data.status.indexed.number)}` : 'from its own events'}>
          <Loaded of={now} height={79}>
            {({ insuranceFund: fund }) => fund === null ? <Empty>The index holds no fund yet: it appears with the first indexed block.</Empty> : (
              <Sums of={[
                ['Holds', <Figure exact={fund.capacity.value} unit="USD">{usd(fund.capacity.value)}</Figure>, 'wallet and vault'],
                ['Wallet', <Figure exact={fund.wallet.value} unit="USD">{usd(fund.wallet.value)}</Figure>, 'settlement tokens'],
                ['Vault', <Figure exact={fund.vault.value} unit="USD">{usd(fund.vault.value)}</Figure>, 'its own account, signed'],
                ['In, ever', <Figure exact={fund.inflow.value} unit="USD">{usd(fund.inflow.value)}</Figure>, 'fees, penalties, transfers'],
                ['Out, ever', <Figure exact={fund.outflow.value} unit="USD">{usd(fund.outflow.value)}</Figure>, 'with bad debt'],
                ['Bad debt, ever', <Figure exact={fund.badDebt.value} unit="USD">{usd(fund.badDebt.value)}</Figure>, 'taken over'],
              ]} />
            )}
          </Loaded>
        </Panel>
        <Target of={of} whatIf={whatIf} />
        <Balance target={target ?? null} hourly={params.get('by') === 'hour'} setHourly={(hourly) => put({ by: hourly ? 'hour' : null })} />
        <Simulations target={target} whatIf={whatIf.simulation} runId={runId} put={put} />
        <Flows params={params} put={put} />
        <Collateral />
      </div>
    </>
  )
}

function Collateral() {
  const haircuts = useAnswer(FundHaircutsDocument, {}, 'minute')
  const rows = haircuts.data?.collateralHaircuts?.collaterals ?? []
  return (
    <Panel id="collateral" title="Collateral behind the accounts" note="what a liquidation of it can be counted on to bring" actions={<CsvButton title="Collateral haircuts" columns={COLLATERAL} rows={rows} />}>
      <Loaded of={haircuts} height={140}>
        {({ collateralHaircuts: of }) => of === null ? <Empty>Nothing is indexed yet: it appears with the first indexed block.</Empty> : (
          <>
            <Table title="Collateral" columns={COLLATERAL} rows={of.collaterals} rowKey={({ asset }) => asset.id} empty="The protocol takes no collateral beside its settlement token." tone={({ collateralRatio, currentRatio }) => (collateralRatio !== null && currentRatio !== null && collateralRatio < currentRatio ? 'hot' : undefined)} />
            <ul className="fund-words">
              {of.collaterals.flatMap(({ asset, warnings }) => warnings.map((text) => <li key={`${asset.id} ${text}`}><Tag kind="warn">concentrated</Tag> {text}.</li>))}
              <li className="muted">Assumed: {of.assumptions.join('; ')}.</li>
            </ul>
            <Provenance of={of.provenance} />
          </>
        )}
      </Loaded>
    </Panel>
  )
}

const COLLATERAL: readonly Column<HaircutFragment>[] = [
  { key: 'asset', head: 'Token', value: ({ asset }) => asset.symbol },
  { key: 'held', head: 'Held', name: 'Held, USD', numeric: true, value: ({ held }) => held, cell: ({ held }) => <Figure exact={String(held)} unit="USD">{float(held)}</Figure> },
  { key: 'now', head: 'Counted now', name: 'Counted now, fraction', numeric: true, value: ({ currentRatio }) => currentRatio, cell: ({ currentRatio }) => (currentRatio === null ? <Unknown why="Its collateral ratio is not indexed" /> : percent(currentRatio)) },
  { key: 'should', head: 'Should count', name: 'Should count, fraction', numeric: true, value: ({ collateralRatio }) => collateralRatio, cell: ({ collateralRatio, unknown }) => (collateralRatio === null ? <Unknown why={unknown?.message} /> : percent(collateralRatio)) },
  {
    key: 'haircut', head: 'Haircut', name: 'Haircut, fraction', numeric: true, value: ({ haircut }) => haircut,
    cell: ({ haircut, components, floored, unknown }) => haircut === null ? <Unknown why={unknown?.message} /> : <Hint text={<>{components.map(({ name, value }) => `${name} ${percent(value)}`).join(' + ')}{floored && '; the floor is higher and stands'}</>}>{percent(haircut)}</Hint>,
  },
  { key: 'holders', head: 'Holders', numeric: true, value: ({ holders }) => holders, cell: ({ holders }) => whole(holders) },
  { key: 'top', head: 'Largest holder', name: 'Largest holder', value: ({ topHolder }) => topHolder, cell: ({ topHolder, topHolderShare }) => (topHolder === null ? <Unknown why="Nobody holds it" /> : <><Address of={topHolder} /> {percent(topHolderShare, 1)}</>) },
  { key: 'cap', head: 'Take at most', name: 'Take at most, tokens', numeric: true, value: ({ depositCap }) => depositCap, cell: ({ depositCap, depositCapWhy, asset, unknown }) => (depositCap === null ? <Unknown why={unknown?.message ?? 'No price to measure it by'} /> : <Hint text={depositCapWhy ?? ''}>{float(depositCap, 1)} <u>{asset.symbol}</u></Hint>) },
]
