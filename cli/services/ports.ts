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

function listen(port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve()))
  })
}

/** Throws PortTakenError where `port` is in use on any local address. */
export async function assertPortFree(facts: { part: string; port: number; option: string }): Promise<void> {
  try {
    await listen(facts.port, '0.0.0.0')
  } catch {
    throw new PortTakenError(facts)
  }
}
