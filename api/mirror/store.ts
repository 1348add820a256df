import { hostname } from 'node:os'
import pg from 'pg'
import type { Fact, Json, ReplayNeed, ReplayRow } from '../../protocols/adapter.ts'
import type { Block } from './chain.ts'
import type { Entity, Interval } from './entities.ts'
import type { Row } from './graphNode.ts'
import { TroubleError, type TroubleKind } from './trouble.ts'

/** PostgreSQL channel on which every stored step is announced; the payload is the block number. */
export const STEP_CHANNEL = 'mirror_step'

/**
 * Blocks below the head of which checkpoints and undo rows are kept. Optimism's sequencer and Ethereum before finality
 * (two epochs, 64 slots) reorganise less; graph-node was tried with 200.
 */
export const UNDO_DEPTH = 300n

/** Session lock of the one follower that writes: 'BULW' and the mirror's number. */
const LOCK = [0x42_55_4c_57, 1] as const

/** What the protocol's reducer keeps, as a table that is written and rewound like any other. */
const REPLAY: Entity = {
  name: 'ReplayRow',
  queryField: '',
  kind: 'STATE',
  rollup: null,
  columns: [
    { field: null, column: 'id', sqlType: 'text', reference: false },
    { field: null, column: 'kind', sqlType: 'text', reference: false },
    { field: null, column: 'value', sqlType: 'jsonb', reference: false },
  ],
}

/** Rows that one statement takes or gives: bounds what is in memory. */
const BATCH_ROWS = 1_000

/**
 * PostgreSQL ends a session, and with it the lead, whose process has said nothing for 6 s (it is stopped, or hangs), or whose
 * machine does not answer (5 s); the connection's own process says something every 2 s. Names that a server does not know
 * are left out.
 */
const SESSION_SETTINGS = [
  ['idle_session_timeout', '6s'],
  ['idle_in_transaction_session_timeout', '6s'],
  ['tcp_keepalives_idle', '2'],
  ['tcp_keepalives_interval', '1'],
  ['tcp_keepalives_count', '3'],
  ['tcp_user_timeout', '6s'],
] as const
const PING_MS = 2_000

export type MirrorState = 'STARTING' | 'FOLLOWING' | 'CATCHING_UP' | 'WAITING'

/** Columns of MirrorStatus that a writer sets; what is left out keeps its value. */
export type StatusPatch = Partial<{
  state: MirrorState
  deployment: string
  indexedBlock: bigint
  indexedHash: string
  indexedTimestamp: bigint
  graphNodeBlock: bigint
  chainBlock: bigint
  chainTimestamp: bigint
  lastStepAt: Date
  lastReorgDepth: bigint
  lastReorgAt: Date
  error: string | null
  errorPart: string | null
  errorKind: TroubleKind | null
  errorSince: Date | null
  lastError: string
  lastErrorAt: Date
}>

/** What happened since the last writing. */
export type Figures = {
  readonly steps?: { readonly rows: number; readonly ms: number }
  readonly reorgBlocks?: bigint
  readonly rebuilds?: number
  readonly errors?: Readonly<Record<string, number>>
}

export type Store = {
  /** Opens the connection where there is none and takes the lock; false while another follower holds it. Throws TroubleError. */
  lead(): Promise<boolean>
  deployment(): Promise<string | null>
  latestCheckpoint(): Promise<Block | null>
  /** Numbers and hashes of all checkpoints, newest first. */
  checkpoints(): Promise<readonly Block[]>
  /** Runs `work` in one transaction: all of it is stored, or none. */
  transaction<T>(work: () => Promise<T>): Promise<T>
  /** Inserts or replaces rows; keeps what they replaced for the step that ends at `undoBlock`, where one is given. */
  write(entity: Entity, rows: readonly Row[], undoBlock: bigint | null): Promise<void>
  /** Rows of a rollup's table whose buckets begin in [fromSec, untilSec), in the order of time. */
  buckets(entity: Entity, interval: Interval, fromSec: bigint, untilSec: bigint): Promise<readonly Row[]>
  /** Adds the step's checkpoint and forgets what lies deeper than UNDO_DEPTH. Without `undoable` every earlier checkpoint is forgotten: there is no way back to it. */
  checkpoint(block: Block, rowCount: number, undoable: boolean): Promise<void>
  /** Back to what was stored at the checkpoint `blockNumber`. Returns how many rows were put back or taken out. */
  rewind(blockNumber: bigint): Promise<number>
  /** Takes out every row of the index, every checkpoint and the undo log. */
  clear(): Promise<void>
  status(patch: StatusPatch): Promise<void>
  /** Adds to the counters that only grow. */
  count(figures: Figures): Promise<void>
  /** Name of the protocol that is indexed; null before its first event. Throws TroubleError where there are several. */
  protocolName(): Promise<string | null>
  /** Which reduction ReplayRow holds; null: none. */
  replayStatus(): Promise<ReplayStatus | null>
  setReplayStatus(status: ReplayStatus): Promise<void>
  /** Takes out what the reducer keeps, its undo rows included. */
  clearReplay(): Promise<void>
  /** Facts of the blocks above `after` up to `upTo`, in the order block, log index, id; whole blocks, about `chunk` facts at a time. */
  facts(names: readonly string[], after: bigint, upTo: bigint, chunk: number): AsyncGenerator<readonly Fact[]>
  replayRows(needs: readonly ReplayNeed[]): Promise<readonly ReplayRow[]>
  writeReplay(rows: readonly ReplayRow[], undoBlock: bigint | null): Promise<void>
  /** Tells listeners of STEP_CHANNEL when the transaction commits. */
  announce(blockNumber: bigint): Promise<void>
  close(): Promise<void>
}

