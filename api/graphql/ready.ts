/** Whether this API can answer: what /readyz says. It is alive as long as /healthz answers at all. */
import { readdirSync } from 'node:fs'
import type { PrismaClient } from '../../prisma/client.ts'

/** null where it is ready; otherwise the reason, in a sentence. */
export type Readiness = () => Promise<string | null>

const ASK_MS = 2500
const migrations = readdirSync(new URL('../../prisma/migrations', import.meta.url), { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name)

export function createReadiness(prisma: PrismaClient): Readiness {
  /** Migrations are never taken back. */
  let migrated = false
  const look = async (): Promise<string | null> => {
    if (!migrated) {
      const [{ there } = { there: false }] = await prisma.$queryRaw<{ there: boolean }[]>`SELECT to_regclass('_prisma_migrations') IS NOT NULL AS there`
      const applied = there ? await prisma.$queryRaw<{ name: string }[]>`SELECT migration_name AS name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL` : []
      const names = new Set(applied.map(({ name }) => name))
      const missing = migrations.filter((name) => !names.has(name))
      if (missing.length > 0) return `The database lacks ${missing.length === 1 ? 'the migration' : 'the migrations'} ${missing.join(', ')}; run npx tsx prisma/migrate.ts.`
      migrated = true
    }
    const checkpoint = await prisma.checkpoint.findFirst({ select: { blockNumber: true } })
    return checkpoint === null ? 'The mirror has stored no block yet; wait for its first step.' : null
  }
  return async () => {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<string>((resolve) => (timer = setTimeout(() => resolve(`The database has not answered within ${ASK_MS / 1000} s; start it or check DATABASE_URL.`), ASK_MS)))
    try {
      return await Promise.race([late, look().catch(() => 'The database does not answer; start it or check DATABASE_URL.')])
    } finally {
      clearTimeout(timer)
    }
  }
}
