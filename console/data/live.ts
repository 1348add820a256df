/** What the server tells by itself, and asking where it cannot: new blocks renew the answers on the page. Whether the API is away is known here alone. */
import type { Query } from '@tanstack/react-query'
import { createClient } from 'graphql-ws'
import type { Client } from 'graphql-ws'
import { useEffect, useRef, useState, useSyncExternalStore } from 'react'
import { BlocksDocument, StatusDocument } from '../generated/operations.ts'
import type { StatusQuery, TypedDocumentString } from '../generated/operations.ts'
import { isOutOfReach, operationOf, queryClient, tookMs, useAnswer } from './client.ts'
import type { Asked } from './client.ts'

/**
 * `open`: the socket tells of blocks. `polled`: it does not, and questions are answered. `lost`: the last question for the status failed, or the
 * socket broke and nobody has answered since. The shell says it for the whole page.
 */
export type Connection = 'connecting' | 'open' | 'polled' | 'lost'

let connection: Connection = 'connecting'
let socketIs: 'connecting' | 'open' | 'closed' = 'connecting'
/** Whether the API answers, by its last word; null before the first. */
let answers: boolean | null = null
/** When the status came, ms of the page's own running time: the clock on the wall may be set meanwhile. */
let statusAtMs = 0
/** What happened was told to nobody, or could not be asked for: all is asked for again once the API answers. */
let hasMissed = false
/** While that is under way the API still counts as away, this long at most: what could not be had is not said part by part in between. */
const RENEWING_MS = 10_000
let isRenewing = false
const watchers = new Set<() => void>()
function weigh(): void {
  const next = answers === false ? 'lost' : socketIs === 'open' ? 'open' : answers === true && socketIs === 'closed' ? 'polled' : 'connecting'
  if (next === connection) return
  connection = next
  for (const watcher of watchers) watcher()
}

function closed(): void {
  if (socketIs === 'open') {
    answers = false
    hasMissed = true
    askStatus()
  }
  socketIs = 'closed'
  weigh()
}

const STATUS = operationOf(StatusDocument)
/** `anew`: a question that is under way may hang on a connection that is gone. */
const askStatus = (anew = false): void => void queryClient.invalidateQueries({ predicate: ({ queryKey }) => queryKey[1] === STATUS }, { cancelRefetch: anew })

async function renewed(): Promise<void> {
  await Promise.race([renewShown(), new Promise((resolve) => setTimeout(resolve, RENEWING_MS))])
  isRenewing = false
  if (hasMissed) return
  answers = true
  weigh()
}

queryClient.getQueryCache().subscribe((event) => {
  if (event.type !== 'updated' || event.query.queryKey[1] !== STATUS) return
  if (event.action.type === 'success') {
    statusAtMs = performance.now()
    const { indexed } = (event.query.state.data as StatusQuery).status
    if (indexed) {
      // What is shown at first was asked for with it.
      newest ??= Number(indexed.number)
      onBlock(Number(indexed.number))
    }
    if (hasMissed) {
      hasMissed = false
      isRenewing = true
      queueMicrotask(() => void renewed())
    } else if (!isRenewing) {
      answers = true
      weigh()
    }
  } else if (event.action.type === 'error' && isOutOfReach(event.action.error)) {
    answers = false
    hasMissed = true
    weigh()
  }
})

const RETRY_MS = [250, 500, 1000, 2000]
let client: Client | undefined

/** One socket for the whole page, opened with the first subscription and kept open. */
function socket(): Client {
  client ??= createClient({
    url: `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/graphql`,
    retryAttempts: Infinity,
    shouldRetry: () => true,
    retryWait: async (retries) => new Promise((resolve) => setTimeout(resolve, RETRY_MS[Math.min(retries, RETRY_MS.length - 1)])),
    // A machine that fell asleep leaves sockets that look open.
    keepAlive: 10_000,
    on: {
      connected: (_socket, _payload, retried) => {
        socketIs = 'open'
        weigh()
        if (!retried) return
        hasMissed = true
        askStatus(true)
      },
      closed,
      error: closed,
    },
  })
  return client
}

/**
 * Calls `onEvent` with each event until the returned function is called; reconnects by itself, and then goes on with what happens from
 * there. Variables as a function are asked for anew at each connection: with `sinceBlock`, nothing between two of them is lost.
 */
export function subscribe<Data, Variables extends object>(document: TypedDocumentString<Data, Variables>, variables: Variables | (() => Variables), onEvent: (data: Data) => void, onRefused: () => void = () => {}): () => void {
  let stopped = false
  let stop = () => {}
  const start = () => {
    const request = { query: document.toString(), get variables() { return (typeof variables === 'function' ? variables() : variables) as Record<string, unknown> } }
    stop = socket().subscribe<Data>(request, {
      next: ({ data }) => { if (data) onEvent(data) },
      // The server ends a subscription with an error where it cannot go on: a new one is asked for.
      error: () => {
        if (stopped) return
        onRefused()
        setTimeout(() => { if (!stopped) start() }, 2000)
      },
      complete: () => {},
    })
  }
  start()
  return () => { stopped = true; stop() }
}

