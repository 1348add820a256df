import { randomInt } from 'node:crypto'
import getPort from 'get-port'
import { UnavailableError } from './errors.ts'

/**
 * Below the ports that a system lends to outgoing connections, one of which could take it before it is used (Linux:
 * from 32,768), and above those that have a fixed use here (`PORTS` of `cli/options.ts`, the chaos run).
 */
const [FIRST, BEYOND] = [20_000, 32_000]
const ATTEMPTS = 100

/** A TCP port that nobody listens on now, and that this process was not given lately. Throws UnavailableError where none of a hundred is free. */
export async function freePort(): Promise<number> {
  // Drawn, so that two processes that ask at the same time are seldom given the same.
  const drawn = Array.from({ length: ATTEMPTS }, () => randomInt(FIRST, BEYOND))
  const port = await getPort({ port: drawn })
  // Where all are taken, get-port answers with whatever the system lends.
  if (!drawn.includes(port)) throw new UnavailableError({ part: 'a free port', found: `none of ${ATTEMPTS} between ${FIRST} and ${BEYOND} is`, action: 'stop what uses them' })
  return port
}
