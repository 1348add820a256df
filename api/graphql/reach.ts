/** By which names this server is reached, and which pages may speak for whoever has signed in. Pure. */

export type Reach = {
  /** Names that requests may come for, beside IP addresses. */
  readonly names: ReadonlySet<string>
  serves(host: string | undefined): boolean
  /** Whether an `Origin` is that of the page which this server itself gives. */
  own(origin: string | undefined, host: string | undefined): boolean
  /** Whether an `Origin` is one that CORS_ORIGINS opens the API to. */
  opened(origin: string | undefined): boolean
  /**
   * Whether a person may sign in with a message for `domain`. Never for an address that is not this machine's: a page there could have
   * had the message signed, and sent it on.
   */
  signsFor(domain: string, asked: { readonly host: string | undefined; readonly localAddress: string | undefined }): boolean
}

/** `host`: what the server listens on. `names`: more names of it. `origins`: pages elsewhere that may ask. */
export function createReach({ host, names, origins }: { readonly host: string; readonly names: readonly string[]; readonly origins: readonly string[] }): Reach {
  const given = new Set(names.map((name) => name.toLowerCase()))
  const all = new Set([host.toLowerCase(), 'localhost', ...given])
  const opened = new Set(origins.map((origin) => new URL(origin).origin))
  return {
    names: all,
    serves: (asked) => {
      const name = nameOf(asked)
      return all.has(name) || isAddress(name)
    },
    own: (origin, asked) => {
      if (origin === undefined || !URL.canParse(origin)) return false
      const page = new URL(origin)
      // A proxy may ask us under another name than the one that the page has.
      return (asked !== undefined && page.host === asked.toLowerCase()) || (page.port === '' && given.has(page.hostname))
    },
    opened: (origin) => origin !== undefined && opened.has(origin),
    signsFor: (domain, asked) => {
      const wanted = domain.toLowerCase()
      if (given.has(wanted) || [...opened].some((origin) => new URL(origin).host === wanted)) return true
      const name = nameOf(asked.host)
      return wanted === asked.host?.toLowerCase() && (all.has(name) || name === bracketed(asked.localAddress))
    },
  }
}

const nameOf = (host: string | undefined): string => (host ?? '').replace(/:\d+$/, '').toLowerCase()
const isAddress = (name: string): boolean => /^\d{1,3}(\.\d{1,3}){3}$/.test(name) || /^\[[0-9a-f:.]+\]$/.test(name)

/** A socket's address as a Host header has it. */
const bracketed = (address: string | undefined): string | null => {
  if (address === undefined) return null
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '').toLowerCase()
  return plain.includes(':') ? `[${plain}]` : plain
}
