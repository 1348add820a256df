import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

/** PostgreSQL channel on which graph-node tells itself of a new head of a chain. */
const CHANNEL = 'chain_head_updates'
/** It hands on what it was told when it has heard nothing for 500 ms, or when it has heard this often. */
const BATCH = 128
/** A network that no graph-node knows: it takes note and does nothing. */
const NOBODY = 'bulwark-fills-the-batch'
const RETRY_MS = 1_000

/**
 * Keeps graph-node from letting every block lie for half a second: whenever it announces a head of `network` in its database, as many
 * announcements for nobody as fill its batch follow. Where graph-node has no such batch, nothing changes.
 * Source: graph-node 0.45, store/postgres/src/notification_listener.rs (`timeout_iter(500 ms)`, `take(128)`).
 * Connects again where PostgreSQL was away. Answers with what ends it.
 */
export function hurryHeads(databaseUrl: string, network: string): () => Promise<void> {
  let stopped = false
  let client: pg.Client | undefined
  const connect = async (): Promise<void> => {
    while (!stopped) {
      const fresh = new pg.Client({ connectionString: databaseUrl, application_name: 'bulwark heads', keepAlive: true })
      const lost = new Promise<void>((resolve) => {
        fresh.on('error', () => resolve())
        fresh.on('end', () => resolve())
      })
      fresh.on('notification', ({ payload = '' }) => {
        if (!payload.includes(JSON.stringify(network))) return
        fresh
          .query(`SELECT pg_notify('${CHANNEL}', json_build_object('network_name', $1::text, 'head_block_hash', '', 'head_block_number', n)::text) FROM generate_series(1, ${BATCH - 1}) AS n`, [NOBODY])
          .catch(() => undefined)
      })
      try {
        await fresh.connect()
        client = fresh
        await fresh.query(`LISTEN ${CHANNEL}`)
        await lost
      } catch {
        // PostgreSQL is away; it is asked again.
      }
      client = undefined
      await fresh.end().catch(() => undefined)
      if (!stopped) await sleep(RETRY_MS)
    }
  }
  const running = connect()
  return async () => {
    stopped = true
    await client?.end().catch(() => undefined)
    await running
  }
}
