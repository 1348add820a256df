/** How the server gives the console's files: which address is a page, what is compressed, what browsers may keep. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { startServer } from '../../api/graphql/server.ts'
import type { ApiServer } from '../../api/graphql/server.ts'
import { createPrisma } from '../../prisma/client.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import { startTestPostgres } from '../support/postgres.ts'
import type { TestPostgres } from '../support/postgres.ts'
import { log, noChain, seed, services } from './support.ts'

const HTML = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'
const SCRIPT = `export const text = ${JSON.stringify('a script that is longer than what compression is worth. '.repeat(100))}\n`

let postgres: TestPostgres
let prisma: PrismaClient
let server: ApiServer
let pagesDir: string

type Got = { status: number; headers: IncomingHttpHeaders; body: Buffer }
/** Not by fetch, which unpacks what comes and takes away what it was packed with. */
const get = (path: string, headers: Record<string, string> = {}, method = 'GET', body = ''): Promise<Got> =>
  new Promise((resolve, reject) => {
    request(`${server.url}${path}`, { method, headers }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }))
    }).once('error', reject).end(body)
  })
const visit = (path: string, headers: Record<string, string> = {}): Promise<Got> => get(path, { accept: HTML, ...headers })
const ask = (query: string, headers: Record<string, string> = {}): Promise<Got> => get('/graphql', { 'content-type': 'application/json', ...headers }, 'POST', JSON.stringify({ query }))

beforeAll(async () => {
  pagesDir = await mkdtemp(join(tmpdir(), 'bulwark-pages-'))
  await mkdir(join(pagesDir, 'assets'))
  await writeFile(join(pagesDir, 'index.html'), '<title>The console</title>')
  await writeFile(join(pagesDir, 'sandbox.html'), '<title>The query page</title>')
  await writeFile(join(pagesDir, 'assets', 'index-A1b2C3d4.js'), SCRIPT)
  postgres = await startTestPostgres()
  prisma = createPrisma(await postgres.freshDatabase())
  await seed(prisma)
  server = await startServer({ ...services(prisma, noChain), log, host: '127.0.0.1', port: 0, pagesDir })
}, 90_000)

afterAll(async () => {
  await server?.close()
  await prisma?.$disconnect()
  await postgres?.stop()
  await rm(pagesDir, { recursive: true, force: true })
}, 30_000)

describe('addresses', () => {
  test('error: an address that is no text is refused as a page where a page is asked, as JSON otherwise', async () => {
    const page = await visit('/accounts/%E0%A4%A')
    expect([page.status, page.headers['content-type']]).toEqual([400, 'text/html; charset=utf-8'])
    expect(page.body.toString()).toContain('Found an address whose percent signs are no UTF-8 text')
    const json = await get('/accounts/%E0%A4%A', { accept: 'application/json' })
    expect([json.status, JSON.stringify(JSON.parse(json.body.toString()))]).toEqual([400, expect.stringContaining('Found an address whose percent signs are no UTF-8 text')])
  })

  test.each(['/', '/accounts', '/accounts/0x00000000000000000000000000000000000000a1', '/markets/vETH?at=1420', '/proposals/2403-139cac4ed478c28d:marketMaxPriceSpreadRatio:0x5a', '/nothing/of/ours', '/stress?regimes=covid-2020-03-12&asset=a.b'])('behavior: a browser that opens %s gets the console', async (path) => {
    const { status, headers, body } = await visit(path)
    expect([status, headers['content-type'], body.toString()]).toEqual([200, 'text/html; charset=utf-8', '<title>The console</title>'])
    expect((await get(path, { accept: HTML }, 'HEAD')).status).toBe(200)
  })

  test('behavior: a browser that opens /graphql gets the query page, and a GET with a query its answer', async () => {
    expect((await visit('/graphql')).body.toString()).toBe('<title>The query page</title>')
    const { status, body } = await visit('/graphql?query={__typename}', { 'apollo-require-preflight': '1' })
    expect([status, JSON.parse(body.toString())]).toEqual([200, { data: { __typename: 'Query' } }])
  })

  test.each(['/favicon.ico', '/markets/chart.png', '/index.php', '/robots.txt', '/assets/index-00000000.js', '/assets/none', '/auth/none'])('error: %s, which is no page, is not found, even for a browser', async (path) => {
    const { status, headers, body } = await visit(path)
    expect([status, JSON.parse(body.toString()).errors[0].extensions.code]).toEqual([404, 'NOT_FOUND'])
    expect(headers['cache-control'] ?? '').not.toContain('immutable')
  })

  test.each(['/accounts', '/nothing'])('error: %s is no page for a program, which asks for anything or for JSON', async (path) => {
    for (const accept of ['*/*', 'application/json']) expect((await get(path, { accept })).status).toBe(404)
    expect((await get(path, { accept: HTML }, 'POST')).status).toBe(404)
  })

  test('error: nothing beside the pages is given, whatever the path', async () => {
    for (const path of ['/../package.json', '/assets/../index.html', '/assets/%2e%2e/%2e%2e/package.json', '/%2e%2e/package.json']) expect((await visit(path)).status).toBeGreaterThanOrEqual(400)
    expect((await visit('/%')).status).toBe(400)
  })
})