/** `subscribe` for as long as a component is shown; variables are compared by their JSON. */
export function useEvents<Data, Variables extends object>(document: TypedDocumentString<Data, Variables>, variables: Variables, onEvent: (data: Data) => void): void {
  const latest = useRef(onEvent)
  latest.current = onEvent
  const key = JSON.stringify(variables)
  useEffect(() => subscribe(document, JSON.parse(key) as Variables, (data) => latest.current(data)), [document, key])
}

/** Blocks come every 2 s; answers that are still under way are not asked for twice. */
const BLOCK_MS = 2000
const MINUTE_MS = 60_000
/** An answer that took the server long is asked for less often: the page takes at most this share of its time. */
const SHARE = 0.1
let blockTimer: ReturnType<typeof setTimeout> | undefined
let timerAtMs = 0
/** When blocks were last gone by, and when the newest was told, ms of this machine's clock. */
let blockAtMs = 0
let toldAtMs = 0

/** Told by the socket, or seen in the status: whichever is first. After a reorganisation it may be a lower one. */
let newest: number | undefined
function onBlock(number: number): void {
  if (number === newest) return
  newest = number
  toldAtMs = Date.now()
  if (!document.hidden) renewIn(Math.max(0, blockAtMs + BLOCK_MS - toldAtMs))
}

/** Asks again for what is older than the newest block and has waited its time; what has not is looked at when it has, for no other block may come soon. */
function renewIn(ms: number): void {
  const atMs = Date.now() + ms
  if (blockTimer !== undefined && timerAtMs <= atMs) return
  clearTimeout(blockTimer)
  timerAtMs = atMs
  blockTimer = setTimeout(() => {
    blockTimer = undefined
    blockAtMs = Date.now()
    let nextMs = Infinity
    const isDue = (query: Query): boolean => {
      const [renewal] = query.queryKey
      const answeredMs = Math.max(query.state.dataUpdatedAt, query.state.errorUpdatedAt)
      // What waits to be told is asked for where nobody tells, and where it could not be had.
      const isUntold = renewal === 'event' && (connection !== 'open' || query.state.error !== null)
      if (answeredMs >= toldAtMs || (renewal !== 'block' && renewal !== 'minute' && !isUntold)) return false
      const leftMs = answeredMs + (renewal === 'minute' ? MINUTE_MS : Math.min(tookMs(query.queryHash) / SHARE, query.state.error ? MINUTE_MS : Infinity)) - blockAtMs
      if (leftMs > 0 && query.isActive()) nextMs = Math.min(nextMs, leftMs)
      return leftMs <= 0
    }
    void queryClient.invalidateQueries({ predicate: isDue }, { cancelRefetch: false })
    if (nextMs < Infinity) renewIn(Math.max(nextMs, BLOCK_MS))
  }, ms)
}

/** Asks again for what may have changed while nothing was told, and for what could not be had. */
function renewShown(): Promise<void> {
  const now = Date.now()
  return queryClient.invalidateQueries({ predicate: ({ queryKey: [renewal], state }) => renewal === 'block' || renewal === 'event' || state.error !== null || (renewal === 'minute' && now - state.dataUpdatedAt >= MINUTE_MS) })
}

/** An index that stands still tells of no block, and a proxy may let no socket through: how everything is doing, and the newest block, is asked for this often. */
export const STATUS_MS = 5000

/** Starts following blocks; once, by the shell. A page that was hidden is renewed when it is looked at again. */
export function useLive(): void {
  useEffect(() => {
    const stop = subscribe(BlocksDocument, {}, ({ blockIndexed }) => onBlock(Number(blockIndexed.number)))
    const shown = () => { if (!document.hidden) void renewShown() }
    document.addEventListener('visibilitychange', shown)
    const timer = setInterval(() => { if (!document.hidden) askStatus() }, STATUS_MS)
    return () => { stop(); clearInterval(timer); document.removeEventListener('visibilitychange', shown) }
  }, [])
}

export const useConnection = (): { readonly connection: Connection } => ({ connection: useSyncExternalStore((changed) => { watchers.add(changed); return () => watchers.delete(changed) }, () => connection) })

/** The fault that a part of the page has to say of its own question; null where there is none, and while the shell says for the whole page that the API is away. */
export function useFault(error: Error | null): Error | null {
  const { connection: state } = useConnection()
  return state === 'lost' && isOutOfReach(error) ? null : error
}

/** The status, asked for again for as long as a page is open. `ageSec` is the indexed block's age now, s: it goes on while no newer status comes. null: unknown. */
export function useStatus(): { readonly asked: Asked<StatusQuery>; readonly ageSec: number | null } {
  const asked = useAnswer(StatusDocument, {}, 'block')
  const [now, setNow] = useState(() => performance.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 1000)
    return () => clearInterval(timer)
  }, [])
  const age = asked.data?.status.ageSec
  return { asked, ageSec: age == null ? null : age + Math.floor(Math.max(0, now - statusAtMs) / 1000) }
}
