import type { PrismaClient } from '../../prisma/client.ts'

/**
 * Writes rows of the same columns into a table in one statement, for thousands of them: Prisma's createMany compiles and binds each value
 * of each, which takes it seconds of processor time. Amounts are decimal texts, as in createMany; a column that is left out has its default.
 */
export async function insertRows(prisma: PrismaClient, table: string, rows: readonly Readonly<Record<string, string | number | bigint | null>>[]): Promise<void> {
  const columns = Object.keys(rows[0] ?? {}).map((column) => `"${column}"`).join(', ')
  const json = JSON.stringify(rows, (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value))
  await prisma.$executeRawUnsafe(`INSERT INTO "${table}" (${columns}) SELECT ${columns} FROM json_populate_recordset(NULL::"${table}", $1::json)`, json)
}
