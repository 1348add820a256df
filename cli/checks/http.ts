import { endpointOf } from '../../core/endpoint.ts'
import { hideSecretsOf } from '../../core/log.ts'

/** Why a JSON answer did not come. `rpc`: it came, and it is an error of the server's own. */
export type FaultKind = 'unreachable' | 'unknown-host' | 'tls' | 'timeout' | 'unauthorized' | 'not-found' | 'rate-limited' | 'http' | 'html' | 'not-json' | 'not-rpc' | 'rpc'

/** One failed request, in words that carry no address and no key. */
export class Fault extends Error {
  readonly kind: FaultKind
  /** The server's own words, shortened; empty where it said nothing. */
  readonly said: string
  /** HTTP status, or JSON-RPC error code where `kind` is `rpc`. */
  readonly status: number | null

  constructor(kind: FaultKind, said = '', status: number | null = null) {
    super(`${kind} ${status ?? ''} ${said}`.trim())
    this.kind = kind
    this.said = said
    this.status = status
  }
}

/** Wordings for "too many requests" that come with HTTP 200 or 400: Alchemy, QuickNode, Infura, dRPC, public nodes. */
const RATE_LIMIT = /rate.?limit|too many requests|compute units|credits limited|request limit reached|daily request count|requests? per second|over capacity|exceeded .*(quota|capacity)|monthly (capacity|quota)/i
const RATE_LIMIT_CODES: ReadonlySet<number> = new Set([429, -32007, -32012, -32029])

/** Posts JSON and gives the JSON that comes back, whatever HTTP status it came with. Throws Fault. Nothing secret is in what it throws. */
export async function postJson(address: string, body: unknown, options: { readonly timeoutMs?: number; readonly apiKey?: string | null } = {}): Promise<unknown> {
  const { url, headers } = endpointOf(address, options.apiKey)
  const clean = hideSecretsOf([address], [options.apiKey])
  let response: Response
  let text: string
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json', ...headers },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(options.timeoutMs ?? 15_000),
    })
    text = await response.text()
  } catch (error) {
    throw connectionFault(error)
  }
  const { status } = response
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    const said = clean(text.replaceAll(/<[^>]*>|\s+/g, ' ').trim()).slice(0, 120)
    if (status === 429) throw new Fault('rate-limited', said, status)
    if (status === 401 || status === 403) throw new Fault('unauthorized', said, status)
    if (status === 404) throw new Fault('not-found', said, status)
    if (/^\s*<(!doctype|html)/i.test(text)) throw new Fault('html', said, status)
    throw status >= 400 ? new Fault('http', said, status) : new Fault('not-json', said, status)
  }
  const error = (json as { error?: { code?: unknown; message?: unknown } | string } | null)?.error
  const said = clean(typeof error === 'string' ? error : typeof error?.message === 'string' ? error.message : status >= 400 ? text : '').slice(0, 200)
  const code = typeof error === 'object' && typeof error.code === 'number' ? error.code : null
  if (status === 429 || (code !== null && RATE_LIMIT_CODES.has(code)) || RATE_LIMIT.test(said)) throw new Fault('rate-limited', said, status === 429 ? status : code)
  if (status === 401 || status === 403) throw new Fault('unauthorized', said, status)
  if (error === undefined && status >= 400) throw new Fault(status === 404 ? 'not-found' : 'http', said, status)
  return json
}

function connectionFault(error: unknown): Fault {
  const texts: string[] = []
  for (let cause = error; cause instanceof Error && texts.length < 5; cause = cause.cause) texts.push(`${cause.name} ${(cause as { code?: string }).code ?? ''} ${cause.message}`)
  const text = texts.join(' ')
  if (/TimeoutError|ETIMEDOUT|UND_ERR_(CONNECT|HEADERS|BODY)_TIMEOUT/.test(text)) return new Fault('timeout')
  if (/ENOTFOUND|EAI_AGAIN/.test(text)) return new Fault('unknown-host')
  if (/CERT|TLS|SSL|EPROTO|self.signed/i.test(text)) return new Fault('tls', /CERT_[A-Z_]+|[A-Z_]*SELF_SIGNED[A-Z_]*|EPROTO/.exec(text)?.[0] ?? '')
  return new Fault('unreachable', /ECONNREFUSED|ECONNRESET|EHOSTUNREACH|ENETUNREACH|EPIPE|UND_ERR_SOCKET/.exec(text)?.[0] ?? '')
}

/** What a fault means, for people: `it refused the connection`. */
export function describe(fault: Fault, timeoutMs = 15_000): string {
  const quoted = fault.said === '' ? '' : `: "${fault.said}"`
  switch (fault.kind) {
    case 'unreachable':
      return fault.said === 'ECONNREFUSED' || fault.said === '' ? 'nobody listens there' : `the connection broke (${fault.said})`
    case 'unknown-host':
      return 'its host name is not known'
    case 'tls':
      return `its certificate was not accepted${fault.said === '' ? '' : ` (${fault.said})`}`
    case 'timeout':
      return `no answer came within ${timeoutMs / 1000} s`
    case 'unauthorized':
      return `it refused access (HTTP ${fault.status})${quoted}`
    case 'not-found':
      return `it has nothing at that path (HTTP 404)${quoted}`
    case 'rate-limited':
      return `it limits the rate of requests (${fault.status ?? 429})${quoted}`
    case 'http':
      return `it answered HTTP ${fault.status}${quoted}`
    case 'html':
      return `it answered a web page (HTML)${quoted}`
    case 'not-json':
      return `its answer is no JSON${quoted}`
    case 'not-rpc':
      return `its answer is JSON of another kind${quoted}`
    case 'rpc':
      return `it answered the error ${fault.status ?? ''}${quoted}`
  }
}
