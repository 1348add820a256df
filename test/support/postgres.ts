/** A real PostgreSQL for tests: one server per test file, a fresh migrated database per call. */
import { migrate } from '../../prisma/migrate.ts'
import { startScratchPostgres } from '../../prisma/scratch.ts'

export type TestPostgres = {
  /** URL of a new database: migrated, unless `migrated: false`. */
  freshDatabase(options?: { migrated?: boolean }): Promise<string>
  /** URL of a database of this server by name. */
  url(database: string): string
  /** Call it in `afterAll`. */
  stop(): Promise<void>
}

/** Takes about 2 s; call it in `beforeAll` with a timeout of 60 s, and `stop()` in `afterAll`. */
export async function startTestPostgres(): Promise<TestPostgres> {
  const server = await startScratchPostgres()
  let count = 0
  let template: Promise<unknown> | undefined
  return {
    url: (database) => server.url(database),
    stop: () => server.stop(),
    freshDatabase: async ({ migrated = true } = {}) => {
      const name = `test_${++count}`
      if (migrated) {
        template ??= server.createDatabase('migrated').then(() => migrate(server.url('migrated')))
        await template
      }
      await server.createDatabase(name, migrated ? 'migrated' : undefined)
      return server.url(name)
    },
  }
}
