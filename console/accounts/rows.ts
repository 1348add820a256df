/**
 * Rows of the table of accounts, a page at a time and all of one block. A new block is asked for beside the rows that stand, and takes their
 * place only once everything on the screen is there: nothing moves under the reader, and no two blocks stand side by side unmarked.
 */
import { keepPreviousData, useQueries, useQuery, useQueryClient } from '@tanstack/react-query'
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { ApiError, ask, timed } from '../data/client.ts'
import { AccountTableDocument } from '../generated/operations.ts'
import type { AccountTableQuery, AccountTableQueryVariables } from '../generated/operations.ts'

type Answer = NonNullable<AccountTableQuery['accountTable']>
export type Row = Answer['rows'][number]
export type Block = Answer['block']
export type View = Pick<AccountTableQueryVariables, 'orderBy'> & { readonly direction: 'ASC' | 'DESC'; readonly filter: NonNullable<AccountTableQueryVariables['filter']> }

/** Rows of a page: about a screen of them, since what a reader waits for grows with each that is read. */
export const PAGE = 30
/** Of one question: the API gives 200 rows at most. */
const PAGES_AT_ONCE = 6

type Snapshot = { readonly view: string; readonly block: Block; readonly total: number; readonly pages: ReadonlyMap<number, readonly Row[]> }

export type Rows = {
  /** undefined before the first answer; null before the first indexed block. */
  readonly shown: { readonly block: Block; readonly total: number } | null | undefined
  /** A row by its number; of an earlier block where that is all there is yet, undefined where there is none. */
  readonly at: (index: number) => { readonly row: Row; readonly stale: boolean } | undefined
  readonly error: Error | null
  /** An order or filter that was asked for is not on the screen yet. */
  readonly waiting: boolean
  /** Which rows are on the screen. */
  readonly look: (first: number, last: number) => void
  readonly again: () => void
}

/** Pages beside the screen are read once it has stood this long. */
const CALM_MS = 60

/** Pages from the first to the last, all of one block: the newest where none is named, which then the first question alone can tell. */
async function pagesOf(view: View, [first, last]: readonly [number, number], block: string | null, signal?: AbortSignal): Promise<{ readonly answer: Answer; readonly pages: ReadonlyMap<number, readonly Row[]> } | null> {
  const part = async (from: number, of: string | null) => {
    const count = Math.min(PAGES_AT_ONCE, last - from + 1)
    const answer = (await ask(AccountTableDocument, { ...view, first: count * PAGE, offset: from * PAGE, block: of }, signal)).accountTable
    return answer && { answer, pages: Array.from({ length: count }, (_, i) => [from + i, answer.rows.slice(i * PAGE, (i + 1) * PAGE)] as const) }
  }
  const further = Array.from({ length: Math.floor((last - first) / PAGES_AT_ONCE) }, (_, i) => first + (i + 1) * PAGES_AT_ONCE)
  const opening = part(first, block)
  const of = block ?? (further.length === 0 ? null : ((await opening)?.answer.block.hash ?? null))
  const parts = await Promise.all([opening, ...(of === null ? [] : further.map((from) => part(from, of)))])
  const [head] = parts
  return head && { answer: head.answer, pages: new Map(parts.flatMap((each) => each?.pages ?? [])) }
}

type Store = { view: string; pages: Map<number, { block: string; rows: readonly Row[] }> }

/** Whether there is such a page, and nobody has read it at the snapshot's block. */
const lacks = ({ view, block, total, pages }: Snapshot, store: Store, index: number): boolean => index >= 0 && index * PAGE < total && !pages.has(index) && (store.view !== view || store.pages.get(index)?.block !== block.hash)

/** Of the pages from one to another, the first to the last that is lacking. */
function missing(snapshot: Snapshot, store: Store, [from, to]: readonly [number, number]): readonly [number, number] | null {
  const indices = Array.from({ length: to - from + 1 }, (_, i) => from + i).filter((index) => lacks(snapshot, store, index))
  const [first, last] = [indices[0], indices.at(-1)]
  return first === undefined || last === undefined ? null : [first, last]
}

/** Of a block that is named, nothing changes. */
const rangeQuery = (view: View, viewKey: string, block: string | undefined, range: readonly [number, number]) => ({
  queryKey: ['never', 'AccountPages', viewKey, block, ...range],
  queryFn: ({ signal }: { signal: AbortSignal }) => pagesOf(view, range, block ?? null, signal),
  staleTime: Infinity,
  gcTime: 60_000,
})

