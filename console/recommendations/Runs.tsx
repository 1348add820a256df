/** What the runs that are kept said of one parameter, those that held it as well. */
import { Link } from 'wouter'
import type { PastRecommendationFragment } from '../generated/operations.ts'
import { whole } from '../ui/format.ts'
import { Time } from '../ui/parts.tsx'
import { Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { directionText, isHeld } from './recommendation.ts'

/** Newest first; where there are more, `totalCount` says how many. */
export type PastRuns = { readonly nodes: readonly PastRecommendationFragment[]; readonly totalCount: number }

const columns = (shown: string | null): readonly Column<PastRecommendationFragment>[] => [
  { key: 'block', head: 'Run of block', numeric: true, value: (row) => row.block.number, cell: (row) => <Link href={`/recommendations/${encodeURIComponent(row.id)}`} aria-current={row.id === shown ? 'true' : undefined}>{whole(row.block.number)}</Link> },
  { key: 'at', head: 'Block time', value: (row) => row.block.timestamp, cell: (row) => <Time at={row.block.timestamp} /> },
  { key: 'change', head: 'It said', value: (row) => (isHeld(row) ? `held at ${row.currentDisplay}` : `${row.currentDisplay} → ${row.recommendedDisplay}`) },
  { key: 'direction', head: 'Direction', value: (row) => directionText(row.direction) },
  { key: 'reason', head: 'Why', words: true, value: (row) => row.reason, cell: (row) => <small className="recommendation-source">{row.reason}</small> },
]

/** `shown`: the id of the one whose page it is. */
export function Runs({ of, shown = null }: { of: PastRuns; shown?: string | null }) {
  return (
    <>
      <Table title="Earlier recommendations" rowKey={({ id }) => id} rows={of.nodes} few={5} empty="No run that is kept says anything of it." columns={columns(shown)} />
      {of.totalCount > of.nodes.length && <p className="note">The newest {whole(of.nodes.length)} of {whole(of.totalCount)} runs.</p>}
    </>
  )
}
