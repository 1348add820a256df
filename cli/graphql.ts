import { BulwarkError, UnavailableError } from '../core/errors.ts'
import type { ErrorFacts } from '../core/errors.ts'

/** An answer of our API that is an error: its sentence and code are the API's own. */
export class ApiError extends BulwarkError {}

/** Ctrl-C. */
export class InterruptedError extends BulwarkError {
  constructor(what: string) {
    super(`${what} was cancelled; start it again whenever you like`, { code: 'INTERRUPTED' })
  }
}

type Body<T> = { data?: T | null; errors?: { message: string; path?: (string | number)[]; extensions?: { code?: string; facts?: ErrorFacts } }[] }

/** Throws UnavailableError where the API does not answer, InterruptedError once the signal is aborted. */
async function post<T>(apiUrl: string, query: string, variables: Readonly<Record<string, unknown>>, signal: AbortSignal | undefined, token?: string): Promise<Body<T>> {
  try {
    const response = await fetch(`${apiUrl}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
      body: JSON.stringify({ query, variables }),
      ...(signal === undefined ? {} : { signal }),
    })
    return (await response.json()) as Body<T>
  } catch (error) {
    if (signal?.aborted === true) throw new InterruptedError('The question')
    throw new UnavailableError({ part: 'API', found: `no answer at ${apiUrl}`, action: 'see whether it runs (npm start)' }, error)
  }
}

const errorOf = (first: NonNullable<Body<unknown>['errors']>[number]): ApiError => new ApiError(first.message, { code: first.extensions?.code ?? 'API', facts: first.extensions?.facts ?? {} })
const neither = (): ApiError => new ApiError('The API answered with neither data nor an error; its log says more', { code: 'API' })

/** Asks our API, as whom a session's token is of. Throws ApiError with the API's sentence, UnavailableError where it does not answer. */
export async function queryApi<T>(apiUrl: string, query: string, variables: Readonly<Record<string, unknown>> = {}, signal?: AbortSignal, token?: string): Promise<T> {
  const { data, errors } = await post<T>(apiUrl, query, variables, signal, token)
  if (errors?.[0] !== undefined) throw errorOf(errors[0])
  if (data === null || data === undefined) throw neither()
  return data
}

export type Partly<T> = { readonly data: T; /** Why a field is null, by its path (`backtest`). */ readonly faults: Readonly<Record<string, string>> }

/** The same, where a field may be unknown and say why. `unknown` are the codes of such faults; every other error is thrown. */
export async function queryPartly<T>(apiUrl: string, query: string, variables: Readonly<Record<string, unknown>>, unknown: ReadonlySet<string>, signal?: AbortSignal): Promise<Partly<T>> {
  const { data, errors = [] } = await post<T>(apiUrl, query, variables, signal)
  const other = errors.find((one) => !unknown.has(one.extensions?.code ?? '') || one.path === undefined)
  if (other !== undefined) throw errorOf(other)
  if (data === null || data === undefined) throw neither()
  return { data, faults: Object.fromEntries(errors.map((one) => [one.path!.join('.'), one.message])) }
}
