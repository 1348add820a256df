import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export const DATABASES = ['graph', 'bulwark'] as const

/** URL of one of the two databases of the PostgreSQL that keeps its data in `dir`. Readable once it has run. */
export function postgresUrl(dir: string, port: number, database: (typeof DATABASES)[number]): string {
  const password = readFileSync(join(dir, 'password'), 'utf8').trim()
  return `postgresql://postgres:${password}@127.0.0.1:${port}/${database}`
}
