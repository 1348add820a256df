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

export function useRows(view: View): Rows {
  const queryClient = useQueryClient()
  const viewKey = JSON.stringify(view)
  const [seen, setSeen] = useState<readonly [number, number]>([0, 0])
  /** Read when a block is asked for: what is on the screen then. */
  const latest = useRef({ viewKey, seen })
  if (latest.current.viewKey !== viewKey) latest.current = { viewKey, seen: [0, 0] }
  useEffect(() => setSeen(latest.current.seen), [viewKey])

  /** The block on the screen: another order of it needs no newer one, and the server has it at hand. */
  const standing = useRef<string>(undefined)
  const queryKey = useMemo(() => ['block', 'AccountTable', viewKey], [viewKey])
  const head = useQuery<Snapshot | null>({
    queryKey,
    queryFn: ({ signal }) =>
      timed(queryKey, async () => {
        const onScreen = latest.current.viewKey === viewKey ? latest.current.seen : ([0, 0] as const)
        const kept = queryClient.getQueryData(queryKey) === undefined ? standing.current : undefined
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
  standing.current = shown?.block.hash

  const [calm, setCalm] = useState(true)
  const wanted = useMemo(() => {
    if (shown == null || !isCurrent) return []
    const there = (index: number): boolean => index < 0 || index * PAGE >= shown.total || shown.pages.has(index)
    const onScreen = Array.from({ length: seen[1] - seen[0] + 1 }, (_, i) => seen[0] + i).filter((index) => !there(index))
    const [first, last] = [onScreen[0], onScreen.at(-1)]
    const here = first === undefined || last === undefined ? [] : [[first, last] as const]
    // A page on either side, so that reading on finds it there: once what is on the screen has come.
    return calm ? [...here, ...[seen[1] + 1, seen[0] - 1].filter((index) => !there(index)).map((index) => [index, index] as const)] : here
  }, [shown, isCurrent, seen, calm])
  const { pages: beside, loading, gone, fault } = useQueries({
    queries: wanted.map((range) => ({
      queryKey: ['never', 'AccountPages', viewKey, shown?.block.hash, ...range],
      queryFn: ({ signal }: { signal: AbortSignal }) => pagesOf(view, range, shown?.block.hash ?? null, signal),
      staleTime: Infinity,
      gcTime: 60_000,
    })),
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
    const timer = setTimeout(() => setCalm(true), CALM_MS)
    return () => clearTimeout(timer)
  }, [loading, seen])
  // The server has let go of the block: its newest is asked for.
  useEffect(() => { if (gone) void queryClient.invalidateQueries({ queryKey }) }, [gone, queryClient, queryKey])

  /** Pages of this view that were read: of this block, and of others until they are read again. */
  const store = useRef<{ view: string; pages: Map<number, { block: string; rows: readonly Row[] }> }>({ view: '', pages: new Map() })
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
      setCalm(false)
      setSeen(pages)
    }, []),
    again: useCallback(() => void queryClient.invalidateQueries({ queryKey }), [queryClient, queryKey]),
  }
}
