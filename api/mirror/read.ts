import { InvariantError } from '../../core/errors.ts'
import type { Prisma, PrismaClient } from '../../prisma/client.ts'

export { STEP_CHANNEL } from './store.ts'

/** The block whose state the mirror's tables hold. */
export type MirroredBlock = { readonly number: bigint; readonly hash: string; readonly timestamp: bigint }

type Reader = PrismaClient | Prisma.TransactionClient

/** The block that the tables stand on; null before the first step. Read it in the transaction that reads the rows. */
export async function latestCheckpoint(prisma: Reader): Promise<MirroredBlock | null> {
  const row = await prisma.checkpoint.findFirst({ orderBy: { blockNumber: 'desc' } })
  return row === null ? null : { number: row.blockNumber, hash: row.blockHash, timestamp: row.blockTimestamp }
}

/** Runs `read` on one snapshot of the database, together with the block that it stands on: no step falls in between. */
export async function readAtCheckpoint<T>(prisma: PrismaClient, read: (tx: Prisma.TransactionClient, block: MirroredBlock | null) => Promise<T>, timeoutMs = 30_000): Promise<T> {
  return await prisma.$transaction(async (tx) => await read(tx, await latestCheckpoint(tx)), { isolationLevel: 'RepeatableRead', timeout: timeoutMs, maxWait: 10_000 })
}

/** How the follower is doing, as it last wrote it; null before it has ever run. */
export async function mirrorStatus(prisma: Reader) {
  return await prisma.mirrorStatus.findUnique({ where: { id: 1 } })
}

/** A Decimal(78, 0) column as bigint, exactly: the one crossing from the database's amounts to ours. */
export function toBigInt(value: Prisma.Decimal): bigint
export function toBigInt(value: Prisma.Decimal | null): bigint | null
export function toBigInt(value: Prisma.Decimal | null): bigint | null {
  if (value === null) return null
  if (!value.isInteger()) throw new InvariantError(`Found the amount ${value.toString()}, an amount is an integer; read it from a Decimal(78, 0) column`)
  return BigInt(value.toFixed(0))
}
