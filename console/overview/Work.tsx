/** What waits for people: recommendations and proposals under way. */
import { Link } from 'wouter'
import { useBasket } from '../data/basket.ts'
import { useAnswer } from '../data/client.ts'
import { OverviewProposalsDocument, OverviewRecommendationsDocument } from '../generated/operations.ts'
import type { OverviewProposalsQuery, OverviewRecommendationsQuery } from '../generated/operations.ts'
import { BasketButton } from '../recommendations/BasketButton.tsx'
import { age, percent, time, whole, words } from '../ui/format.ts'
import { Empty, Hint, Loaded, Panel, Tag, sentence } from '../ui/parts.tsx'

type Recommendation = OverviewRecommendationsQuery['recommendations'][number]
const SHOWN = 4

/** A change that can be set goes into the basket; what needs an upgrade says so. */
function Take({ of }: { of: Recommendation }) {
  if (!of.settable) return <Hint text={of.advisory ?? 'The parameter has no setter'}><span className="muted">advisory</span></Hint>
  return <BasketButton item={{ recommendationId: of.id, parameter: of.parameter, subject: of.subject, subjectLabel: of.subjectLabel, title: of.title, fromRaw: of.currentRaw, fromDisplay: of.currentDisplay, toRaw: of.recommendedRaw, toDisplay: of.recommendedDisplay }} />
}

export function Urgent() {
  const recommendations = useAnswer(OverviewRecommendationsDocument, {}, 'block')
  const changes = (recommendations.data?.recommendations ?? []).filter(({ direction }) => direction !== 'HOLD')
  return (
    <Panel id="urgent" title={<Link href="/recommendations">Recommendations</Link>} note={recommendations.data && recommendations.data.recommendations.length > 0 ? `${changes.length} to change, ${recommendations.data.recommendations.length - changes.length} to hold` : undefined}>
      <Loaded of={recommendations} height={440}>{(data) => {
        if (data.recommendations.length === 0) return <Empty>No run has finished yet. The first follows the first indexed blocks; the header’s health says when it was last tried.</Empty>
        if (changes.length === 0) return <Empty>Nothing to change now. <Link href="/recommendations">Why each value is held</Link>.</Empty>
        return (
          <>
            <ul className="overview-urgent">
              {changes.slice(0, SHOWN).map((one) => (
                <li key={`${one.parameter}/${one.subject}`}>
                  <p className="head">
                    <Tag kind="warn">{one.urgency}<span className="sr"> urgency of 100</span></Tag>
                    <Link href={`/recommendations/${encodeURIComponent(one.id)}`}><b>{one.title}</b> of {one.subjectLabel}</Link>
                    <span className="step" title={`raw ${one.currentRaw} → ${one.recommendedRaw}`}>{one.currentDisplay} → <b>{one.recommendedDisplay}</b></span>
                    <span className="take"><Take of={one} /></span>
                  </p>
                  <p className="why">{sentence(one.reason)} <span title="How far the sample and its backtest carry the model">Confidence {percent(one.confidence, 0)}.</span></p>
                </li>
              ))}
            </ul>
            <p className="provenance">Urgency of 100 · block <b>{whole(changes[0]?.block.number ?? 0)}</b>{changes.length > SHOWN && <> · <Link href="/recommendations">{changes.length - SHOWN} more</Link></>}</p>
          </>
        )
      }}</Loaded>
    </Panel>
  )
}

type Proposal = OverviewProposalsQuery['proposals']['nodes'][number]

/** Who has to do what next. */
function nextStep({ state, signatures, threshold, queue }: Proposal, indexedSec: number | null): string {
  switch (state) {
    case 'DRAFT': return 'to be simulated, then signed'
    case 'SIMULATED': return 'owners are to be asked to sign'
    case 'AWAITING_SIGNATURES': return `${signatures.length} of ${threshold} signed`
    case 'READY': return 'signed: anybody can execute it'
    case 'QUEUED': return queue?.readyAt && indexedSec !== null ? (Number(queue.readyAt) > indexedSec ? `timelock opens in ${age(Number(queue.readyAt) - indexedSec)}` : 'timelock is open: it can be executed') : 'in the timelock'
    case 'EXECUTED': return 'executed: waiting for the index to hold its values'
    case 'STALE': return 'a value has drifted: it would revert'
    case 'CANCELLING': return 'owners are to sign its cancellation'
    default: return words(state)
  }
}
const TONE: Partial<Record<Proposal['state'], 'accent' | 'warn' | 'good'>> = { AWAITING_SIGNATURES: 'accent', READY: 'good', QUEUED: 'accent', STALE: 'warn', CANCELLING: 'warn', EXECUTED: 'good' }

export function Underway({ indexedSec }: { indexedSec: number | null }) {
  const proposals = useAnswer(OverviewProposalsDocument, {}, 'block')
  const basket = useBasket()
  return (
    <Panel id="underway" title={<Link href="/proposals">Proposals under way</Link>} note={basket.length > 0 ? <Link href="/proposals/new">{basket.length} in the basket</Link> : undefined}>
      <Loaded of={proposals} height={100}>{({ all, proposals: { nodes: open, totalCount } }) => (open.length === 0 ? <Empty>{all.totalCount === 0 ? 'No proposal yet.' : 'None is under way.'} Add recommendations to the basket, then <Link href="/proposals/new">draft a proposal</Link>.</Empty> : (
        <ul className="overview-underway">
          {open.map((one) => (
            <li key={one.id}>
              <Tag kind={TONE[one.state] ?? 'quiet'}>{words(one.state)}</Tag>
              <Link href={`/proposals/${encodeURIComponent(one.id)}`}>{one.title}</Link>
              <span className="muted">{nextStep(one, indexedSec)}</span>
              <span className="muted what" title={one.changes.map(({ title, subjectLabel, fromDisplay, toDisplay }) => `${title} of ${subjectLabel}: ${fromDisplay} → ${toDisplay}`).join('; ')}>{one.changes.length === 1 ? one.changes.map(({ title, subjectLabel, fromDisplay, toDisplay }) => `${title} of ${subjectLabel}: ${fromDisplay} → ${toDisplay}`) : `${one.changes.length} changes`}</span>
              <span className="muted until" title={`Reverts after ${time(one.validUntil)}`}>{indexedSec === null ? '' : Number(one.validUntil) > indexedSec ? `${age(Number(one.validUntil) - indexedSec)} left` : 'expired'}</span>
            </li>
          ))}
          {totalCount > open.length && <li><Link href="/proposals">{totalCount - open.length} older ones are under way, too</Link></li>}
        </ul>
      ))}</Loaded>
    </Panel>
  )
}
