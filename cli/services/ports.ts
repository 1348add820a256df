import { createServer } from 'node:net'
import { BulwarkError } from '../../core/errors.ts'

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

/** A port that nobody listens on now. */
export const freePort = (): Promise<number> => listen(0, '127.0.0.1')

/** Throws PortTakenError where `port` is in use on any local address. */
export async function assertPortFree(facts: { part: string; port: number; option: string }): Promise<void> {
  try {
    await listen(facts.port, '0.0.0.0')
  } catch {
    throw new PortTakenError(facts)
  }
}
