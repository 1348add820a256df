/** The console over a database that a test fills: the cheap ground for one page, without a chain and what follows it. */
import { startServer } from '../../api/graphql/server.ts'
import { createPrisma } from '../../prisma/client.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import type { Deployment } from '../../protocols/adapter.ts'
import { BLOCK, chainAt, log, seed, services } from '../graphql/support.ts'
import { startTestPostgres } from '../support/postgres.ts'
import { builtPages } from './built.ts'

/** Well below the minute after which a silent mirror is told as down. */
const PULSE_MS = 5_000

type Serving = { readonly services?: Parameters<typeof services>[2]; /** Another record of the same contracts. */ readonly deployment?: Deployment }

export type Scratch = {
  readonly url: string
  readonly prisma: PrismaClient
  /** Another API over the same database, at a port of its own or at one that was in use before. */
  serve(options?: { readonly port?: number } & Serving): Promise<{ url: string; port: number; close(): Promise<void> }>
  close(): Promise<void>
}

/** `fill` puts the rows in, the small book of test/graphql/support.ts where left out; the chain stands one block after its last. */
export async function startScratch({ fill = seed, ...serving }: { fill?: (prisma: PrismaClient) => Promise<void> } & Serving = {}): Promise<Scratch> {
  const pagesDir = await builtPages()
  const postgres = await startTestPostgres()
  const prisma = createPrisma(await postgres.freshDatabase())
  await fill(prisma)
  // As a mirror that lives would: else a notice comes after a minute, over whatever stands at the foot of the page by then.
  let pulse: Promise<unknown> = Promise.resolve()
  const beating = setInterval(() => { pulse = prisma.mirrorStatus.updateMany({ data: { updatedAt: new Date() } }).catch(() => { /* A test took its database away. */ }) }, PULSE_MS)
  const chain = chainAt(BLOCK.number + 1n, BLOCK.timestamp + 2n, () => null)
  const serve: Scratch['serve'] = ({ port = 0, ...own } = {}) => {
    const { services: options, deployment } = { ...serving, ...own }
    return startServer({ ...services(prisma, chain, options), ...(deployment ? { deployment } : {}), log, host: '127.0.0.1', port, pagesDir })
  }
  const server = await serve()
  return {
    url: server.url,
    prisma,
    serve,
    close: async () => {
      clearInterval(beating)
      await pulse
      await server.close()
      await prisma.$disconnect()
      await postgres.stop()
    },
  }
}
