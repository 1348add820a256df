/** A real PostgreSQL for tests: one server per run of Jest, a fresh migrated database per call. */
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { migrate } from '../../prisma/migrate.ts'
import { startScratchPostgres, type ScratchPostgres } from '../../prisma/scratch.ts'

export type TestPostgres = {
  /** URL of a new database: migrated, unless `migrated: false`. */
  freshDatabase(options?: { migrated?: boolean }): Promise<string>
  /** URL of a database of this server by name. */
  url(database: string): string
  /** Gives up the databases that were made, whoever is connected to them; call it in `afterAll`. */
  stop(): Promise<void>
}

/** A server with a database `migrated`, the template of those that tests get. */
export async function startMigrated(): Promise<ScratchPostgres> {
  const server = await startScratchPostgres()
  try {
    await server.createDatabase('migrated')
    await migrate(server.url('migrated'))
  } catch (error) {
    await server.stop()
    throw error
  }
  return server
}

/** Takes about 2 s where it is the first of its run; call it in `beforeAll` with a timeout of 60 s, and `stop()` in `afterAll`. */
export async function startTestPostgres(): Promise<TestPostgres> {
  // jestSetup.js gives it; what runs without Jest has a server to itself.
  const shared = process.env['TEST_POSTGRES']
  const own = shared === undefined ? await startMigrated() : null
  const base = own?.url('postgres') ?? (await urlOf(shared!))
  const names: string[] = []
  const url = (database: string): string => Object.assign(new URL(base), { pathname: `/${database}` }).href
  return {
    url,
    freshDatabase: async ({ migrated = true } = {}) => {
      const name = `test_${randomUUID()}`
      await execute(base, [`CREATE DATABASE "${name}" TEMPLATE ${migrated ? 'migrated' : 'template1'}`])
      names.push(name)
      return url(name)
    },
    stop: () => own?.stop() ?? execute(base, names.splice(0).map((name) => `DROP DATABASE "${name}" WITH (FORCE)`)),
  }
}

async function urlOf(address: string): Promise<string> {
  const response = await fetch(address)
  const text = await response.text()
  if (!response.ok) throw new TypeError(text)
  return text
}

async function execute(url: string, statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}
