/**
 * The console in a real browser: Debian's chromium. Where it is not installed these tests are skipped and say so.
 * Screenshots at three widths, light and dark, go to a temporary folder that is named at the end.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { chromium } from 'playwright-core'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { startServer } from '../../api/graphql/server.ts'
import type { ApiServer } from '../../api/graphql/server.ts'
import { createPrisma } from '../../prisma/client.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import { BLOCK, addressOf, chainAt, log, seed, services } from '../graphql/support.ts'
import { startTestPostgres } from '../support/postgres.ts'
import type { TestPostgres } from '../support/postgres.ts'

const CHROMIUM = '/usr/bin/chromium'
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
const here = existsSync(CHROMIUM)
if (!here) process.stderr.write(`The console's browser tests are skipped: found no ${CHROMIUM}; run apt-get install chromium to run them\n`)
const inBrowser = here ? describe : describe.skip

let postgres: TestPostgres
let prisma: PrismaClient
let browser: Browser
let pagesDir: string
let shots: string
let server: ApiServer

const serve = (client: PrismaClient, port = 0): Promise<ApiServer> => startServer({ ...services(client, chainAt(BLOCK.number + 1n, BLOCK.timestamp + 2n, () => null)), log, host: '127.0.0.1', port, pagesDir })

/** A page that fails the test for any request elsewhere, any error, and any breach of the content policy. */
async function visit<T>(url: string, options: BrowserContextOptions, use: (page: Page) => Promise<T>, allowed: RegExp = /^$/): Promise<T> {
  const context = await browser.newContext(options)
  const faults: string[] = []
  try {
    const page = await context.newPage()
    page.on('request', (request) => { if (!request.url().startsWith(new URL(url).origin)) faults.push(`request to ${request.url()}`) })
    page.on('pageerror', (error) => faults.push(error.message))
    page.on('console', (message) => { if (message.type() === 'error' && !allowed.test(message.text())) faults.push(message.text()) })
    await page.goto(url)
    const result = await use(page)
    expect(faults).toEqual([])
    return result
  } finally {
    await context.close()
  }
}

/** Reads until it matches, for 10 s; then the last text must match. */
async function eventually(read: () => Promise<string>, pattern: RegExp): Promise<void> {
  const until = Date.now() + 10_000
  let text = await read()
  while (!pattern.test(text) && Date.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 100))
    text = await read()
  }
  expect(text).toMatch(pattern)
}

