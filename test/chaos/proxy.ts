/** A loopback proxy that is told to be bad: it delays, refuses, cuts or garbles the HTTP answers that go through it. */
import { Agent, createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { random, type Random } from '../../devnet/random.ts'

export const FAULTS = ['5xx', '429', 'truncated', 'reset', 'time-out', 'delay', 'error'] as const
export type Fault = (typeof FAULTS)[number]

export type FaultProxy = {
  readonly url: string
  /** How many answers it has spoilt, by fault. */
  readonly injected: ReadonlyMap<Fault | 'cut', number>
  /** From now on a request meets one of `faults` with this probability, by a sequence of its own from `seed`. An empty list ends it. */
  weather(faults: readonly Fault[], probability: number, seed: number): void
  /** Nothing gets through, and nothing that is under way comes back, until it is called with false. */
  cut(isCut: boolean): void
  stop(): Promise<void>
}

/** Longest delay of an answer, ms: below what any of the readers waits. */
const DELAY_MS = 2_000

export async function startProxy(targetUrl: string, port: number): Promise<FaultProxy> {
  const agent = new Agent({ keepAlive: true })
  const target = new URL(targetUrl)
  const sockets = new Set<Socket>()
  const injected = new Map<Fault | 'cut', number>()
  let faults: readonly Fault[] = []
  let probability = 0
  let rng: Random = random(0)
  let isCut = false
  /** Requests that are never answered, until the weather changes. */
  const held = new Set<Socket>()

  const forward = (incoming: IncomingMessage, body: Buffer): Promise<{ status: number; type: string; body: Buffer }> =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': incoming.headers['content-type'] ?? 'application/json', 'content-length': body.length }
      const path = target.pathname === '/' ? (incoming.url ?? '/') : target.pathname
      const onward = request({ host: target.hostname, port: target.port, path, method: incoming.method, agent, headers }, (answer) => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => chunks.push(chunk))
        answer.on('end', () => resolve({ status: answer.statusCode ?? 502, type: answer.headers['content-type'] ?? 'application/json', body: Buffer.concat(chunks) }))
        answer.on('error', reject)
      })
      onward.on('error', reject)
      onward.end(body)
    })

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse, body: Buffer): Promise<void> {
    const fault = faults.length > 0 && rng.chance(probability) ? rng.pick(faults) : null
    if (fault !== null) injected.set(fault, (injected.get(fault) ?? 0) + 1)
    switch (fault) {
      case '5xx':
        outgoing.writeHead([500, 502, 503, 504][rng.index(4)] ?? 500).end('upstream trouble')
        return
      case '429':
        outgoing.writeHead(429, { 'retry-after': '1' }).end('too many requests')
        return
      case 'error':
        // As JSON-RPC and GraphQL say it, both readable to either.
        outgoing.setHeader('content-type', 'application/json').end(JSON.stringify({ jsonrpc: '2.0', id: 1, error: { code: -32_603, message: 'internal error' }, errors: [{ message: 'internal error' }] }))
        return
      case 'reset':
        incoming.socket.destroy()
        return
      case 'time-out':
        held.add(incoming.socket)
        return
      case 'delay':
        await new Promise((resolve) => setTimeout(resolve, rng.between(100, DELAY_MS)))
        break
      case 'truncated':
      case null:
    }
    try {
      const real = await forward(incoming, body)
      const sent = fault === 'truncated' ? real.body.subarray(0, real.body.length >> 1) : real.body
      outgoing.writeHead(real.status, { 'content-type': real.type, 'content-length': sent.length }).end(sent)
    } catch {
      outgoing.destroy()
    }
  }

  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => void answer(incoming, outgoing, Buffer.concat(chunks)))
    incoming.on('error', () => undefined)
    outgoing.on('error', () => undefined)
  })
  server.on('connection', (socket) => {
    if (isCut) {
      socket.destroy()
      injected.set('cut', (injected.get('cut') ?? 0) + 1)
      return
    }
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const destroy = (all: ReadonlySet<Socket>): void => {
    for (const socket of [...all]) socket.destroy()
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${target.pathname === '/' ? '' : target.pathname}`,
    injected,
    weather: (next, chance, seed) => {
      faults = next
      probability = chance
      rng = random(seed)
      destroy(held)
      held.clear()
    },
    cut: (cutNow) => {
      isCut = cutNow
      if (!cutNow) return
      injected.set('cut', (injected.get('cut') ?? 0) + sockets.size)
      destroy(sockets)
    },
    stop: async () => {
      destroy(sockets)
      agent.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