describe('headers', () => {
  test('behavior: every page holds the same policy: nothing loads but from this server, and nothing is written into it', async () => {
    for (const path of ['/', '/accounts/0xa1', '/graphql']) {
      const { headers } = await visit(path)
      const directives = String(headers['content-security-policy']).split(';')
      expect(directives).toEqual(expect.arrayContaining(["default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "font-src 'self'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"]))
      expect(String(headers['content-security-policy'])).not.toMatch(/unsafe|https?:|data:|\*/)
      expect([headers['x-frame-options'], headers['referrer-policy'], headers['x-content-type-options']]).toEqual(['DENY', 'no-referrer', 'nosniff'])
    }
  })

  test('behavior: a page is asked for again each time and comes only where it has changed; what its name says the content of is kept', async () => {
    const page = await visit('/accounts')
    expect([page.headers['cache-control'], String(page.headers['vary'])]).toEqual(['no-cache', expect.stringMatching(/Accept(,|$)/)])
    const again = await visit('/markets/vETH', { 'if-none-match': String(page.headers.etag) })
    expect([again.status, again.body.length]).toEqual([304, 0])
    const script = await get('/assets/index-A1b2C3d4.js')
    expect([script.status, script.headers['cache-control']]).toEqual([200, 'public, max-age=31536000, immutable'])
  })
})

describe('compression', () => {
  test('behavior: scripts and long answers come compressed to who takes it, and plain to who does not', async () => {
    const script = await get('/assets/index-A1b2C3d4.js', { 'accept-encoding': 'gzip' })
    expect([script.headers['content-encoding'], gunzipSync(script.body).toString()]).toEqual(['gzip', SCRIPT])
    expect(script.body.length).toBeLessThan(SCRIPT.length / 10)
    expect(String(script.headers['vary'])).toContain('Accept-Encoding')
    const plain = await get('/assets/index-A1b2C3d4.js', { 'accept-encoding': 'identity' })
    expect([plain.headers['content-encoding'], plain.body.toString()]).toEqual([undefined, SCRIPT])

    const query = '{ parameters { id name display unit title } }'
    const long = await ask(query, { 'accept-encoding': 'gzip' })
    expect([long.status, long.headers['content-encoding']]).toEqual([200, 'gzip'])
    expect(gunzipSync(long.body).toString()).toBe((await ask(query)).body.toString())
  })

  test('behavior: a short answer goes out as it is', async () => {
    expect((await ask('{ __typename }', { 'accept-encoding': 'gzip' })).headers['content-encoding']).toBeUndefined()
  })
})
