import { BulwarkError, UnavailableError } from '../core/errors.ts'
import type { ErrorFacts } from '../core/errors.ts'

/** An answer of our API that is an error: its sentence and code are the API's own. */
export class ApiError extends BulwarkError {}

/** Asks our API. Throws ApiError with the API's sentence, UnavailableError where it does not answer. */
export async function queryApi<T>(apiUrl: string, query: string, variables: Readonly<Record<string, unknown>> = {}): Promise<T> {
  let body: { data?: T | null; errors?: { message: string; extensions?: { code?: string; facts?: ErrorFacts } }[] }
  try {
    const response = await fetch(`${apiUrl}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ query, variables }),
    })
    body = (await response.json()) as typeof body
  } catch (error) {
    throw new UnavailableError({ part: 'API', found: `no answer at ${apiUrl}`, action: 'see whether it runs (npm start)' }, error)
  }
  const first = body.errors?.[0]
  if (first !== undefined) throw new ApiError(first.message, { code: first.extensions?.code ?? 'API', facts: first.extensions?.facts ?? {} })
  if (body.data === null || body.data === undefined) throw new ApiError('The API answered with neither data nor an error; its log says more', { code: 'API' })
  return body.data
}
