/** What the server tells by itself: new blocks renew the answers on the page, and the connection's state is the first to know that the API is away. */
import type { Query } from '@tanstack/react-query'
import { createClient } from 'graphql-ws'
import type { Client } from 'graphql-ws'
import { useEffect, useRef, useSyncExternalStore } from 'react'
import { BlocksDocument, StatusDocument } from '../generated/operations.ts'
import type { BlocksSubscription, TypedDocumentString } from '../generated/operations.ts'
import { operationOf, queryClient, tookMs } from './client.ts'

export type Connection = 'connecting' | 'open' | 'lost'

let connection: Connection = 'connecting'
/** When the connection was lost, ms of this machine's clock. */
let lostAtMs = 0
const watchers = new Set<() => void>()
function to(next: Connection): void {
  if (next === connection) return
  connection = next
  if (next === 'lost') lostAtMs = Date.now()
  for (const watcher of watchers) watcher()
}

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
        to('open')
        // What happened meanwhile was told to nobody.
        if (retried) renewShown()
      },
      closed: () => to('lost'),
      error: () => to('lost'),
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

function onBlock(_block: BlocksSubscription): void {
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
      if (answeredMs >= toldAtMs || (renewal !== 'block' && renewal !== 'minute')) return false
      const leftMs = answeredMs + (renewal === 'block' ? tookMs(query.queryHash) / SHARE : MINUTE_MS) - blockAtMs
      if (leftMs > 0 && query.isActive()) nextMs = Math.min(nextMs, leftMs)
      return leftMs <= 0
    }
    void queryClient.invalidateQueries({ predicate: isDue }, { cancelRefetch: false })
    if (nextMs < Infinity) renewIn(Math.max(nextMs, BLOCK_MS))
  }, ms)
}

/** Asks again for what may have changed while nothing was told, and for what could not be had. */
function renewShown(): void {
  const now = Date.now()
  void queryClient.invalidateQueries({ predicate: ({ queryKey: [renewal], state }) => renewal === 'block' || renewal === 'event' || state.error !== null || (renewal === 'minute' && now - state.dataUpdatedAt >= MINUTE_MS) })
}

/** An index that stands still tells of no block: how everything is doing is asked by this machine's clock as well. */
const STATUS_MS = 5000

/** Starts following blocks; once, by the shell. A page that was hidden is renewed when it is looked at again. */
export function useLive(): void {
  useEffect(() => {
    const stop = subscribe(BlocksDocument, {}, onBlock)
    const shown = () => { if (!document.hidden) renewShown() }
    document.addEventListener('visibilitychange', shown)
    const timer = setInterval(() => { if (!document.hidden) void queryClient.invalidateQueries({ predicate: ({ queryKey }) => queryKey[1] === operationOf(StatusDocument) }, { cancelRefetch: false }) }, STATUS_MS)
    return () => { stop(); clearInterval(timer); document.removeEventListener('visibilitychange', shown) }
  }, [])
}

export const useConnection = (): { readonly connection: Connection; readonly lostAtMs: number } => {
  const state = useSyncExternalStore((changed) => { watchers.add(changed); return () => watchers.delete(changed) }, () => connection)
  return { connection: state, lostAtMs }
}
