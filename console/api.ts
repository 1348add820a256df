/** The page's one source: the API that served it. */
import { useEffect, useState } from 'react'
import type { PageQuery, StatusQuery } from './generated/page.ts'
import pageQuery from './page.graphql?raw'
import statusQuery from './status.graphql?raw'

export type Status = StatusQuery['status']
export type Page = PageQuery
export type Market = Page['markets'][number]
export type Account = Page['accounts']['nodes'][number]
export type Recommendation = Page['recommendations'][number]
export type Proposal = Page['proposals']['nodes'][number]
export type InsuranceFund = NonNullable<Page['insuranceFund']>

export type Answer = { data?: unknown; errors?: readonly { message: string }[] }

/** One sentence on why there is nothing new. */
export class ApiError extends Error {}

const TIMEOUT_MS = 10_000

/** One GraphQL request. Rejects with a sentence where the API is out of reach or its answer is no JSON. */
export async function ask(query: string, variables: Record<string, unknown> = {}, signal?: AbortSignal): Promise<Answer> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS)
  let response: Response
  try {
    response = await fetch('/graphql', {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ query, variables }),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    })
  } catch {
    throw new ApiError(timeout.aborted ? `The API did not answer within ${TIMEOUT_MS / 1000} s` : 'The API does not answer')
  }
  try {
    return (await response.json()) as Answer
  } catch {
    throw new ApiError(`The API answered with status ${response.status} and no JSON`)
  }
}

async function askFor<Data>(query: string, signal: AbortSignal): Promise<Data> {
  const answer = await ask(query, {}, signal)
  if (answer.errors?.length || answer.data == null) throw new ApiError(answer.errors?.[0]?.message ?? 'The API answered without data')
  return answer.data as Data
}

export type Feed = {
  /** The last good answers; they stay while the API is away. */
  status: Status | null
  page: Page | null
  /** When `status` came, ms of this machine's clock: ages go on from there. */
  statusAtMs: number
  /** Why the last attempt brought nothing new; null when it did. */
  statusError: string | null
  pageError: string | null
}

const POLL_MS = 2500

/** Asks every 2.5 s, one request at a time, and not while the page is hidden. */
export function useFeed(): Feed {
  const [feed, setFeed] = useState<Feed>({ status: null, page: null, statusAtMs: 0, statusError: null, pageError: null })
  useEffect(() => {
    const stop = new AbortController()
    const sentence = (error: unknown) => (error instanceof Error ? error.message : String(error))
    const poll = async () => {
      while (!stop.signal.aborted) {
        if (!document.hidden) {
          const [status, page] = await Promise.allSettled([askFor<StatusQuery>(statusQuery, stop.signal), askFor<PageQuery>(pageQuery, stop.signal)])
          if (stop.signal.aborted) return
          setFeed((last) => ({
            status: status.status === 'fulfilled' ? status.value.status : last.status,
            statusAtMs: status.status === 'fulfilled' ? Date.now() : last.statusAtMs,
            statusError: status.status === 'fulfilled' ? null : sentence(status.reason),
            page: page.status === 'fulfilled' ? page.value : last.page,
            pageError: page.status === 'fulfilled' ? null : sentence(page.reason),
          }))
        }
        await new Promise((resolve) => setTimeout(resolve, POLL_MS))
      }
    }
    void poll()
    return () => stop.abort()
  }, [])
  return feed
}

/** This machine's clock, once a second. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000)
    return () => clearInterval(timer)
  }, [])
  return now
}
