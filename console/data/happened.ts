/** What happened, newest first, on whatever page one is: what the lists held when the page was opened, then what is told. Nothing is lost over a lost connection, and nothing counts twice. */
import { useEffect, useSyncExternalStore } from 'react'
import { BreakerHappenedDocument, HappenedDocument, LiquidationHappenedDocument, ProposalHappenedDocument, RecommendationsHappenedDocument, ReorganisationHappenedDocument } from '../generated/operations.ts'
import type { BreakerToldFragment, HappenedQuery, LiquidationToldFragment, ProposalToldFragment, RecommendationToldFragment, ReorganisationHappenedSubscription } from '../generated/operations.ts'
import { queryClient, renew, useAnswer } from './client.ts'
import type { Asked } from './client.ts'
import { subscribe } from './live.ts'

type Reorganisation = ReorganisationHappenedSubscription['reorganised']

/** `block`: whose taking back makes it void; null for what no block holds. `at`: chain time, Unix seconds. */
export type Happening = { readonly id: string; readonly block: number | null; readonly at: number } & (
  | { readonly kind: 'liquidation'; readonly of: LiquidationToldFragment }
  | { readonly kind: 'breaker'; readonly of: BreakerToldFragment }
  | { readonly kind: 'recommendation'; /** Those of one run that the run before did not ask for, most urgent first. */ readonly of: readonly RecommendationToldFragment[] }
  | { readonly kind: 'proposal'; readonly of: ProposalToldFragment; readonly event: ProposalToldFragment['events'][number] }
  | { readonly kind: 'reorganisation'; readonly of: Reorganisation }
)

const KEPT = 200
let happened: readonly Happening[] = []
const watchers = new Set<() => void>()

function keep(next: readonly Happening[]): void {
  happened = next
  for (const watcher of watchers) watcher()
}

/** A later telling of the same thing stands in the earlier one's place. */
function add(more: readonly Happening[]): void {
  if (more.length === 0) return
  const byId = new Map([...happened, ...more].map((one) => [one.id, one]))
  keep([...byId.values()].toSorted((a, b) => b.at - a.at || (b.block ?? 0) - (a.block ?? 0)).slice(0, KEPT))
}

const liquidations = (rows: readonly LiquidationToldFragment[]): Happening[] => rows.map((of) => ({ kind: 'liquidation', id: of.id, block: Number(of.block), at: Number(of.timestamp), of }))
const breakers = (rows: readonly BreakerToldFragment[]): Happening[] => rows.map((of) => ({ kind: 'breaker', id: of.id, block: Number(of.block.number), at: Number(of.seenAt), of }))
const proposals = (rows: readonly ProposalToldFragment[]): Happening[] => rows.flatMap((of) => of.events.map((event, index): Happening => ({ kind: 'proposal', id: `${of.id}/${index}`, block: null, at: Date.parse(event.at) / 1000, of, event })))

/** What the newest run asked for, by parameter and subject: the next run is told by what it asks for anew. null before the first. */
let asked: { readonly block: number; readonly values: ReadonlyMap<string, string> } | null = null
const placeOf = (one: RecommendationToldFragment): string => `${one.parameter}/${one.subject}`

function recommendations(rows: readonly RecommendationToldFragment[]): Happening[] {
  const changes = rows.filter(({ direction }) => direction !== 'HOLD')
  const [first] = rows
  if (!first || (asked !== null && Number(first.block.number) < asked.block)) return []
  const block = Number(first.block.number)
  const before = asked?.values
  asked = { block, values: new Map(changes.map((one) => [placeOf(one), one.recommendedRaw])) }
  const anew = changes.filter((one) => before?.get(placeOf(one)) !== one.recommendedRaw)
  return anew.length === 0 ? [] : [{ kind: 'recommendation', id: `recommended/${block}`, block, at: Number(first.block.timestamp), of: anew }]
}