export function useRows(view: View): Rows {
  const queryClient = useQueryClient()
  const viewKey = JSON.stringify(view)
  const [seen, setSeen] = useState<readonly [number, number]>([0, 0])
  /** Read when a block is asked for: what is on the screen then. */
  const latest = useRef({ viewKey, seen })
  if (latest.current.viewKey !== viewKey) latest.current = { viewKey, seen: [0, 0] }
  useEffect(() => setSeen(latest.current.seen), [viewKey])

  /** What is on the screen. Another order of its block needs no newer one, and the server has it at hand. */
  const standing = useRef<Snapshot | null>(null)
  /** Pages of this view that were read: of this block, and of others until they are read again. */
  const store = useRef<Store>({ view: '', pages: new Map() })
  const queryKey = useMemo(() => ['block', 'AccountTable', viewKey], [viewKey])
  const head = useQuery<Snapshot | null>({
    queryKey,
    queryFn: ({ signal }) =>
      timed(queryKey, async () => {
        const onScreen = latest.current.viewKey === viewKey ? latest.current.seen : ([0, 0] as const)
        const kept = queryClient.getQueryData(queryKey) === undefined ? standing.current?.block.hash : undefined
        const found = await pagesOf(view, onScreen, kept ?? null, signal).catch((error: unknown) => {
          if (kept === undefined || !(error instanceof ApiError && error.code === 'NOT_FOUND')) throw error
          return pagesOf(view, onScreen, null, signal)
        })
        return found && { view: viewKey, block: found.answer.block, total: found.answer.totalCount, pages: found.pages }
      }),
    placeholderData: keepPreviousData,
    staleTime: 1000,
  })
  const shown = head.data
  const isCurrent = shown?.view === viewKey
  standing.current = shown ?? null

  /** What was on the screen when it had stood for a moment. */
  const [calmAt, setCalmAt] = useState(seen)
  const calm = calmAt === seen
  const wanted = useMemo(() => {
    if (shown == null || !isCurrent) return []
    const here = missing(shown, store.current, seen)
    // A page on either side, so that reading on finds it there: once what is on the screen has come.
    const beside = calm ? [seen[1] + 1, seen[0] - 1].filter((index) => lacks(shown, store.current, index)).map((index) => [index, index] as const) : []
    return here === null ? beside : [here, ...beside]
  }, [shown, isCurrent, seen, calm])
  const { pages: beside, loading, gone, fault } = useQueries({
    queries: wanted.map((range) => rangeQuery(view, viewKey, shown?.block.hash, range)),
    combine: useCallback(
      (answers: { data: Awaited<ReturnType<typeof pagesOf>> | undefined; error: Error | null }[]) => ({
        pages: new Map(answers.flatMap(({ data }) => (data ? [...data.pages] : []))),
        loading: answers.some(({ data, error }) => data === undefined && error === null),
        gone: answers.some(({ error }) => error instanceof ApiError && error.code === 'NOT_FOUND'),
        fault: answers.find(({ error }) => error !== null && !(error instanceof ApiError && error.code === 'NOT_FOUND'))?.error ?? null,
      }),
      [],
    ),
  })
  useEffect(() => {
    if (loading) return
    const timer = setTimeout(() => setCalmAt(seen), CALM_MS)
    return () => clearTimeout(timer)
  }, [loading, seen])
  // The server has let go of the block: its newest is asked for.
  useEffect(() => { if (gone) void queryClient.invalidateQueries({ queryKey }) }, [gone, queryClient, queryKey])

  if (shown != null) {
    if (store.current.view !== shown.view) store.current = { view: shown.view, pages: new Map() }
    for (const pages of [shown.pages, isCurrent ? beside : new Map<number, readonly Row[]>()]) for (const [index, rows] of pages) store.current.pages.set(index, { block: shown.block.hash, rows })
  }
  const hash = shown?.block.hash
  const at = useCallback((index: number) => {
    const page = store.current.pages.get(Math.floor(index / PAGE))
    const row = page?.rows[index % PAGE]
    return row === undefined || page === undefined ? undefined : { row, stale: page.block !== hash }
    // What is in the store changes with these.
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, [hash, beside, shown])

  return {
    shown,
    at,
    error: head.error ?? fault,
    waiting: head.isFetching && !isCurrent,
    look: useCallback((first: number, last: number) => {
      const pages = [Math.floor(Math.max(0, first) / PAGE), Math.floor(Math.max(0, last) / PAGE)] as const
      if (latest.current.seen[0] === pages[0] && latest.current.seen[1] === pages[1]) return
      latest.current = { ...latest.current, seen: pages }
      // Asked for before anything is drawn: the answer is on its way meanwhile.
      const { current: on } = standing
      const range = on !== null && on.view === viewKey ? missing(on, store.current, pages) : null
      if (on !== null && range !== null) void queryClient.prefetchQuery(rangeQuery(view, viewKey, on.block.hash, range))
      setSeen(pages)
    }, [queryClient, view, viewKey]),
    again: useCallback(() => void queryClient.invalidateQueries({ queryKey }), [queryClient, queryKey]),
  }
}
