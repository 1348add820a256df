import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { BulwarkError, UnavailableError } from '../../core/errors.ts'

export class PortTakenError extends BulwarkError {
  constructor(facts: { part: string; port: number; option: string }) {
    super(`Port ${facts.port} for ${facts.part} is taken, allowed is any free port; stop what uses it or choose another with ${facts.option}`, {
      code: 'PORT_TAKEN',
      facts,
    })
  }
}

function listen(port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : port))
    })
  })
}

/** Below the ports that a system lends to outgoing connections, one of which could take it before it is used (Linux: from 32,768). */
const [FIRST, BEYOND] = [15_000, 32_000]
const ATTEMPTS = 100

/** A port that nobody listens on now. Throws UnavailableError where none of a hundred is free. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = await listen(randomInt(FIRST, BEYOND), '0.0.0.0').catch(() => null)
    if (port !== null) return port
  }
  throw new UnavailableError({ part: 'a free port', found: `none of ${ATTEMPTS} between ${FIRST} and ${BEYOND} is`, action: 'stop what uses them' })
}

/** Throws PortTakenError where `port` is in use on any local address. */
export async function assertPortFree(facts: { part: string; port: number; option: string }): Promise<void> {
  try {
    await listen(facts.port, '0.0.0.0')
  } catch {
    throw new PortTakenError(facts)
  }
}
