/**
 * `npx tsx test/benchmarks/mirror-write.ts`: rows per second into PostgreSQL as the mirror writes them, beside plain
 * COPY of the same rows into the same table with its indexes, pages of 1,000 rows in one transaction each way.
 */
import pg from 'pg'
import { readEntities } from '../../api/mirror/entities.ts'
import type { Row } from '../../api/mirror/graphNode.ts'
import { createStore } from '../../api/mirror/store.ts'
import { startTestPostgres } from '../support/postgres.ts'

const ROWS = 50_000
const PAGE = 1_000
const ROUNDS = 5

const entities = readEntities()
const entity = entities.find(({ name }) => name === 'PositionChange') ?? entities[0]
if (entity === undefined) throw new Error('the index has no entity')
const { name, columns } = entity
const hex = (n: number, bytes: number): string => `0x${n.toString(16).padStart(2 * bytes, '0')}`
/** Ids are hashes on chain: spread over the index, in its order as graph-node gives them. */
const scatter = (n: number): number => Math.imul(n, 2_654_435_761) >>> 0

const rows: Row[] = Array.from({ length: ROWS }, (_, i) =>
  Object.fromEntries(
    columns.map(({ column, sqlType }) => {
      if (column === 'id') return [column, hex(scatter(i), 36)]
      if (sqlType === 'numeric') return [column, (BigInt(i) * 10n ** 20n + 123_456_789n).toString()]
      if (sqlType === 'text') return [column, hex(column === 'transactionHash' ? scatter(i) : i % 40, column === 'transactionHash' ? 32 : 20)]
      return [column, String(1_000 + i)]
    }),
  ),
).toSorted((a, b) => (String(a['id']) < String(b['id']) ? -1 : 1))
const pages = Array.from({ length: ROWS / PAGE }, (_, i) => rows.slice(i * PAGE, (i + 1) * PAGE))

/** COPY … FROM STDIN of one page, over node-postgres' own protocol connection. */
function copy(client: pg.Client, page: readonly Row[]): Promise<void> {
  type Connection = { query(text: string): void; sendCopyFromChunk(chunk: Buffer): void; endCopyFrom(): void }
  const text = `COPY "${name}" (${columns.map(({ column }) => `"${column}"`).join(', ')}) FROM STDIN`
  const lines = page.map((row) => `${columns.map(({ column }) => String(row[column])).join('\t')}\n`).join('')
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

const postgres = await startTestPostgres()

async function viaCopy(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const startedMs = performance.now()
  await client.query('BEGIN')
  for (const page of pages) await copy(client, page)
  await client.query('COMMIT')
  const seconds = (performance.now() - startedMs) / 1_000
  await client.end()
  return ROWS / seconds
}

const viaMirror = (undoBlock: bigint | null) => async (url: string): Promise<number> => {
  const store = createStore(url, entities)
  await store.lead()
  const startedMs = performance.now()
  await store.transaction(async () => {
    for (const page of pages) await store.write(entity, page, undoBlock)
  })
  const seconds = (performance.now() - startedMs) / 1_000
  await store.close()
  return ROWS / seconds
}

const ways = { 'plain COPY': viaCopy, 'mirror, first sync': viaMirror(null), 'mirror, with undo log': viaMirror(1n) }
const rates = new Map(Object.keys(ways).map((way) => [way, [] as number[]]))
try {
  for (let round = 0; round < ROUNDS; round++) {
    for (const [way, run] of Object.entries(ways)) rates.get(way)?.push(await run(await postgres.freshDatabase()))
  }
} finally {
  await postgres.stop()
}
for (const [way, seen] of rates) {
  const sorted = seen.toSorted((a, b) => a - b)
  process.stdout.write(`${way.padEnd(24)} ${Math.round(sorted[sorted.length >> 1] ?? 0)} rows/s (median of ${ROUNDS}; ${Math.round(sorted[0] ?? 0)} to ${Math.round(sorted.at(-1) ?? 0)})\n`)
}