export type ReplayStatus = { readonly version: number; readonly blockNumber: bigint }

const quote = (name: string): string => `"${name}"`

/** The statements of one entity, composed once: names come from the schema file, values are always parameters. */
function statementsOf(entity: Entity) {
  const table = quote(entity.name)
  const columns = entity.columns.map(({ column }) => quote(column)).join(', ')
  const arrays = entity.columns.map(({ sqlType }, i) => `$${i + 1}::${sqlType}[]`).join(', ')
  const update = entity.columns.filter(({ column }) => column !== 'id').map(({ column }) => `${quote(column)} = EXCLUDED.${quote(column)}`).join(', ')
  const upsert = (from: string): string => `INSERT INTO ${table} (${columns}) SELECT ${columns} FROM ${from} ON CONFLICT ("id") DO UPDATE SET ${update}`
  return {
    // One array per column: 0.8 of plain COPY's rows per second into the same indexed table, json_to_recordset had 0.7.
    write: upsert(`unnest(${arrays}) AS incoming(${columns})`),
    // All parts of one statement see the table as it was before it: `previous` is the row that the insert replaces.
    writeWithUndo: `WITH incoming AS MATERIALIZED (SELECT * FROM unnest(${arrays}) AS r(${columns})),
      undo AS (
        INSERT INTO "UndoLog" ("blockNumber", "entity", "rowId", "previous")
        SELECT $${entity.columns.length + 1}::int8, '${entity.name}', incoming."id", to_jsonb(previous)
        FROM incoming LEFT JOIN ${table} AS previous ON previous."id" = incoming."id"
        -- A row that a step writes twice goes back to what the step found.
        ON CONFLICT DO NOTHING
      ) ${upsert('incoming')}`,
    // A row that several steps changed goes back to what the first of them found.
    rewind: `WITH oldest AS MATERIALIZED (
        SELECT DISTINCT ON ("rowId") "rowId", "previous" FROM "UndoLog"
        WHERE "entity" = '${entity.name}' AND "blockNumber" > $1::int8 ORDER BY "rowId", "blockNumber"
      ), removed AS (
        DELETE FROM ${table} USING oldest WHERE ${table}."id" = oldest."rowId" AND oldest."previous" IS NULL RETURNING 1
      ), restored AS (
        ${upsert(`(SELECT was.* FROM oldest, jsonb_populate_record(NULL::${table}, oldest."previous") AS was WHERE oldest."previous" IS NOT NULL) AS restoring`)} RETURNING 1
      ) SELECT (SELECT count(*) FROM removed) + (SELECT count(*) FROM restored) AS rows`,
  }
}

type BlockRow = { blockNumber: string; blockHash: string; blockTimestamp: string }
const blockOf = (row: BlockRow): Block => ({ number: BigInt(row.blockNumber), hash: row.blockHash, timestamp: BigInt(row.blockTimestamp) })

