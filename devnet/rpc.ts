import { Agent, request } from 'node:http'
import { UnavailableError, BulwarkError } from '../core/errors.ts'

/** One call of a JSON-RPC batch. */
export type RpcCall = readonly [method: string, params?: readonly unknown[]]

/** The chain answered a call with an error of its own. */
export class RpcError extends BulwarkError {
  constructor(method: string, message: string) {
    super(`${method}: ${message}`, { code: 'RPC', facts: { method } })
  }
}

/** JSON-RPC over HTTP with batches and a kept-alive connection: a history is thousands of small requests. */
export class RpcClient {
  readonly url: string
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 })

  constructor(url: string) {
    this.url = url
  }

  async call<T>(method: string, params: readonly unknown[] = []): Promise<T> {
    const [result] = await this.batch([[method, params]])
    return result as T
  }

  /** Answers in the order of the calls. Throws RpcError for the first call that failed. */
  async batch(calls: readonly RpcCall[]): Promise<unknown[]> {
    const body = JSON.stringify(calls.map(([method, params], id) => ({ jsonrpc: '2.0', id, method, params: params ?? [] })))
    const answers = JSON.parse(await this.#post(body)) as { id: number; result?: unknown; error?: { message: string } }[]
    const results = Array.from<unknown>({ length: calls.length })
    for (const answer of answers) {
      if (answer.error !== undefined) throw new RpcError(calls[answer.id]?.[0] ?? 'batch', answer.error.message)
      results[answer.id] = answer.result
    }
    return results
  }

  close(): void {
    this.#agent.destroy()
  }

  #post(body: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const fail = (cause: unknown) => reject(new UnavailableError({ part: 'devnet', found: `no answer from ${this.url}`, action: 'check that the chain is running' }, cause))
      const req = request(this.url, { method: 'POST', agent: this.#agent, headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } }, (res) => {
        const chunks: Buffer[] = []
        res.on('data', (chunk: Buffer) => chunks.push(chunk))
        res.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
        res.on('error', fail)
      })
      req.on('error', fail)
      req.end(body)
    })
  }
}
