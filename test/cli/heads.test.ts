import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'
import pg from 'pg'
import { hurryHeads } from '../../cli/services/heads.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'

/** graph-node 0.45 hands notifications on once it holds so many of them. */
const BATCH = 128

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(async () => {
  await postgres.stop()
})

let url: string
let graphNode: pg.Client
let leave: () => Promise<void>
beforeEach(async () => {
  url = await postgres.freshDatabase({ migrated: false })
  graphNode = new pg.Client({ connectionString: url })
  await graphNode.connect()
  await graphNode.query('LISTEN chain_head_updates')
  leave = hurryHeads(url, 'devnet')
})
afterEach(async () => {
  await leave()
  await graphNode.end()
})

/** Waits until the helper listens (its LISTEN has ended, not only begun), then announces a head as graph-node does. */
async function announce(network: string): Promise<void> {
  const { rows } = await graphNode.query("SELECT 1 FROM pg_stat_activity WHERE application_name = 'bulwark heads' AND query LIKE 'LISTEN%' AND state = 'idle' AND datname = current_database()")
  if (rows.length === 0) return announce(network)
  await graphNode.query("SELECT pg_notify('chain_head_updates', $1)", [JSON.stringify({ network_name: network, head_block_hash: '0xab', head_block_number: 7 })])
}

/** Networks of the next `count` notifications. */
function heard(count: number): Promise<string[]> {
  const networks: string[] = []
  return new Promise((resolve) => {
    graphNode.on('notification', ({ payload = '{}' }) => {
      networks.push((JSON.parse(payload) as { network_name: string }).network_name)
      if (networks.length === count) resolve(networks)
    })
  })
}

test('behavior: a head of our network is followed by as many announcements for nobody as fill the batch', async () => {
  const all = heard(BATCH)
  await announce('devnet')
  const networks = await all
  expect(networks[0]).toBe('devnet')
  expect(new Set(networks.slice(1)).size).toBe(1)
  expect(networks.slice(1)).not.toContain('devnet')
})

test("behavior: another network's head is left alone, and so is what fills the batch", async () => {
  const all = heard(BATCH + 1)
  await announce('optimism')
  await announce('devnet')
  expect((await all).filter((network) => network === 'optimism' || network === 'devnet')).toEqual(['optimism', 'devnet'])
})

test('behavior: a broken connection is made again', async () => {
  await announce('optimism')
  // With a time limit it waits until the connection is gone; without, what is announced next may reach the one that is about to die.
  await graphNode.query("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'bulwark heads' AND datname = current_database()")
  const all = heard(BATCH)
  await announce('devnet')
  expect(await all).toHaveLength(BATCH)
})
