/** What of an error a client may see: our own errors' sentence, code and facts; of anything else a log id alone. */
import { randomUUID } from 'node:crypto'
import { unwrapResolverError } from '@apollo/server/errors'
import type { GraphQLFormattedError } from 'graphql'
import { BulwarkError, UnavailableError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'

/** Codes that graphql-js and Apollo give a client's own mistakes; their sentences hold nothing of ours. */
const CLIENT_CODES = new Set(['GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED', 'BAD_USER_INPUT', 'BAD_REQUEST', 'OPERATION_RESOLUTION_FAILURE', 'PERSISTED_QUERY_NOT_SUPPORTED', 'PERSISTED_QUERY_NOT_FOUND', 'QUERY_TOO_DEEP', 'QUERY_TOO_LARGE', 'TOO_MANY_ALIASES', 'TOO_MANY_SUBSCRIPTIONS', 'RATE_LIMITED', 'NOT_FOUND', 'BAD_INPUT'])

/** Our error for what the database's driver throws when nobody answers; anything else comes back as it is. */
export function asKnownError(error: unknown): unknown {
  if (error instanceof BulwarkError) return error
  for (let cause: unknown = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth++) {
    const text = `${cause.name} ${(cause as { code?: string }).code ?? ''} ${cause.message}`
    if (/ECONNREFUSED|ECONNRESET|EPIPE|ENOTFOUND|ETIMEDOUT|P1001|P1002|P1017|P2024|P2028|\b53300\b|\b55000\b|\b57P0[123]\b|DatabaseNotReachable|ConnectionClosed|SocketTimeout|Can't reach database|Connection terminated|Server has closed the connection|connection timeout/i.test(text)) {
      return new UnavailableError({ part: 'database', found: 'it does not answer', action: 'see Query.status and ask again in a few seconds' }, error)
    }
  }
  return error
}

/** The argument at fault as a path, a list's places as numbers: `input.legs.1.size` is ["input", "legs", 1, "size"]. */
const argumentPath = (field: unknown): { path?: (string | number)[] } => (typeof field === 'string' && field !== '' ? { path: field.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part)) } : {})

/** Apollo's `formatError`: never a stack trace, never an inner message of a fault of ours. */
export function errorFormatter(log: Logger): (formatted: GraphQLFormattedError, error: unknown) => GraphQLFormattedError {
  return (formatted, error) => {
    const where = { ...(formatted.locations ? { locations: formatted.locations } : {}), ...(formatted.path ? { path: formatted.path } : {}) }
    const original = asKnownError(unwrapResolverError(error))
    if (original instanceof BulwarkError && original.code !== 'INVARIANT') {
      const facts = Object.fromEntries(Object.entries(original.facts).map(([name, value]) => [name, typeof value === 'bigint' ? value.toString() : value]))
      return { message: original.message, ...where, extensions: { code: original.code, ...argumentPath(facts['field']), facts } }
    }
    const code = formatted.extensions?.['code']
    if (typeof code === 'string' && CLIENT_CODES.has(code)) {
      const facts = formatted.extensions?.['facts']
      // graphql-js names the place in a variable in its sentence alone.
      const field = /^Variable "\$(\w+)"(?: got invalid value .* at "(\w+)((?:\.\w+|\[\d+\])*)";)?/s.exec(formatted.message)
      return { message: formatted.message, ...where, extensions: { code, ...argumentPath(field === null ? undefined : `${field[1]}${(field[3] ?? '').replace(/\[(\d+)\]/g, '.$1')}`), ...(facts === undefined ? {} : { facts }) } }
    }
    const logId = randomUUID()
    log.error({ logId, err: original, path: formatted.path }, 'a request failed')
    return { message: `Internal error; the server's log has it under ${logId}`, ...where, extensions: { code: 'INTERNAL', logId } }
  }
}
