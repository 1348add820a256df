/**
 * Cursor connections: a page is `first` nodes after an opaque cursor, and a cursor is the sort key of the node it ends on.
 * A cursor stays good while rows come and go, because it names a place in the order and not a count of rows.
 */
import { BadInputError } from '../../core/errors.ts'

export const MAX_FIRST = 200

export type Connection<Node> = {
  nodes: Node[]
  pageInfo: { hasNextPage: boolean; endCursor: string | null }
  /** As the API's field: read through GraphQL alone. */
  totalCount: number
}

export type PageArgs = { readonly first?: number | null | undefined; readonly after?: string | null | undefined }

/** A part of a sort key: text, any whole number, or one that a 64 or 32 bit column holds. */
export type KeyPart = 'text' | 'integer' | 'int64' | 'int32'

const fits: Readonly<Record<KeyPart, (part: string) => boolean>> = {
  // PostgreSQL holds no NUL in a text.
  text: (part) => !part.includes('\0'),
  integer: (part) => /^-?\d{1,80}$/.test(part),
  int64: (part) => /^\d{1,19}$/.test(part) && BigInt(part) < 2n ** 63n,
  int32: (part) => /^\d{1,10}$/.test(part) && BigInt(part) < 2n ** 31n,
}

/** What one list has to give: its name (cursors of other lists are refused), a size, and rows after a key. */
export type PageSource<Row> = {
  /** Name of the list and its order, e.g. `accounts by ID`. */
  readonly list: string
  /** What its sort key consists of. */
  readonly parts: readonly KeyPart[]
  key(row: Row): readonly string[]
  /** At most `take` rows that come after `key`, in order; from the start where `key` is null. */
  rows(key: readonly string[] | null, take: number): Promise<readonly Row[]>
  total(): Promise<number>
}

export const encodeCursor = (list: string, key: readonly string[]): string =>
  Buffer.from(JSON.stringify([list, ...key])).toString('base64url')

/** Throws BadInputError where the cursor is not one of this list's. */
export function decodeCursor(list: string, key: readonly KeyPart[], cursor: string): readonly string[] {
  const refuse = () => new BadInputError(`Found the cursor "${shorten(cursor)}", allowed is an endCursor of the list of ${list}; leave out \`after\` to start over`, { field: 'after', list })
  let parts: unknown
  try {
    parts = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
  } catch {
    throw refuse()
  }
  if (!Array.isArray(parts) || parts.length !== key.length + 1 || parts[0] !== list || !parts.every((part) => typeof part === 'string')) throw refuse()
  const values = parts.slice(1) as string[]
  if (!key.every((part, index) => fits[part](values[index] ?? ''))) throw refuse()
  return values
}

/** The whole list is counted only where the query selects `totalCount`. Throws BadInputError where `first` is out of 1..200 or `after` is no cursor of this list. */
export async function page<Row>(source: PageSource<Row>, args: PageArgs): Promise<Connection<Row>> {
  const first = checkFirst(args.first)
  const key = args.after == null ? null : decodeCursor(source.list, source.parts, args.after)
  const rows = await source.rows(key, first + 1)
  const nodes = rows.slice(0, first)
  let counted: Promise<number> | undefined
  const last = nodes.at(-1)
  return {
    nodes,
    pageInfo: { hasNextPage: rows.length > first, endCursor: last === undefined ? null : encodeCursor(source.list, source.key(last)) },
    // graphql-js calls what is a function, once the field is selected; the generated types know values alone.
    totalCount: (() => (counted ??= source.total())) as unknown as number,
  }
}

/** Throws BadInputError where `first` is not within 1..200. */
export function checkFirst(first: number | null | undefined, name = 'first', max = MAX_FIRST): number {
  const value = first ?? 50
  if (!Number.isInteger(value) || value < 1 || value > max) {
    throw new BadInputError(`Found ${name}: ${value}, allowed is 1 to ${max}; ask for fewer and go on with \`after\``, { field: name, [name]: value, max })
  }
  return value
}

const shorten = (text: string): string => (text.length > 40 ? `${text.slice(0, 40)}…` : text)
