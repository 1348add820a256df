/** Every change of the fund, newest first, a page at a time. */
import { useState } from 'react'
import { Link } from 'wouter'
import { useAnswer } from '../data/client.ts'
import { FundFlowsDocument } from '../generated/operations.ts'
import type { FlowFragment, FundFlowKind } from '../generated/operations.ts'
import { CsvButton, Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { ActButton } from '../ui/focus.tsx'
import { decimal, time, usd, whole } from '../ui/format.ts'
import { Address, Figure, Loaded, Panel, Time } from '../ui/parts.tsx'

const PAGE = 25

const SAYS: Readonly<Record<FundFlowKind, string>> = {
  TRADING_FEE: 'Share of a trading fee',
  LIQUIDATION_PENALTY: 'Share of a liquidation penalty',
  COLLATERAL_LIQUIDATION_FEE: 'Fee of a collateral sale',
  BAD_DEBT: 'Bad debt taken over',
  REPAID: 'Its vault debt repaid from its wallet',
  DISTRIBUTED: 'Surplus paid out',
  TRANSFER_IN: 'Tokens received',
  TRANSFER_OUT: 'Tokens sent',
}
const KINDS = Object.keys(SAYS) as readonly FundFlowKind[]

const COLUMNS: readonly Column<FlowFragment>[] = [
  { key: 'time', head: 'Time', name: 'Time, UTC', value: ({ timestamp }) => time(timestamp), cell: ({ timestamp }) => <Time at={timestamp} /> },
  { key: 'block', head: 'Block', numeric: true, value: ({ block }) => block, cell: ({ block }) => whole(block) },
  { key: 'kind', head: 'What', value: ({ kind }) => SAYS[kind] },
  { key: 'amount', head: 'Amount', name: 'Amount, USD', numeric: true, value: ({ amount }) => amount.value, cell: ({ kind, amount: { value } }) => <span className={value.startsWith('-') ? 'down' : undefined}><Figure exact={value} unit="USD" note={kind === 'REPAID' ? 'the fund’s own money: its sum stays' : undefined}>{Number(value) > 0 ? '+' : ''}{Math.abs(Number(value)) < 1 ? decimal(value, 6) : usd(value)}</Figure></span> },
  { key: 'after', head: 'Held after', name: 'Held after, USD', numeric: true, value: ({ balanceAfter }) => balanceAfter.value, cell: ({ balanceAfter }) => <Figure exact={balanceAfter.value} unit="USD">{decimal(balanceAfter.value, 2)}</Figure> },
  { key: 'who', head: 'From or to', value: ({ counterparty }) => counterparty, cell: ({ counterparty, kind }) => counterparty === null ? <span className="muted">not said</span> : <span className="fund-who"><Address of={counterparty} />{ofAccount(kind) && <Link href={`/accounts/${counterparty}`}>Account</Link>}</span> },
  { key: 'transaction', head: 'Transaction', value: ({ transactionHash }) => transactionHash, cell: ({ transactionHash }) => <Address of={transactionHash} label="Transaction" /> },
]

/** Flows whose counterparty trades here. */
const ofAccount = (kind: FundFlowKind): boolean => kind === 'TRADING_FEE' || kind === 'LIQUIDATION_PENALTY' || kind === 'COLLATERAL_LIQUIDATION_FEE' || kind === 'BAD_DEBT'

export function Flows({ params, put }: { params: URLSearchParams; put: (changes: Readonly<Record<string, string | null>>) => void }) {
  const chosen = KINDS.filter((kind) => params.get('kinds')?.split(' ').includes(kind.toLowerCase()))
  return (
    <Pages
      key={chosen.join(' ')} kinds={chosen}
      filter={
        <label className="fund-kind">Kind <select value={chosen[0] ?? ''} onChange={(event) => put({ kinds: event.target.value === '' ? null : event.target.value.toLowerCase() })}>
          <option value="">All flows</option>
          {KINDS.map((kind) => <option key={kind} value={kind}>{SAYS[kind]}</option>)}
        </select></label>
      }
    />
  )
}

function Pages({ kinds, filter }: { kinds: readonly FundFlowKind[]; filter: React.ReactNode }) {
  const [cursors, setCursors] = useState<readonly (string | null)[]>([null])
  const after = cursors.at(-1) ?? null
  // What is older than a cursor stays; the first page grows with each block.
  const answer = useAnswer(FundFlowsDocument, { first: PAGE, after, kinds: kinds.length > 0 ? [...kinds] : null }, after === null ? 'block' : 'minute')
  const flows = answer.data?.insuranceFund?.flows
  const from = (cursors.length - 1) * PAGE
  return (
    <Panel id="flows" title="Flows" note="newest first; into the fund is +" actions={<>{filter}<CsvButton title={`Fund flows, page ${cursors.length}`} columns={COLUMNS} rows={answer.isPlaceholderData ? [] : (flows?.nodes ?? [])} /></>}>
      <Loaded of={answer} height={720}>
        {({ insuranceFund }) => (
          <>
            <div className="fund-flows"><Table title="Flows" columns={COLUMNS} rows={insuranceFund?.flows.nodes ?? []} rowKey={({ id }) => id} empty={kinds.length > 0 ? 'The fund has had no flow of this kind.' : 'The fund has had no flow yet.'} /></div>
            {insuranceFund && insuranceFund.flows.totalCount > 0 && (
              <nav className="fund-pages" aria-label="Pages of flows">
                {/* The page that stays while another is asked for is neither's number nor beginning. */}
                <ActButton busy={answer.isPlaceholderData} disabled={cursors.length === 1} onClick={() => setCursors(cursors.slice(0, -1))}>Newer</ActButton>
                <span aria-live="polite">{answer.isPlaceholderData ? 'Reading …' : <>{whole(from + 1)} to {whole(from + insuranceFund.flows.nodes.length)} of {whole(insuranceFund.flows.totalCount)}</>}</span>
                <ActButton busy={answer.isPlaceholderData} disabled={!answer.isPlaceholderData && !insuranceFund.flows.pageInfo.hasNextPage} onClick={() => setCursors([...cursors, insuranceFund.flows.pageInfo.endCursor ?? null])}>Older</ActButton>
              </nav>
            )}
          </>
        )}
      </Loaded>
    </Panel>
  )
}
