/**
 * Migrations without Prisma's native binaries: its own schema engine as WebAssembly, over the node-postgres adapter.
 * It keeps `_prisma_migrations`, so `prisma migrate deploy` understands the same database.
 *
 *   npx tsx prisma/migrate.ts               applies what is missing to DATABASE_URL
 *   npx tsx prisma/migrate.ts create NAME   writes prisma/migrations/<time>_NAME/migration.sql: what leads from the
 *                                           migrations to prisma/schema
 *   npx tsx prisma/migrate.ts check         says whether prisma/schema and the migrations agree
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PrismaPg } from '@prisma/adapter-pg'
import { bindMigrationAwareSqlAdapterFactory, ColumnTypeEnum } from '@prisma/driver-adapter-utils'
import type { SqlDriverAdapter } from '@prisma/driver-adapter-utils'
import type * as EngineModule from '@prisma/schema-engine-wasm/schema_engine_bg'
import type { MigrationList, SchemaEngine, SchemasContainer } from '@prisma/schema-engine-wasm/schema_engine_bg'
import pg from 'pg'
import { BadInputError, BulwarkError, UnavailableError } from '../core/errors.ts'

const here = dirname(fileURLToPath(import.meta.url))
const migrationsDir = join(here, 'migrations')
const schemaDir = join(here, 'schema')
const noFilter = { externalTables: [], externalEnums: [] }

let panicMessage: string | undefined
let engineModule: Promise<typeof EngineModule> | undefined

/** The package's own entry imports `.wasm` as a module, which Node does not do without a flag: instantiated by hand. */
function loadEngine(): Promise<typeof EngineModule> {
  engineModule ??= (async () => {
    // The engine leaves the words of a panic here before it traps.
    Object.assign(globalThis, { PRISMA_WASM_PANIC_REGISTRY: { set_message: (message: string) => { panicMessage = message } } })
    const engine = await import('@prisma/schema-engine-wasm/schema_engine_bg')
    const require = createRequire(import.meta.url)
    const bytes = readFileSync(join(dirname(require.resolve('@prisma/schema-engine-wasm/schema_engine_bg')), 'schema_engine_bg.wasm'))
    const imports: WebAssembly.ModuleImports = { ...(engine as unknown as WebAssembly.ModuleImports) }
    // Its time limit on the advisory lock outlives the migration by 10 s and must not keep a process alive.
    for (const name of Object.keys(imports).filter((key) => key.startsWith('__wbg_setTimeout_'))) {
      imports[name] = (run: () => void, delayMs: number) => setTimeout(run, delayMs).unref()
    }
    const { instance } = await WebAssembly.instantiate(bytes, { './schema_engine_bg.js': imports })
    engine.__wbg_set_wasm(instance.exports)
    ;(instance.exports['__wbindgen_start'] as () => void)()
    return engine
  })()
  return engineModule
}

const CHAR_OID = 18
const UUID_OID = 2950

/**
 * An adapter that knows the catalog's one-byte `"char"` columns, which the schema engine reads and PrismaPg refuses:
 * they cross PrismaPg under the name of a type that the catalog does not use, and get their own name afterwards.
 */
async function connectForMigration(url: string): ReturnType<PrismaPg['connect']> {
  const pool = new pg.Pool({ connectionString: url })
  pool.on('connect', (client) => {
    const { connection } = client as unknown as { connection: NodeJS.EventEmitter }
    connection.prependListener('rowDescription', (message: { fields: pg.FieldDef[] }) => {
      for (const field of message.fields) if (field.dataTypeID === CHAR_OID) field.dataTypeID = UUID_OID
    })
  })
  const adapter = await new PrismaPg(pool, { disposeExternalPool: true }).connect()
  const queryRaw = adapter.queryRaw.bind(adapter)
  adapter.queryRaw = async (query) => {
    const result = await queryRaw(query)
    return { ...result, columnTypes: result.columnTypes.map((type) => (type === ColumnTypeEnum.Uuid ? ColumnTypeEnum.Character : type)) }
  }
  return adapter
}

/**
 * The adapter's own shadow database would be opened through the connection string, which overrides the name it asks
 * for: the shadow would be the database itself. This one names it, and is closed before it is dropped.
 */
class MigrationAdapter extends PrismaPg {
  readonly #url: string
  readonly #open: SqlDriverAdapter[] = []

  constructor(url: string) {
    super({ connectionString: url })
    this.#url = url
  }

