/** The page's one source: the API that served it. Every question goes through `ask`, every figure through `useAnswer`. */
import { QueryClient, hashKey, keepPreviousData, useQuery } from '@tanstack/react-query'
import type { UseQueryResult } from '@tanstack/react-query'
import type { TypedDocumentString } from '../generated/operations.ts'

/** What went wrong, in one sentence. `code` is the API's own, `OUT_OF_REACH` where it did not answer at all. */
export class ApiError extends Error {
  readonly code: string
  readonly path: readonly (string | number)[]
  constructor(message: string, code: string, path: readonly (string | number)[] = []) {
    super(message)
    this.code = code
    this.path = path
  }
}

/** Whether the API did not answer at all. */
export const isOutOfReach = (error: unknown): boolean => error instanceof ApiError && error.code === 'OUT_OF_REACH'

type GraphqlError = { readonly message: string; readonly extensions?: { readonly code?: string; readonly path?: readonly (string | number)[] } }
export type Answer = { readonly data?: unknown; readonly errors?: readonly GraphqlError[] }

const TIMEOUT_MS = 60_000

/** One GraphQL request as it is. Throws ApiError where the API is out of reach or its answer is no JSON. */
export async function send(query: string, variables: object = {}, signal?: AbortSignal): Promise<Answer> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS)
  let response: Response
  try {
    response = await fetch('/graphql', {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ query, variables }),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    })
  } catch (error) {
    if (signal?.aborted) throw error
    throw new ApiError(timeout.aborted ? `The API did not answer within ${TIMEOUT_MS / 1000} s` : 'The API does not answer', 'OUT_OF_REACH')
  }
  try {
    return (await response.json()) as Answer
  } catch {
    throw new ApiError(`The API answered with status ${response.status} and no JSON`, 'OUT_OF_REACH')
  }
}

/** The data that answers a document. Throws ApiError with the API's sentence where it gave an error. */
export async function ask<Data, Variables>(document: TypedDocumentString<Data, Variables>, variables: Variables, signal?: AbortSignal): Promise<Data> {
  const answer = await send(document.toString(), variables as object, signal)
  const [error] = answer.errors ?? []
  // The session is over: who has signed in is asked again, and shown.
  if (error?.extensions?.code === 'UNAUTHENTICATED') void renew('Viewer')
  if (error || answer.data == null) throw new ApiError(error?.message ?? 'The API answered without data', error?.extensions?.code ?? 'INTERNAL', error?.extensions?.path)
  return answer.data as Data
}

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // A refused question is refused again; one that could not be had is asked again with the next block, and when the API answers again (data/live.ts).
      retry: false,
      staleTime: 1000,
      gcTime: 10 * 60_000,
      refetchOnWindowFocus: false,
      networkMode: 'always',
    },
    mutations: { networkMode: 'always' },
  },
})

/** How long the last answers took, ms, by their query's hash. */
const took = new Map<string, number>()
export const tookMs = (queryHash: string): number => took.get(queryHash) ?? 0
/** Notes how long an answer takes, for queries that are not `useAnswer`'s: the slower, the less often it is renewed. */
export async function timed<Data>(queryKey: readonly unknown[], work: () => Promise<Data>): Promise<Data> {
  const startMs = performance.now()
  try {
    return await work()
  } finally {
    took.set(hashKey(queryKey), performance.now() - startMs)
  }
}

/**
 * When an answer is asked for again. `block`: with each indexed block, at most every 2 s, and less often where it takes long (data/live.ts). `minute`: with a block, at most once a minute,
 * for what costs the server real work. `event`: when the live layer or the page itself says so. `never`: it cannot change.
 */
export type Renewal = 'block' | 'minute' | 'event' | 'never'

export type Asked<Data> = UseQueryResult<Data, Error>

/** The answer to a document, renewed as asked; while it is renewed, or cannot be, the last good one stays in `data` and `error` says why. */
export function useAnswer<Data, Variables>(document: TypedDocumentString<Data, Variables>, variables: Variables, renewal: Renewal = 'block', enabled = true): Asked<Data> {
  const queryKey = [renewal, operationOf(document), variables]
  return useQuery<Data, Error>({
    queryKey,
    queryFn: ({ signal }) => timed(queryKey, () => ask(document, variables, signal)),
    placeholderData: keepPreviousData as never,
    staleTime: renewal === 'never' ? Infinity : renewal === 'minute' ? 60_000 : 1000,
    enabled,
  })
}

/** `Market` of `query Market(...)`: what its answers are kept under, so that a page can renew them by name. */
export const operationOf = (document: { toString(): string }): string => /(?:query|mutation|subscription)\s+(\w+)/.exec(document.toString())?.[1] ?? 'anonymous'

/** Asks again now for every shown answer of these operations. */
export const renew = (...operations: readonly string[]): Promise<void> => queryClient.invalidateQueries({ predicate: ({ queryKey }) => operations.includes(queryKey[1] as string) })
