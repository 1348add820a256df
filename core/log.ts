import { pino, type Logger } from 'pino'

export type { Logger } from 'pino'

/** Names of fields whose values never reach a log. */
const SECRET_PATHS = ['privateKey', 'password', 'databaseUrl', 'url', 'apiKey', 'authorization', '*.privateKey', '*.password', '*.databaseUrl', '*.apiKey', '*.authorization']

/**
 * Structured logger of one part; JSON lines on stderr, so that stdout stays a command's own output.
 * Addresses are masked in the finished line, so that neither a message, a stack, a cause nor a library's own field of an error carries a key.
 */
export function createLogger(part: string, level: string = process.env['BULWARK_LOG_LEVEL'] ?? 'info'): Logger {
  const out = pino.destination({ fd: 2, sync: true })
  return pino({ name: part, level, base: { part }, redact: { paths: SECRET_PATHS, censor: '[secret]' } }, { write: (line) => out.write(maskUrls(line)) })
}

/**
 * Every `scheme://…` in a text cut to its origin: credentials, path and query may hold a key. `file:///…`, which has no
 * host and which stack traces need, stays.
 * @example maskUrls('no answer of https://me:pw@host:8545/v2/KEY?k=1') // 'no answer of https://host:8545'
 */
export const maskUrls = (text: string): string => text.replace(/\b([a-z][a-z0-9+.-]*):\/\/([^\s"'`\\<>()/?#][^\s"'`\\<>()]*)/gi, (_, scheme: string, rest: string) => `${scheme}://${hostOf(rest)}`)

/** A password may hold an unescaped `/`, and then nobody can tell where the host begins: such an address is hidden whole. */
function hostOf(rest: string): string {
  const [authority = ''] = rest.split(/[/?#]/, 1)
  if (!authority.includes('@') && rest.includes('@')) return '[secret]'
  return authority.slice(authority.lastIndexOf('@') + 1)
}

/**
 * Takes out of a text what may be secret in these addresses and keys, also where a server repeats it without its address:
 * credentials, and parts of the path and of the query that are long enough for a key.
 */
export function hideSecretsOf(addresses: readonly string[], keys: readonly (string | null | undefined)[] = []): (text: string) => string {
  const parts = addresses.flatMap((address) => {
    const url = new URL(address)
    return [...url.pathname.split('/'), ...url.searchParams.values(), url.username, url.password, decodeURIComponent(url.password)]
  })
  // Shorter parts are words such as `v2`.
  const secrets = [...parts, ...keys].filter((part): part is string => typeof part === 'string' && part.length >= 12)
  return (text) => secrets.reduce((said, secret) => said.replaceAll(secret, '[secret]'), maskUrls(text))
}
