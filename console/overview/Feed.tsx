/** What just happened, newest first: told by subscription, and before that read from lists. */
import { useRef } from 'react'
import { Link } from 'wouter'
import { useHappened, useLists } from '../data/happened.ts'
import type { Happening } from '../data/happened.ts'
import { useFault } from '../data/live.ts'
import { LevelTag } from '../ui/breakers.tsx'
import { age, dateTime, short, size, usd, whole, words as spaced } from '../ui/format.ts'
import { Empty, Notice, Panel, Tag, Time } from '../ui/parts.tsx'

function What({ of: one }: { of: Happening }) {
  switch (one.kind) {
    case 'liquidation':
      return <><Tag kind="warn">liquidated</Tag> <Link href={`/accounts/${one.of.account}`} title={one.of.account}><code>{short(one.of.account)}</code></Link> {size(one.of.size.value)} <Link href={`/markets/${one.of.market.symbol}`}>{one.of.market.symbol}</Link>, <span title={`${one.of.notional.value} USD`}>{usd(one.of.notional.value)} USD</span></>
    case 'breaker':
      return <><LevelTag level={one.of.to} /> <Link href={`/breakers#breaker-${one.of.label}`}>{one.of.label === 'protocol' ? 'Protocol' : one.of.label}</Link> from {one.of.from}: {one.of.why}</>
    case 'recommendation': {
      const [first, ...more] = one.of
      return <><Tag kind="accent">recommended</Tag> {first && <Link href={`/recommendations/${encodeURIComponent(first.id)}`}>{first.title} of {first.subjectLabel}</Link>} {first?.currentDisplay} → {first?.recommendedDisplay}{first && <>, urgency {first.urgency}</>}{more.length > 0 && <>, and <Link href="/recommendations">{more.length} more</Link></>}</>
    }
    case 'proposal':
      return <><Tag kind="quiet">{spaced(one.event.toState)}</Tag> <Link href={`/proposals/${encodeURIComponent(one.of.id)}`}>{one.of.title}</Link>: <span title={one.event.note}>{one.event.note.replace(/0x[0-9a-f]{16,}/gi, short)}</span></>
    case 'reorganisation':
      return <><Tag kind="warn">reorganised</Tag> The chain took back {one.of.common ? <>what stood above block {whole(one.of.common.number)}</> : 'blocks, from which one on is not known'}; block {whole(one.of.to.number)} is served now</>
  }
}

/** In a few words. */
function words(one: Happening): string {
  switch (one.kind) {
    case 'liquidation': return `Liquidated: ${one.of.market.symbol}`
    case 'breaker': return `${one.of.label} goes to ${one.of.to}`
    case 'recommendation': return 'New recommendations'
    case 'proposal': return `${one.of.title}: ${spaced(one.event.toState)}`
    case 'reorganisation': return 'The chain was reorganised'
  }
}

export function Feed({ indexedSec }: { indexedSec: number | null }) {
  const happened = useHappened()
  const lists = useLists()
  const fault = useFault(lists.error)
  const isAsking = lists.data === undefined && !lists.isFetched
  const isLacking = lists.data === undefined ? lists.isFetched : fault !== null
  // Read out: the newest alone, and only what came while one looks on. Ages change with each block.
  const [newest] = happened
  const first = useRef<string>(undefined)
  first.current ??= newest?.id
  const said = newest && newest.id !== first.current ? words(newest) : ''
  return (
    <Panel id="happened" title="What just happened" note="newest first">
      <div className="overview-feed" tabIndex={0} role="group" aria-labelledby="happened-title">
        <span className="sr" role="status">{said}</span>
        {isAsking && <div className="loading" style={{ minHeight: 120 }} role="status"><span className="sr">Loading …</span></div>}
        {isLacking && <Notice kind="degraded" title="Not known: some of what happened could not be read.">What happens from here on is shown, and the rest is asked for again with each block. <button type="button" onClick={() => void lists.refetch()}>Ask again</button></Notice>}
        {happened.length === 0 ? !isAsking && !isLacking && <Empty>Nothing yet. Breaker changes, liquidations, new recommendations, proposals and reorganisations appear here by themselves.</Empty> : (
          <ol>
            {happened.map((one) => <li key={one.id}><Time at={one.at}>{indexedSec !== null && indexedSec - one.at < 86_400 ? age(indexedSec - one.at) : dateTime(one.at).replace(/ \d\d:\d\d UTC$/, '')}</Time><p><What of={one} /></p></li>)}
          </ol>
        )}
      </div>
    </Panel>
  )
}
