/** Rows per second into PostgreSQL as the mirror's store writes them, beside plain COPY of the same rows into the same tables with their indexes. */
import pg from 'pg'
import type { Entity } from '../../api/mirror/entities.ts'
import type { Row } from '../../api/mirror/graphNode.ts'
import { createStore } from '../../api/mirror/store.ts'
import { median } from './report.ts'

/** What graph-node answers at once, hence what the follower writes at once. */
const PAGE = 1_000

export type Batch = { readonly entity: Entity; readonly rows: readonly Row[] }

export type WriteResult = {
  readonly rows: number
  readonly tables: number
  readonly copyRowsPerSecond: number
  readonly rowsPerSecond: number
  readonly ratio: number
  /** New rows, each with its entry in the undo log. */
  readonly undo: { readonly rowsPerSecond: number; readonly ratio: number }
  /** Rows that replace rows which are there, each with its entry in the undo log; the ratio is to COPY into empty tables. */
  readonly replacing: { readonly rowsPerSecond: number; readonly ratio: number }
}

const quote = (name: string): string => `"${name}"`

/** How many rows each of the index's tables holds. */
export async function countRows(databaseUrl: string, entities: readonly Entity[]): Promise<Map<Entity, number>> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const counts = new Map<Entity, number>()
    for (const entity of entities) counts.set(entity, Number((await client.query<{ count: string }>(`SELECT count(*) AS count FROM ${quote(entity.name)}`)).rows[0]?.count ?? 0))
    return counts
  } finally {
    await client.end()
  }
}

/** Up to `rows` rows out of a mirror's tables, in their own proportion and in the order of their ids, as text: what graph-node's answers hold. */
export async function readBatches(databaseUrl: string, entities: readonly Entity[], rows: number): Promise<Batch[]> {
  const counts = await countRows(databaseUrl, entities)
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const all = [...counts.values()].reduce((sum, count) => sum + count, 0)
    const batches: Batch[] = []
    for (const [entity, count] of counts) {
      const share = Math.ceil((count * Math.min(rows, all)) / all)
      if (share === 0) continue
      const columns = entity.columns.map(({ column }) => `${quote(column)}::text`).join(', ')
      batches.push({ entity, rows: (await client.query<Record<string, unknown>>(`SELECT ${columns} FROM ${quote(entity.name)} ORDER BY "id" LIMIT ${share}`)).rows })
    }
    return batches
  } finally {
    await client.end()
  }
}

const pagesOf = (batches: readonly Batch[]): Batch[] => batches.flatMap(({ entity, rows }) => Array.from({ length: Math.ceil(rows.length / PAGE) }, (_, i) => ({ entity, rows: rows.slice(i * PAGE, (i + 1) * PAGE) })))

/** `freshDatabase` gives the URL of a new migrated database. Every way meets an empty database in every round, in turns. */
export async function benchWrites(batches: readonly Batch[], entities: readonly Entity[], rounds: number, freshDatabase: () => Promise<string>): Promise<WriteResult> {
  const pages = pagesOf(batches)
  const rows = batches.reduce((sum, batch) => sum + batch.rows.length, 0)
  const viaCopy = async (url: string): Promise<number> => {
    const texts = pages.map(({ entity, rows: page }) => ({ text: `COPY ${quote(entity.name)} (${entity.columns.map(({ column }) => quote(column)).join(', ')}) FROM STDIN`, lines: copyLines(entity, page) }))
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    try {
      const startedMs = performance.now()
      await client.query('BEGIN')
      for (const { text, lines } of texts) await copy(client, text, lines)
      await client.query('COMMIT')
      return (performance.now() - startedMs) / 1_000
    } finally {
      await client.end()
    }
  }
  const viaStore = (undoBlocks: readonly (bigint | null)[]) => async (url: string): Promise<number> => {
    const store = createStore(url, entities)
    try {
      await store.lead()
      let seconds = NaN
      for (const undoBlock of undoBlocks) {
        const startedMs = performance.now()
        await store.transaction(async () => {
          for (const { entity, rows: page } of pages) await store.write(entity, page, undoBlock)
        })
        seconds = (performance.now() - startedMs) / 1_000
      }
      return seconds
    } finally {
      await store.close()
    }
  }
  // The last of a way's passes is the one that is timed.
  const ways = { copy: viaCopy, plain: viaStore([null]), undo: viaStore([1n]), replacing: viaStore([null, 1n]) }
  const seconds = { copy: [] as number[], plain: [] as number[], undo: [] as number[], replacing: [] as number[] }
  for (let round = 0; round < rounds; round++) {
    const order = Object.keys(ways) as (keyof typeof ways)[]
    for (const way of round % 2 === 0 ? order : order.toReversed()) seconds[way].push(await ways[way](await freshDatabase()))
  }
  const rate = (way: keyof typeof ways): number => rows / median(seconds[way])
  const result = (way: keyof typeof ways) => ({ rowsPerSecond: rate(way), ratio: rate(way) / rate('copy') })
  return { rows, tables: batches.length, copyRowsPerSecond: rate('copy'), ...result('plain'), undo: result('undo'), replacing: result('replacing') }
}

/** Rows in COPY's text format. */
export const copyLines = (entity: Entity, rows: readonly Row[]): string =>
  rows.map((row) => `${entity.columns.map(({ column }) => copyText(row[column] ?? null)).join('\t')}\n`).join('')

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }
/** Values come from PostgreSQL as text. */
const copyText = (value: unknown): string => (typeof value !== 'string' ? '\\N' : value.replaceAll(/[\\\t\n\r]/g, (character) => ESCAPES[character] ?? character))

/** COPY … FROM STDIN, over node-postgres' own protocol connection. */
function copy(client: pg.Client, text: string, lines: string): Promise<void> {
  type Connection = { query(text: string): void; sendCopyFromChunk(chunk: Buffer): void; endCopyFrom(): void }
  return new Promise((resolve, reject) => {
    client.query({
      submit: (connection: Connection) => connection.query(text),
      handleCopyInResponse: (connection: Connection) => {
        connection.sendCopyFromChunk(Buffer.from(lines))
        connection.endCopyFrom()
      },
      handleCommandComplete: () => undefined,
      handleReadyForQuery: () => resolve(),
      handleError: reject,
    } as unknown as pg.Submittable)
  })
}