  override async connect(): ReturnType<PrismaPg['connect']> {
    const adapter = await connectForMigration(this.#url)
    this.#open.push(adapter)
    return adapter
  }

  /** The engine never closes what it has opened. */
  async close(): Promise<void> {
    await Promise.all(this.#open.map((adapter) => adapter.dispose()))
  }

  override async connectToShadowDb(): ReturnType<PrismaPg['connect']> {
    const name = `bulwark_shadow_${crypto.randomUUID().replaceAll('-', '')}`
    const admin = async (sql: string): Promise<void> => {
      const client = new pg.Client({ connectionString: this.#url })
      await client.connect()
      try {
        await client.query(sql)
      } finally {
        await client.end()
      }
    }
    await admin(`CREATE DATABASE ${name}`)
    const shadowUrl = new URL(this.#url)
    shadowUrl.pathname = `/${name}`
    const adapter = await connectForMigration(shadowUrl.href)
    const dispose = adapter.dispose.bind(adapter)
    adapter.dispose = async () => {
      await dispose()
      await admin(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
    }
    return adapter
  }
}

async function withEngine<T>(databaseUrl: string, use: (engine: SchemaEngine) => Promise<T>): Promise<T> {
  const module = await loadEngine()
  const adapter = new MigrationAdapter(databaseUrl)
  try {
    const engine = await module.SchemaEngine.new({ datamodels: undefined }, () => {}, bindMigrationAwareSqlAdapterFactory(adapter)).catch((cause: unknown) => {
      throw new UnavailableError({ part: 'database', found: 'PostgreSQL did not accept a connection', action: 'check DATABASE_URL and that the server runs' }, cause)
    })
    try {
      return await use(engine)
    } finally {
      engine.free()
    }
  } finally {
    await adapter.close()
  }
}

function schema(): SchemasContainer {
  const files = readdirSync(schemaDir).filter((name) => name.endsWith('.prisma')).toSorted()
  return { files: files.map((name) => ({ path: join(schemaDir, name), content: readFileSync(join(schemaDir, name), 'utf8') })) }
}

function migrations(): MigrationList {
  const folders = readdirSync(migrationsDir, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name).toSorted()
  return {
    baseDir: migrationsDir,
    lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"\n' },
    shadowDbInitScript: '',
    migrationDirectories: folders.map((path) => ({
      path,
      migrationFile: { path: 'migration.sql', content: { tag: 'ok', value: readFileSync(join(migrationsDir, path, 'migration.sql'), 'utf8') } },
    })),
  }
}

/**
 * Applies the committed migrations that the database lacks, in order, and says which. One process at a time: others
 * wait on Prisma's advisory lock. Throws UnavailableError where the database is out of reach and BulwarkError
 * (code MIGRATION) where a migration fails; a failed one stands in `_prisma_migrations` until it is resolved.
 */
export async function migrate(databaseUrl: string): Promise<{ applied: string[] }> {
  return await withEngine(databaseUrl, async (engine) => {
    try {
      const { appliedMigrationNames } = await engine.applyMigrations({ migrationsList: migrations(), filters: noFilter })
      return { applied: appliedMigrationNames }
    } catch (cause) {
      throw new BulwarkError(`The migrations did not apply (${reason(cause)}); every migration in prisma/migrations must apply in order; repair the database or start from an empty one`, { code: 'MIGRATION', cause })
    }
  })
}

/** SQL that leads from the migrations to the schema; empty where they agree. Needs a server on which it may create a database. */
export async function pendingDiff(databaseUrl: string): Promise<string> {
  return await withEngine(databaseUrl, async (engine) => {
    const { stdout } = await engine.diff({ from: { tag: 'migrations', ...migrations() }, to: { tag: 'schemaDatamodel', ...schema() }, script: true, exitCode: null, filters: noFilter }).catch((cause: unknown) => {
      throw new BulwarkError(`Prisma could not compare prisma/schema with the migrations (${reason(cause)}); both must be valid; correct what it names`, { code: 'MIGRATION', cause })
    })
    return stdout === null || stdout.trim() === '-- This is an empty migration.' ? '' : stdout
  })
}

function reason(cause: unknown): string {
  const message = panicMessage !== undefined ? panicMessage : cause instanceof Error ? cause.message : String(cause)
  return message.replaceAll(/\s+/g, ' ').slice(0, 400)
}

async function createMigration(name: string): Promise<string | undefined> {
  if (!/^[a-z][a-z0-9_]*$/.test(name)) throw new BadInputError(`Found the migration name '${name}', allowed are lowercase letters, digits and _; choose one that says the outcome`)
  const { startScratchPostgres } = await import('./scratch.ts')
  const scratch = await startScratchPostgres()
  try {
    const sql = await pendingDiff(scratch.url('postgres'))
    if (sql === '') return undefined
    const folder = `${new Date().toISOString().replaceAll(/\D/g, '').slice(0, 14)}_${name}`
    mkdirSync(join(migrationsDir, folder))
    writeFileSync(join(migrationsDir, folder, 'migration.sql'), sql)
    return folder
  } finally {
    await scratch.stop()
  }
}

const say = (line: string): boolean => process.stdout.write(`${line}\n`)

async function main([command, name]: string[]): Promise<void> {
  if (command === 'create') {
    const folder = await createMigration(name ?? '')
    say(folder === undefined ? 'The migrations already lead to prisma/schema; nothing to create' : `Created prisma/migrations/${folder}/migration.sql`)
  } else if (command === 'check') {
    const { startScratchPostgres } = await import('./scratch.ts')
    const scratch = await startScratchPostgres()
    try {
      const sql = await pendingDiff(scratch.url('postgres'))
      if (sql !== '') throw new BadInputError(`The migrations lack what prisma/schema has, they must agree; run npx tsx prisma/migrate.ts create NAME:\n${sql}`)
      say('The migrations lead to prisma/schema')
    } finally {
      await scratch.stop()
    }
  } else if (command === undefined) {
    const url = process.env['DATABASE_URL']
    if (url === undefined) throw new BadInputError('DATABASE_URL is not set, a postgresql:// URL is needed; set it to the database to migrate')
    const { applied } = await migrate(url)
    say(applied.length === 0 ? 'Nothing to apply' : `Applied ${applied.join(', ')}`)
  } else {
    throw new BadInputError(`Found '${command}', allowed are no command, create NAME and check; see prisma/README.md`)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(process.argv.slice(2)).catch((error: unknown) => {
    process.stderr.write(`${error instanceof BulwarkError ? error.message : String(error)}\n`)
    process.exitCode = 1
  })
}