inBrowser('console', () => {
  beforeAll(async () => {
    pagesDir = await mkdtemp(join(tmpdir(), 'bulwark-pages-'))
    shots = await mkdtemp(join(tmpdir(), 'bulwark-shots-'))
    const root = fileURLToPath(new URL('../..', import.meta.url))
    const built = spawnSync(process.execPath, [join(root, 'node_modules/vite/bin/vite.js'), 'build', '--outDir', pagesDir, '--emptyOutDir', '--logLevel', 'error'], { cwd: root, encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } })
    if (built.status !== 0) throw new TypeError(`the console does not build: ${built.stderr}`)
    postgres = await startTestPostgres()
    prisma = createPrisma(await postgres.freshDatabase())
    await seed(prisma)
    server = await serve(prisma)
    browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS })
  }, 120_000)

  afterAll(async () => {
    await browser?.close()
    await server?.close()
    await prisma?.$disconnect()
    await postgres?.stop()
    if (pagesDir) await rm(pagesDir, { recursive: true, force: true })
    if (shots) process.stderr.write(`Screenshots: ${shots}\n`)
  }, 30_000)

  test('behavior: shows the block, its age, each part, markets, the most endangered accounts, recommendations, proposals and the fund', async () => {
    await visit(server.url, { viewport: { width: 1440, height: 900 } }, async (page) => {
      const bar = page.locator('header.bar')
      await eventually(() => bar.innerText(), /devnet[\s\S]*Block\s*1,000[\s\S]*Age\s*2 s[\s\S]*2023-11-14 22:13:20 UTC/)
      for (const part of ['chain', 'graph-node', 'mirror', 'database', 'margin', 'api']) expect(await bar.innerText()).toContain(part)
      const markets = await page.locator('#markets tbody tr').allInnerTexts()
      expect(markets[0]).toMatch(/vETH\s+2,000\.00\s+1,800\.00\s+0\.00 %\s+1,000,000,000\.0 ETH/)
      // The order and the figures of the margin test: 3 (10 %), 1 (22.22 %), 4, 5, 2; those without positions are not listed.
      const accounts = await page.locator('#accounts tbody tr').allInnerTexts()
      expect(accounts.map((text) => /\d+\.\d\d %/.exec(text)?.[0])).toEqual(['10.00 %', '22.22 %', '50.00 %', '50.00 %', '61.11 %'])
      expect(accounts[1]).toMatch(/22\.22 %\s+15\.97 %\s+800\.00\s+225\.00\s+long 2\.000 ETH liq\. 1,493\.33/)
      expect(await page.locator('#accounts tbody tr button').first().getAttribute('title')).toContain(addressOf(3))
      expect(await page.locator('#accounts tbody tr button').first().innerText()).toBe('0x000000…000003')
      expect(await page.locator('#recommendations').innerText()).toMatch(/90[\s\S]*protocol Maintenance margin[\s\S]*advisory[\s\S]*6\.25 % → 7 %[\s\S]*tighten/)
      expect(await page.locator('#proposals').innerText()).toMatch(/awaiting signatures[\s\S]*Proposal 2[\s\S]*1 of 2 signed[\s\S]*vETH Price band: 10 % → 6\.25 %/)
      expect(await page.locator('#fund').innerText()).toMatch(/Capacity[\s\S]*1\.00 USD[\s\S]*bad debt/)
    })
  }, 30_000)

  test('behavior: a recommendation opens by keyboard and shows its evidence', async () => {
    await visit(server.url, { viewport: { width: 1024, height: 768 } }, async (page) => {
      const summary = page.locator('#recommendations summary').first()
      await summary.waitFor()
      await summary.focus()
      await page.keyboard.press('Enter')
      await page.getByText('PriceUpdate of the last 30 days').first().waitFor({ state: 'visible' })
      expect(await page.locator('#recommendations details').first().innerText()).toMatch(/99 % move of 15 minutes\s+0\.0412346[\s\S]*clamp\s+7 % → 6\.25 %: policy bounds[\s\S]*Confidence 80 % · volatility-band 1 · block 1,000/)
      const outline = await summary.evaluate((element) => getComputedStyle(element).outlineStyle)
      expect(outline).toBe('solid')
    })
  }, 30_000)

  test.each([[1440, 900], [1024, 768], [390, 844]])('behavior: at %d px nothing is cut off sideways, light and dark', async (width, height) => {
    for (const colorScheme of ['light', 'dark'] as const) {
      await visit(server.url, { viewport: { width, height }, colorScheme }, async (page) => {
        await page.locator('#accounts tbody tr').first().waitFor()
        await page.screenshot({ path: join(shots, `console-${width}-${colorScheme}.png`), fullPage: true })
        expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width)
        const cut = await page.evaluate(() => [...document.querySelectorAll('.panel')].filter((panel) => panel.scrollWidth > panel.clientWidth).map((panel) => panel.id))
        expect(cut).toEqual([])
      })
    }
  }, 60_000)

  test('behavior: the API goes and comes back; the last figures stay, and what to do is said meanwhile', async () => {
    const own = await serve(prisma)
    let again: ApiServer | undefined
    try {
      await visit(own.url, {}, async (page) => {
        await page.locator('#markets tbody tr').first().waitFor()
        await own.close()
        // The list of parts is another: the book's mirror stopped when it was filled, and is said to be silent after 30 s.
        const notice = page.locator('p.notice.down')
        await notice.waitFor({ timeout: 15_000 })
        expect(await notice.innerText()).toMatch(/The API does not answer\. The figures below stand at block 1,000 .*npm start/)
        expect(await page.locator('#markets tbody tr').count()).toBe(3)
        again = await serve(prisma, own.port)
        await notice.waitFor({ state: 'detached', timeout: 15_000 })
      }, /ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET/)
    } finally {
      await again?.close()
    }
  }, 60_000)

  test('behavior: before the first indexed block every part says what to wait for', async () => {
    const empty = createPrisma(await postgres.freshDatabase())
    const own = await serve(empty)
    try {
      await visit(own.url, {}, async (page) => {
        await page.getByText('No market is indexed yet').waitFor()
        const text = await page.locator('main').innerText()
        for (const sentence of ['mirror is degraded. It has not started yet', 'No account holds a position', 'No run has finished yet', 'No proposal yet', 'The fund has not been seen yet']) expect(text).toContain(sentence)
      })
    } finally {
      await own.close()
      await empty.$disconnect()
    }
  }, 30_000)

  test('behavior: where all is held, it claims no reason that holds for all', async () => {
    const held = createPrisma(await postgres.freshDatabase())
    await seed(held)
    await held.recommendation.updateMany({ data: { direction: 'HOLD', reason: 'Unknown: the sample is too small' } })
    const own = await serve(held)
    try {
      await visit(own.url, {}, async (page) => {
        await page.getByText('2 to hold', { exact: true }).waitFor()
        const text = await page.locator('#recommendations').innerText()
        expect(text).toContain('Nothing to change now; each card below says why.')
        expect(text).not.toContain('deadband')
      })
    } finally {
      await own.close()
      await held.$disconnect()
    }
  }, 30_000)

  test('behavior: the query page runs a query and shows the schema, without the internet', async () => {
    await visit(`${server.url}/graphql`, {}, async (page) => {
      await page.locator('.docs .field').first().waitFor()
      expect(await page.locator('.docs summary').first().innerText()).toMatch(/^Query/)
      await page.getByLabel('GraphQL query').fill('{ markets { symbol } }')
      await page.keyboard.press('Control+Enter')
      await eventually(() => page.locator('pre').innerText(), /"symbol": "vETH"/)
      await page.getByLabel('GraphQL query').fill('{ nothing }')
      await page.keyboard.press('Control+Enter')
      await eventually(() => page.locator('pre').innerText(), /Cannot query field/)
    }, /status of 400/)
  }, 30_000)
})
