/** Compares two mirrors row by row. */
import pg from 'pg'
import { readEntities } from '../../api/mirror/entities.ts'

export type Comparison = {
  readonly tables: number
  readonly rows: number
  readonly mismatchedRows: number
  /** Those that differ, by table. */
  readonly byTable: Readonly<Record<string, number>>
  /** Some of the rows that differ, each with both sides; for whoever has to find out why. */
  readonly examples: readonly string[]
}

const PAGE = 5_000
const EXAMPLES = 10

/** Tables of the index, of the reducer, and where both stand. The follower's own figures and the ways back are not compared. */
const TABLES: readonly { name: string; select: string }[] = [
  ...readEntities().map(({ name }) => ({ name, select: `SELECT "id", to_jsonb(t)::text AS row FROM "${name}" t` })),
  { name: 'ReplayRow', select: 'SELECT "id", to_jsonb(t)::text AS row FROM "ReplayRow" t' },
  { name: 'ReplayStatus', select: 'SELECT "id"::text, to_jsonb(t)::text AS row FROM "ReplayStatus" t' },
  { name: 'Checkpoint', select: `SELECT * FROM (SELECT 'newest' AS id, jsonb_build_array("blockNumber", "blockHash", "blockTimestamp")::text AS row FROM "Checkpoint" ORDER BY "blockNumber" DESC LIMIT 1) t` },
]

type Line = { id: string; row: string }

/** Rows in the order of their ids, a page at a time. */
async function* rowsOf(client: pg.Client, select: string): AsyncGenerator<Line> {
  await client.query('BEGIN')
  await client.query(`DECLARE rows NO SCROLL CURSOR FOR SELECT * FROM (${select}) AS t ORDER BY "id" COLLATE "C"`)
  for (;;) {
    const { rows } = await client.query<Line>(`FETCH FORWARD ${PAGE} FROM rows`)
    yield* rows
    if (rows.length < PAGE) break
  }
  await client.query('COMMIT')
}

/** Throws what node-postgres throws. Both databases must stand still. */
export async function compareMirrors(oneUrl: string, otherUrl: string): Promise<Comparison> {
  const clients = [oneUrl, otherUrl].map((connectionString) => new pg.Client({ connectionString }))
  const [one, other] = clients as [pg.Client, pg.Client]
  await Promise.all(clients.map((client) => client.connect()))
  let rows = 0
  let mismatchedRows = 0
  const byTable: Record<string, number> = {}
  const examples: string[] = []
  const differ = (table: string, left: Line | undefined, right: Line | undefined): void => {
    mismatchedRows++
    byTable[table] = (byTable[table] ?? 0) + 1
    if (examples.length < EXAMPLES) examples.push(`${table} ${left?.id ?? right?.id ?? ''}: ${left?.row ?? 'no row'} | clean run: ${right?.row ?? 'no row'}`)
  }
  try {
    for (const { name, select } of TABLES) {
      const [a, b] = [rowsOf(one, select), rowsOf(other, select)]
      let left = await a.next()
      let right = await b.next()
      while (left.done !== true || right.done !== true) {
        rows++
        const order = left.done === true ? 1 : right.done === true ? -1 : Buffer.compare(Buffer.from(left.value.id), Buffer.from(right.value.id))
        if (order === 0 && left.done !== true && right.done !== true && left.value.row !== right.value.row) differ(name, left.value, right.value)
        if (order < 0) differ(name, left.value, undefined)
        if (order > 0) differ(name, undefined, right.value)
        const [nextLeft, nextRight] = [order <= 0, order >= 0]
        if (nextLeft) left = await a.next()
        if (nextRight) right = await b.next()
      }
    }
  } finally {
    await Promise.all(clients.map((client) => client.end()))
  }
  return { tables: TABLES.length, rows, mismatchedRows, byTable, examples }
}

/** A bucket as graph-node answers; a reference as the other's id. */
type Bucket = Readonly<Record<string, string>>
const flat = (row: Readonly<Record<string, string | { readonly id: string }>>): Bucket => Object.fromEntries(Object.entries(row).map(([key, value]) => [key, typeof value === 'object' ? value.id : value]))

/**
 * The buckets of a mirror against graph-node's own aggregations, a second way to the same figures. Those that graph-node
 * has are compared, all of them; it must be one that has neither been started again nor seen a reorg.
 */
export async function compareRollups(graphNodeUrl: string, databaseUrl: string): Promise<{ buckets: number; mismatchedBuckets: number }> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  let buckets = 0
  let mismatchedBuckets = 0
  try {
    for (const { name, rollup } of readEntities()) {
      if (rollup === null) continue
      const field = `${name.charAt(0).toLowerCase()}${name.slice(1)}_collection`
      const dimensions = rollup.dimensions.map(({ field: source, reference }) => (reference ? `${source} { id }` : source))
      const columns = rollup.aggregates.map(({ column }) => column)
      for (const interval of rollup.intervals) {
        const { rows: ours } = await client.query<Record<string, string>>(`SELECT "id", ${columns.map((column) => `"${column}"::text`).join(', ')} FROM "${name}" WHERE "interval" = $1`, [interval])
        const mirrored = new Map(ours.map((row) => [row['id'], row]))
        let after = ''
        for (;;) {
          const response = await fetch(graphNodeUrl, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ query: `{ list: ${field}(interval: ${interval}, first: 1000, orderBy: id, orderDirection: asc${after === '' ? '' : `, where: { id_gt: "${after}" }`}) { id timestamp ${[...dimensions, ...columns].join(' ')} } }` }),
          })
          const { data, errors } = (await response.json()) as { data?: { list: Record<string, string | { id: string }>[] }; errors?: unknown }
          if (data === undefined) throw new TypeError(`graph-node refused ${field}: ${JSON.stringify(errors)}`)
          for (const theirs of data.list.map(flat)) {
            buckets++
            const id = [interval, ...rollup.dimensions.map(({ field: source }) => theirs[source ?? '']), BigInt(theirs['timestamp'] ?? '') / 1_000_000n].join(':')
            const row = mirrored.get(id)
            mirrored.delete(id)
            if (row === undefined || columns.some((column) => row[column] !== theirs[column])) mismatchedBuckets++
            after = theirs['id'] ?? ''
          }
          if (data.list.length < 1000) break
        }
        // What it does not have and we do.
        mismatchedBuckets += mirrored.size
        buckets += mirrored.size
      }
    }
  } finally {
    await client.end()
  }
  return { buckets, mismatchedBuckets }
}
