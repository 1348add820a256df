/** An address as `fetch` takes it, and the headers that go with it. */
export type Endpoint = { readonly url: string; readonly headers: Readonly<Record<string, string>> }

/**
 * `fetch` refuses an address with credentials: they become an Authorization header here. A bearer key (The Graph Network, a hosted
 * graph-node) goes into the same header and over them.
 * @example endpointOf('https://me:pw@host/path').headers // { authorization: 'Basic bWU6cHc=' }
 */
export function endpointOf(address: string, bearerKey?: string | null): Endpoint {
  const url = new URL(address)
  const { username, password } = url
  url.username = ''
  url.password = ''
  if (bearerKey != null && bearerKey !== '') return { url: url.href, headers: { authorization: `Bearer ${bearerKey}` } }
  if (username === '' && password === '') return { url: url.href, headers: {} }
  const text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { url: url.href, headers: { authorization: `Basic ${Buffer.from(text, 'utf8').toString('base64')}` } }
}