/** The mirror's tables over one connection, which also holds the lock: where it breaks, the step and the lead are both gone. */
export function createStore(databaseUrl: string, entities: readonly Entity[]): Store {
  const statements = new Map([...entities, REPLAY].map((entity) => [entity, statementsOf(entity)]))
  let client: pg.Client | undefined
  let leading = false
  let pinging: NodeJS.Timeout | undefined
  let queue: Promise<void> = Promise.resolve()
  let busy = 0

  const unavailable = (found: string, cause?: unknown): TroubleError =>
    new TroubleError('DATABASE_UNREACHABLE', found, 'check DATABASE_URL and that PostgreSQL runs; the mirror goes on by itself', cause)
  const refused = (found: string, cause?: unknown): TroubleError =>
    new TroubleError('DATABASE_REFUSED', found, 'check that the database is migrated and has room; the mirror tries again by itself', cause)

  function drop(): void {
    const broken = client
    client = undefined
    leading = false
    clearInterval(pinging)
    void broken?.end().catch(() => undefined)
  }

  /** Says that this process lives, where nothing else does. */
  function ping(): void {
    if (busy === 0 && client !== undefined) void sql('SELECT 1').catch(() => undefined)
  }

  /** One statement at a time. */
  async function sql<R extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<R[]> {
    busy++
    const turn = queue.then(() => run<R>(text, values))
    queue = turn.then(
      () => void busy--,
      () => void busy--,
    )
    return await turn
  }

  async function run<R extends pg.QueryResultRow>(text: string, values: readonly unknown[]): Promise<R[]> {
    if (client === undefined) throw unavailable('there is no connection')
    const current = client
    try {
      return (await current.query<R>(text, [...values])).rows
    } catch (cause) {
      // A refused statement leaves the connection usable; anything without an SQLSTATE, of class 57 or 08, or an idle time-out ends it.
      const code = (cause as { code?: string }).code ?? ''
      const broken = !/^[0-9A-Z]{5}$/.test(code) || code.startsWith('57') || code.startsWith('08') || code === '25P03'
      if (broken && client === current) drop()
      throw broken ? unavailable('the connection broke', cause) : refused(`PostgreSQL refused a statement (${code}: ${(cause as Error).message})`, cause)
    }
  }

  async function write(entity: Entity, rows: readonly Row[], undoBlock: bigint | null): Promise<void> {
    const statement = statements.get(entity)
    if (statement === undefined || rows.length === 0) return
    const arrays = entity.columns.map(({ column }) => rows.map((row) => row[column] ?? null))
    if (undoBlock === null) await sql(statement.write, arrays)
    else await sql(statement.writeWithUndo, [...arrays, undoBlock])
  }

  async function* facts(names: readonly string[], after: bigint, upTo: bigint, chunk: number): AsyncGenerator<readonly Fact[]> {
    const sources = entities.filter(({ name }) => names.includes(name)).map(({ name, columns }) => {
      // As api/mirror gives them to a reducer: integers that may pass 2^53 as text.
      const fields = columns.map(({ column, sqlType }) => (sqlType === 'numeric' || sqlType === 'int8' ? `${quote(column)}::text AS ${quote(column)}` : quote(column)))
      return `SELECT '${name}' AS entity, f."blockNumber" AS block, f."logIndex" AS log, f."id" COLLATE "C" AS id, to_jsonb(r) AS fact
        FROM ${quote(name)} AS f, LATERAL (SELECT ${fields.map((field) => `f.${field}`).join(', ')}) AS r
        WHERE f."blockNumber" > ${after} AND f."blockNumber" <= ${upTo}`
    })
    if (sources.length === 0) return
    // A cursor: the server sorts, on its disk where that is needed, and this process holds one chunk.
    await sql(`DECLARE facts NO SCROLL CURSOR FOR SELECT entity, fact FROM (${sources.join(' UNION ALL ')}) AS f ORDER BY block, log, id, entity`)
    let held: Fact[] = []
    for (;;) {
      const rows = await sql<{ entity: string; fact: Omit<Fact, 'entity'> }>(`FETCH FORWARD ${chunk} FROM facts`)
      held.push(...rows.map(({ entity, fact }) => ({ ...fact, entity }) as Fact))
      if (rows.length < chunk) break
      const last = held.at(-1)?.blockNumber
      const whole = held.findIndex(({ blockNumber }) => blockNumber === last)
      if (whole === 0) continue
      yield held.slice(0, whole)
      held = held.slice(whole)
    }
    await sql('CLOSE facts')
    if (held.length > 0) yield held
  }

  return {
    lead: async () => {
      if (client === undefined) {
        const fresh = new pg.Client({ connectionString: databaseUrl, application_name: 'bulwark mirror', connectionTimeoutMillis: 5_000, keepAlive: true })
        fresh.on('error', () => {
          if (client === fresh) drop()
        })
        try {
          await fresh.connect()
        } catch (cause) {
          void fresh.end().catch(() => undefined)
          throw unavailable('PostgreSQL did not accept a connection', cause)
        }
        client = fresh
        await sql(`SELECT set_config(name, want.value, false) FROM pg_settings JOIN (VALUES ${SESSION_SETTINGS.map(([name, value]) => `('${name}', '${value}')`).join(', ')}) AS want (name, value) USING (name)`)
        clearInterval(pinging)
        pinging = setInterval(ping, PING_MS)
        pinging.unref()
      }
      if (!leading) {
        const [row] = await sql<{ locked: boolean }>('SELECT pg_try_advisory_lock($1::int4, $2::int4) AS locked', LOCK)
        if (row?.locked === true) {
          await sql(
            'INSERT INTO "MirrorStatus" ("id", "leader", "leaderSince") VALUES (1, $1, clock_timestamp()) ON CONFLICT ("id") DO UPDATE SET "leader" = EXCLUDED."leader", "leaderSince" = EXCLUDED."leaderSince"',
            [`${hostname()}:${process.pid}`],
          )
          leading = true
        }
      }
      return leading
    },

    deployment: async () => (await sql<{ deployment: string | null }>('SELECT "deployment" FROM "MirrorStatus" WHERE "id" = 1'))[0]?.deployment ?? null,

    latestCheckpoint: async () => {
      const [row] = await sql<BlockRow>('SELECT "blockNumber", "blockHash", "blockTimestamp" FROM "Checkpoint" ORDER BY "blockNumber" DESC LIMIT 1')
      return row === undefined ? null : blockOf(row)
    },

    checkpoints: async () => (await sql<BlockRow>('SELECT "blockNumber", "blockHash", "blockTimestamp" FROM "Checkpoint" ORDER BY "blockNumber" DESC')).map(blockOf),

    transaction: async (work) => {
      await sql('BEGIN')
      try {
        const result = await work()
        await sql('COMMIT')
        return result
      } catch (error) {
        if (client !== undefined) await sql('ROLLBACK').catch(() => undefined)
        throw error
      }
    },

    write,

    buckets: async (entity, interval, fromSec, untilSec) => {
      const columns = entity.columns.map(({ column }) => `${quote(column)}::text`).join(', ')
      return await sql<Record<string, unknown>>(`SELECT ${columns} FROM ${quote(entity.name)} WHERE "interval" = $1 AND "timestamp" >= $2 AND "timestamp" < $3 ORDER BY "timestamp"`, [interval, fromSec, untilSec])
    },

    checkpoint: async (block, rowCount, undoable) => {
      if (!undoable) {
        await sql('DELETE FROM "Checkpoint"')
        await sql('DELETE FROM "UndoLog"')
      }
      await sql('INSERT INTO "Checkpoint" ("blockNumber", "blockHash", "blockTimestamp", "rowCount") VALUES ($1, $2, $3, $4)', [block.number, block.hash, block.timestamp, rowCount])
      // The deepest checkpoint kept is the newest one at or below the depth; undo rows lead back to it, not beyond.
      const deepest = await sql<{ number: string | null }>('SELECT max("blockNumber") AS number FROM "Checkpoint" WHERE "blockNumber" <= $1', [block.number - UNDO_DEPTH])
      const keepFrom = deepest[0]?.number ?? null
      if (keepFrom !== null) {
        await sql('DELETE FROM "Checkpoint" WHERE "blockNumber" < $1', [keepFrom])
        await sql('DELETE FROM "UndoLog" WHERE "blockNumber" <= $1', [keepFrom])
      }
    },

    rewind: async (blockNumber) => {
      let rows = 0
      for (const statement of statements.values()) {
        const [result] = await sql<{ rows: string }>(statement.rewind, [blockNumber])
        rows += Number(result?.rows ?? 0)
      }
      await sql('DELETE FROM "UndoLog" WHERE "blockNumber" > $1', [blockNumber])
      await sql('DELETE FROM "Checkpoint" WHERE "blockNumber" > $1', [blockNumber])
      await sql('UPDATE "ReplayStatus" SET "blockNumber" = $1', [blockNumber])
      // Before the protocol's first event nothing was reduced.
      await sql('DELETE FROM "ReplayStatus" WHERE NOT EXISTS (SELECT 1 FROM "Protocol")')
      return rows
    },

    clear: async () => {
      // DELETE, not TRUNCATE: readers keep what they see until the new rows are committed.
      for (const { name } of statements.keys()) await sql(`DELETE FROM ${quote(name)}`)
      await sql('DELETE FROM "ReplayStatus"')
      await sql('DELETE FROM "UndoLog"')
      await sql('DELETE FROM "Checkpoint"')
    },

    status: async (patch) => {
      const names = Object.keys(patch)
      const assignments = names.map((name, i) => `${quote(name)} = $${i + 1}${name === 'state' ? '::"MirrorState"' : ''}`)
      await sql(`UPDATE "MirrorStatus" SET ${[...assignments, '"updatedAt" = clock_timestamp()'].join(', ')} WHERE "id" = 1`, Object.values(patch))
    },

    count: async ({ steps, reorgBlocks, rebuilds = 0, errors = {} }) => {
      await sql(
        `UPDATE "MirrorStatus" SET
          "stepCount" = "stepCount" + $1::int, "rowCount" = "rowCount" + $2::int, "stepMs" = "stepMs" + $3::int,
          "lastStepRows" = CASE WHEN $1 = 0 THEN "lastStepRows" ELSE $2 END, "lastStepMs" = CASE WHEN $1 = 0 THEN "lastStepMs" ELSE $3 END,
          "reorgCount" = "reorgCount" + $4::int, "reorgBlocks" = "reorgBlocks" + $5::int8, "rebuildCount" = "rebuildCount" + $6::int,
          "errorCounts" = "errorCounts" || (
            SELECT coalesce(jsonb_object_agg(key, value::int8 + coalesce(("errorCounts" ->> key)::int8, 0)), '{}') FROM jsonb_each_text($7::jsonb)
          )
        WHERE "id" = 1`,
        [steps === undefined ? 0 : 1, steps?.rows ?? 0, steps?.ms ?? 0, reorgBlocks === undefined ? 0 : 1, reorgBlocks ?? 0n, rebuilds, JSON.stringify(errors)],
      )
    },

    protocolName: async () => {
      const rows = await sql<{ name: string }>('SELECT DISTINCT "name" FROM "Protocol" LIMIT 2')
      if (rows.length > 1) throw new TroubleError('REPLAY_FAILED', 'the index holds several protocols, a database mirrors one', 'deploy a subgraph for each, with a database of its own')
      return rows[0]?.name ?? null
    },

    replayStatus: async () => {
      const [row] = await sql<{ version: number; blockNumber: string }>('SELECT "version", "blockNumber" FROM "ReplayStatus" WHERE "id" = 1')
      return row === undefined ? null : { version: row.version, blockNumber: BigInt(row.blockNumber) }
    },

    setReplayStatus: async ({ version, blockNumber }) => {
      await sql('INSERT INTO "ReplayStatus" ("id", "version", "blockNumber") VALUES (1, $1, $2) ON CONFLICT ("id") DO UPDATE SET "version" = EXCLUDED."version", "blockNumber" = EXCLUDED."blockNumber"', [version, blockNumber])
    },

    clearReplay: async () => {
      await sql('DELETE FROM "ReplayRow"')
      await sql('DELETE FROM "ReplayStatus"')
      await sql(`DELETE FROM "UndoLog" WHERE "entity" = '${REPLAY.name}'`)
    },

    facts,

    replayRows: async (needs) => {
      const prefixes = [...new Set(needs.map(({ kind, prefix }) => `${kind}:${prefix}`))]
      const found = new Map<string, ReplayRow>()
      for (let i = 0; i < prefixes.length; i += BATCH_ROWS) {
        // U+10FFFF is the last character in the order of bytes, which is this column's.
        const rows = await sql<{ id: string; kind: string; value: Json }>(
          `SELECT r."id", r."kind", r."value" FROM unnest($1::text[]) AS p(prefix) JOIN "ReplayRow" AS r ON r."id" >= p.prefix COLLATE "C" AND r."id" <= (p.prefix || chr(1114111)) COLLATE "C"`,
          [prefixes.slice(i, i + BATCH_ROWS)],
        )
        for (const { id, kind, value } of rows) found.set(id, { kind, key: id.slice(kind.length + 1), value })
      }
      return [...found.values()]
    },

    writeReplay: async (rows, undoBlock) => {
      const stored = rows.map(({ kind, key, value }) => ({ id: `${kind}:${key}`, kind, value: JSON.stringify(value) }))
      for (let i = 0; i < stored.length; i += BATCH_ROWS) await write(REPLAY, stored.slice(i, i + BATCH_ROWS), undoBlock)
    },

    announce: async (blockNumber) => {
      await sql('SELECT pg_notify($1, $2)', [STEP_CHANNEL, blockNumber.toString()])
    },

    close: async () => {
      const open = client
      client = undefined
      leading = false
      clearInterval(pinging)
      await open?.end().catch(() => undefined)
    },
  }
}
