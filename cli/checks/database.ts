/** Whether a PostgreSQL that is already there can hold what the console and graph-node keep, explained in a sentence each. */
import pg from 'pg'
import type { Deployment } from '../../protocols/adapter.ts'
import type { Finding } from './finding.ts'

const CONNECT_MS = 10_000
/** graph-node makes them itself where it may. */
const GRAPH_EXTENSIONS = ['pg_trgm', 'btree_gist', 'postgres_fdw', 'pg_stat_statements'] as const

/** The database's address without its name and its password: what a sentence may hold. */
export const databaseName = (url: string): string => `database ${new URL(url).hostname}:${new URL(url).port || 5432}${new URL(url).pathname}`

async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_MS })
  try {
    await client.connect()
    return await use(client)
  } finally {
    await client.end().catch(() => {})
  }
}

/** The console's database. `stored`: deployment id whose rows it holds; null where it holds none. */
export async function examineDatabase(url: string, deployment: Deployment): Promise<{ readonly findings: readonly Finding[]; readonly stored: string | null }> {
  const name = databaseName(url)
  const stop = (sentence: string): { findings: readonly Finding[]; stored: null } => ({ findings: [{ level: 'stop', part: 'database', sentence: `${name}: ${sentence}` }], stored: null })
  try {
    return await withClient(url, async (client) => {
      const rows = async <T extends object>(sql: string): Promise<T[]> => (await client.query<T>(sql)).rows
      const [server] = await rows<{ version: number; may: boolean; encoding: string }>("SELECT current_setting('server_version_num')::int AS version, has_schema_privilege(current_schema(), 'CREATE') AS may, pg_encoding_to_char(encoding) AS encoding FROM pg_database WHERE datname = current_database()")
      if (server === undefined || server.version < 140_000) return stop(`found PostgreSQL ${Math.floor((server?.version ?? 0) / 10_000)}, needed is 14 or later; upgrade it or give another`)
      if (!server.may) return stop('this role may not create tables in it; make the role its owner')
      if (server.encoding !== 'UTF8') return stop(`its encoding is ${server.encoding}, needed is UTF8; create one with ENCODING 'UTF8' TEMPLATE template0`)
      const [tables] = await rows<{ protocol: string | null; status: string | null }>(`SELECT to_regclass('"Protocol"')::text AS protocol, to_regclass('"MirrorStatus"')::text AS status`)
      const held = tables?.protocol == null ? [] : await rows<{ id: string }>('SELECT id FROM "Protocol"')
      const other = held.find(({ id }) => id !== deployment.contracts.clearingHouse)
      if (other !== undefined) return stop(`it holds the index of the protocol at ${other.id}, ${deployment.network} has it at ${deployment.contracts.clearingHouse}; a database holds one network, give another DATABASE_URL`)
      const [status] = tables?.status == null ? [] : await rows<{ deployment: string | null }>('SELECT deployment FROM "MirrorStatus"')
      return { findings: [{ level: 'good', part: 'database', sentence: `${name}: PostgreSQL ${Math.floor(server.version / 10_000)}` }], stored: status?.deployment ?? null }
    })
  } catch (error) {
    return stop(`${connectionWords(error)}; needed is a PostgreSQL database of your own; check DATABASE_URL, and that the server runs`)
  }
}

/** graph-node's database: made on the same server where it is missing and the role may. */
export async function examineGraphDatabase(url: string, options: { readonly createFrom: string | null }): Promise<readonly Finding[]> {
  const name = databaseName(url)
  const one = (level: Finding['level'], sentence: string): readonly Finding[] => [{ level, part: 'database', sentence: `${name}: ${sentence}` }]
  try {
    if (options.createFrom !== null) {
      const wanted = decodeURIComponent(new URL(url).pathname.slice(1))
      const made = await withClient(options.createFrom, async (client) => {
        if ((await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [wanted])).rowCount !== 0) return null
        await client.query(`CREATE DATABASE ${client.escapeIdentifier(wanted)} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'`)
        return wanted
      }).catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))))
      if (made instanceof Error) {
        return one('stop', `graph-node needs a database of its own, and it could not be made (${connectionWords(made)}); create one with ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0, and name it in GRAPH_DATABASE_URL`)
      }
    }
    return await withClient(url, async (client) => {
      const { rows } = await client.query<{ collate: string; encoding: string }>('SELECT datcollate AS collate, pg_encoding_to_char(encoding) AS encoding FROM pg_database WHERE datname = current_database()')
      if (rows[0]?.collate !== 'C' || rows[0].encoding !== 'UTF8') {
        return one('stop', `found locale ${rows[0]?.collate ?? 'unknown'} and encoding ${rows[0]?.encoding ?? 'unknown'}, graph-node accepts C and UTF8 alone; create it with ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`)
      }
      const { rows: missing } = await client.query<{ name: string; there: boolean }>('SELECT wanted AS name, EXISTS (SELECT 1 FROM pg_available_extensions a WHERE a.name = wanted) AS there FROM unnest($1::text[]) AS wanted WHERE NOT EXISTS (SELECT 1 FROM pg_extension e WHERE e.extname = wanted)', [[...GRAPH_EXTENSIONS]])
      const absent = missing.filter(({ there }) => !there).map(({ name: extension }) => extension)
      if (absent.length > 0) return one('stop', `its server lacks the extensions ${absent.join(', ')}, which graph-node needs; install PostgreSQL's contrib package`)
      for (const { name: extension } of missing) {
        try {
          await client.query(`CREATE EXTENSION IF NOT EXISTS ${client.escapeIdentifier(extension)}`)
        } catch {
          return one('stop', `this role may not create the extension ${extension}, which graph-node needs; have a superuser run CREATE EXTENSION for ${missing.map((each) => each.name).join(', ')} in it`)
        }
      }
      return one('good', "graph-node's")
    })
  } catch (error) {
    return one('stop', `${connectionWords(error)}; needed is a database for graph-node; check GRAPH_DATABASE_URL, and that the server runs`)
  }
}

/** A driver's reason, without an address. */
function connectionWords(error: unknown): string {
  const { code = '', message = String(error) } = error as { code?: string; message?: string }
  if (code === 'ECONNREFUSED') return 'nobody listens there'
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'its host name is not known'
  if (code === '28P01' || code === '28000') return 'it refused the user or the password'
  if (code === '3D000') return 'there is no such database'
  if (code === '42501') return 'this role may not do it'
  if (/timeout/i.test(message)) return `no answer came within ${CONNECT_MS / 1000} s`
  return message.split('\n')[0]!.slice(0, 160)
}
