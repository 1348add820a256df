/** Whole lists as files: streamed, in turns between which others are answered. */
import type { Request, RequestHandler } from 'express'
import { getVariableValues, parse } from 'graphql'
import type { GraphQLSchema, OperationDefinitionNode } from 'graphql'
import { asKnownError } from './errors.ts'
import { BadInputError, BulwarkError, UnavailableError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import { accountsCsv } from './accounts.ts'
import { createContext } from './context.ts'
import type { Services } from './context.ts'
import type { QueryAccountTableArgs } from './generated/resolvers.ts'
import { RateLimitedError } from './rates.ts'

/** Of all clients: each takes a share of this process for some seconds. */
const AT_ONCE = 3
/** A reader that is slower than this gives its turn to others. */
const DEADLINE_MS = 300_000

const VARIABLES = (parse('query($orderBy: AccountOrder, $direction: SortDirection, $filter: AccountFilterInput, $block: Hex) { __typename }').definitions[0] as OperationDefinitionNode).variableDefinitions ?? []

/** As GraphQL takes them; `filter` is JSON. Throws BadInputError. */
function argumentsOf(schema: GraphQLSchema, query: Request['query']): Partial<QueryAccountTableArgs> {
  const { filter, ...rest } = query
  const known = ['orderBy', 'direction', 'filter', 'block']
  const stranger = Object.keys(query).find((name) => !known.includes(name))
  if (stranger !== undefined) throw new BadInputError(`Found the argument ${stranger.slice(0, 60)}, allowed are ${known.join(', ')}; take it out`, { field: stranger.slice(0, 60) })
  let parsed: unknown = null
  try {
    parsed = typeof filter === 'string' ? JSON.parse(filter) : (filter ?? null)
  } catch {
    throw new BadInputError('Found a filter that is no JSON, allowed is an AccountFilterInput as JSON: {"market":"vETH"}; correct it', { field: 'filter' })
  }
  const { errors, coerced } = getVariableValues(schema, VARIABLES, { ...rest, filter: parsed })
  if (coerced === undefined) throw new BadInputError(errors[0]?.message ?? 'Found arguments of another form, allowed are those of accountTable; correct them')
  return coerced
}

/** GET with the arguments of `accountTable` but for the page. Refusals have the form of GraphQL's. */
export function exportAccounts(services: Services, schema: () => GraphQLSchema, log: Logger): RequestHandler {
  let running = 0
  return async (request, response) => {
    const context = createContext(services)
    running++
    try {
      if (running > AT_ONCE) throw new RateLimitedError({ what: 'exports at once', max: AT_ONCE, againSec: 10 })
      const list = await accountsCsv(context, argumentsOf(schema(), request.query))
      if (list === null) throw new UnavailableError({ part: 'index', found: 'it holds no block yet', action: 'ask again after the first' })
      // All rows stand in the book: the database is not held while somebody reads them.
      await context.close()
      response.set({ 'Content-Type': 'text/csv; charset=utf-8', 'Content-Disposition': `attachment; filename="accounts-block-${list.block}.csv"`, 'Cache-Control': 'no-store' })
      const deadline = setTimeout(() => response.destroy(), DEADLINE_MS)
      // One set of listeners for the whole answer: `compression` hands those of `drain` to a stream of its own, from which the response cannot take them back.
      let goOn = (): void => {}
      for (const event of ['drain', 'close', 'error']) response.on(event, () => goOn())
      try {
        for await (const text of list.lines) {
          if (response.destroyed) break
          if (!response.write(text)) await new Promise<void>((resolve) => (goOn = resolve))
        }
      } finally {
        clearTimeout(deadline)
      }
      response.end()
    } catch (error) {
      const known = asKnownError(error)
      if (!(known instanceof BulwarkError)) log.error({ err: error }, 'an export failed')
      if (response.headersSent) response.destroy()
      else if (known instanceof BulwarkError) response.status(known.code === 'RATE_LIMITED' ? 429 : known.code === 'UNAVAILABLE' ? 503 : 400).json({ errors: [{ message: known.message, extensions: { code: known.code } }] })
      else response.status(500).json({ errors: [{ message: 'Internal error; see the server’s log', extensions: { code: 'INTERNAL' } }] })
    } finally {
      running--
      await context.close()
    }
  }
}