function listed({ status, liquidations: liquidated, circuitBreakers, recommendations: recommended, open, proposals: proposed }: HappenedQuery): void {
  fromBlock ??= Number(status.indexed?.number ?? 0)
  const boards = circuitBreakers ? [circuitBreakers.protocol, ...circuitBreakers.markets] : []
  add([...liquidations(liquidated.nodes), ...breakers(boards.flatMap(({ history }) => history.nodes)), ...recommendations(recommended), ...proposals([...open.nodes, ...proposed.nodes])])
}

function takenBack(of: Reorganisation): void {
  const common = Number(of.common?.number ?? -1)
  asked = null
  keep(happened.filter(({ block }) => block === null || block <= common))
  add([{ kind: 'reorganisation', id: `reorganised/${of.from.hash}`, block: null, at: Number(of.to.timestamp), of }])
  void queryClient.invalidateQueries()
}

/** Lists and subscriptions may stand on different blocks: told again from a little before, what was told counts once. */
const OVERLAP = 50

/** Of the figures that each event moves: asked for again at once, not with the next block alone. */
const FIGURES = { breaker: ['OverviewBreakers'], liquidation: ['OverviewQueue', 'OverviewFund', 'OverviewMarkets'], recommendation: ['OverviewRecommendations'], proposal: ['OverviewProposals'] } as const

/** The block of the first lists; null where they could not be had yet: then what is told begins with its subscription, and lists that come later hold what was before. */
let fromBlock: number | null = null

function follow(): () => void {
  const since = (kind: Happening['kind']) => {
    let refused = false
    return {
      variables: () => {
        // Where the server would not tell all of it, the lists say what they hold, and it goes on from now.
        if (refused) {
          refused = false
          return { sinceBlock: null }
        }
        const last = happened.find((one) => one.kind === kind)?.block ?? fromBlock
        return { sinceBlock: last === null ? null : String(Math.max(0, Math.max(last, fromBlock ?? 0) - OVERLAP)) }
      },
      onRefused: () => {
        refused = true
        void renew('Happened')
      },
    }
  }
  const told = (kind: keyof typeof FIGURES, more: readonly Happening[]): void => {
    const known = new Set(happened.map(({ id }) => id))
    add(more)
    if (more.some(({ id }) => !known.has(id))) void renew(...FIGURES[kind])
  }
  const [liquidation, breaker, recommendation] = [since('liquidation'), since('breaker'), since('recommendation')]
  const stops = [
    subscribe(LiquidationHappenedDocument, liquidation.variables, ({ liquidated }) => told('liquidation', liquidations([liquidated])), liquidation.onRefused),
    subscribe(BreakerHappenedDocument, breaker.variables, ({ breakerChanged }) => told('breaker', breakers([breakerChanged])), breaker.onRefused),
    subscribe(RecommendationsHappenedDocument, recommendation.variables, ({ recommendationsAdded }) => told('recommendation', recommendations(recommendationsAdded)), recommendation.onRefused),
    subscribe(ProposalHappenedDocument, {}, ({ proposalChanged }) => told('proposal', proposals([proposalChanged]))),
    subscribe(ReorganisationHappenedDocument, {}, ({ reorganised }) => takenBack(reorganised)),
  ]
  return () => { for (const stop of stops) stop() }
}

/** What was before the page was opened: until it is had, what was told may not be taken for all. */
export const useLists = (): Asked<HappenedQuery> => useAnswer(HappenedDocument, {}, 'event')

/** Follows what happens; once, by the shell. */
export function useFollowing(): void {
  const { data, isFetched } = useLists()
  // Lists that cannot be had silence nothing. Once begun, it goes on over every later answer. Before the subscriptions: they begin with the lists' block.
  useEffect(() => { if (data) listed(data) }, [data])
  useEffect(() => (isFetched ? follow() : undefined), [isFetched])
}

export const useHappened = (): readonly Happening[] => useSyncExternalStore((changed) => { watchers.add(changed); return () => watchers.delete(changed) }, () => happened)
