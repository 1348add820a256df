import { createServer, request, Agent } from 'node:http'
import { BadInputError } from '../core/errors.ts'

/** Calls that read the state of a block, and where among their parameters the block is named. */
const BLOCK_PARAMETER: Readonly<Record<string, number>> = { eth_call: 1, eth_estimateGas: 1, eth_getBalance: 1, eth_getCode: 1, eth_getTransactionCount: 1, eth_getStorageAt: 2 }

/** The blocks whose state the archive holds: all up to a number, by number or by hash. */
export type ArchivedBlocks = { readonly last: number; readonly hashes: ReadonlySet<string> }

type Request = { readonly method?: string; readonly params?: readonly unknown[] }

/** Whether a JSON-RPC request reads the state of an archived block. */
export function isArchived(call: Request, blocks: ArchivedBlocks): boolean {
  const index = BLOCK_PARAMETER[call.method ?? '']
  if (index === undefined) return false
  const block = call.params?.[index]
  const name = typeof block === 'object' && block !== null ? ((block as { blockHash?: unknown }).blockHash ?? (block as { blockNumber?: unknown }).blockNumber) : block
  if (typeof name !== 'string') return false
  if (name.length === 66) return blocks.hashes.has(name.toLowerCase())
  return name.startsWith('0x') && Number(name) <= blocks.last
}

/**
 * One address for the whole chain: requests about the state of the first blocks go to a small chain that stands still
 * there, everything else to the living one. The living chain forgets states after a while, and an indexer asks the
 * protocol's first blocks for what no event says whenever it starts from the beginning.
 */
export function serveArchive(options: { port: number; chainUrl: string; archiveUrl: string; blocks: ArchivedBlocks }): Promise<{ readonly url: string; close(): void }> {
  const agent = new Agent({ keepAlive: true })
  const forward = (url: string, body: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const req = request(url, { method: 'POST', agent, headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } }, (res) => {
        const chunks: Buffer[] = []
        res.on('data', (chunk: Buffer) => chunks.push(chunk))
        res.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
        res.on('error', reject)
      })
      req.on('error', reject)
      req.end(body)
    })
  const route = async (body: string): Promise<string> => {
    const asked = JSON.parse(body) as Request | Request[]
    const target = (call: Request) => (isArchived(call, options.blocks) ? options.archiveUrl : options.chainUrl)
    if (!Array.isArray(asked)) return forward(target(asked), body)
    if (asked.every((call) => target(call) === options.chainUrl)) return forward(options.chainUrl, body)
    return `[${(await Promise.all(asked.map((call) => forward(target(call), JSON.stringify(call))))).join(',')}]`
  }
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      route(Buffer.concat(chunks).toString('utf8')).then(
        (answer) => outgoing.setHeader('content-type', 'application/json').end(answer),
        () => outgoing.writeHead(502, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"the chain does not answer"}}'),
      )
    })
  })
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(new BadInputError(`Found that port ${options.port} cannot be opened (${cause.code}), the devnet's archive needs it free; stop what holds it or choose another --archive-port`, { port: options.port })))
    server.listen(options.port, '127.0.0.1', () =>
      resolve({
        url: `http://127.0.0.1:${options.port}`,
        close: () => {
          server.close()
          server.closeAllConnections()
          agent.destroy()
        },
      }),
    )
  })
}
