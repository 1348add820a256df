/** What the page says of its own connection: a figure that nobody renews may not look current, and what cannot be had is not “nothing”. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Browser, Page, Route } from 'playwright-core'
import { createEvents } from '../../api/graphql/events.ts'
import { BLOCK, addressOf, deployment, log, seed } from '../graphql/support.ts'
import { seedRisk } from '../graphql/risk-support.ts'
import { eventually, inBrowser, openBrowser, settled, visit } from './browser.ts'
import { startScratch, type Scratch } from './scratch.ts'

inBrowser('connection', () => {
  let browser: Browser
  let scratch: Scratch
  let server: Awaited<ReturnType<Scratch['serve']>>
  let events: ReturnType<typeof createEvents>
  let block = BLOCK.number
  const eth = deployment.markets[0]!.baseToken.toLowerCase()
  const hashOf = (number: bigint): string => `0x${number.toString(16).padStart(64, '0')}`

  /** What the mirror writes with its next block, one second after the one before, with an account liquidated in it; told to nobody yet. */
  const step = async (usd: number): Promise<void> => {
    block += 1n
    const timestamp = BLOCK.timestamp + block - BLOCK.number
    await scratch.prisma.liquidation.create({ data: { id: hashOf(block), accountId: addressOf(4), marketId: eth, liquidator: addressOf(9), sizeE18: '2500000000000000000', notionalE18: `${usd}${'0'.repeat(18)}`, penaltyE18: '1', liquidatorFeeE18: '1', sizeAfterE18: '0', blockNumber: block, timestamp, transactionHash: hashOf(block), logIndex: 0 } })
    await scratch.prisma.checkpoint.create({ data: { blockNumber: block, blockHash: hashOf(block), blockTimestamp: timestamp, rowCount: 1 } })
    await scratch.prisma.replayStatus.update({ where: { id: 1 }, data: { blockNumber: block } })
  }
  const textOf = async (page: Page, selector: string): Promise<string> => (await page.locator(selector).innerText()).replace(/\s+/g, ' ')
  const feed = (page: Page): Promise<string> => textOf(page, '#happened')
  const header = (page: Page): Promise<string> => page.locator('.standing .health').innerText()
  /** The last of the overview's five judgements: of the figures themselves. */
  const figures = (page: Page): Promise<string> => textOf(page, '.overview-answer li:last-child')
  const away = (page: Page) => page.locator('.shell-trouble').getByText('The API does not answer.')
  const shownBlock = (page: Page): Promise<string> => textOf(page, '.standing .block')
  /** Answers questions of these names by `how`, all where none is named; the others pass. Returns what ends it. */
  const answering = async (page: Page, names: readonly string[], how: (route: Route) => Promise<void> | void): Promise<() => Promise<void>> => {
    const asked = names.length === 0 ? /query/ : new RegExp(`query (${names.join('|')})\\b`)
    const handler = async (route: Route): Promise<void> => { await (asked.test(route.request().postData() ?? '') ? how(route) : route.fallback()) }
    await page.route('**/graphql', handler)
    return () => page.unroute('**/graphql', handler)
  }
  /** The API's own status, but for the parts that this ground does not run. */
  const healthy = (page: Page) => answering(page, ['Status'], async (route) => {
    const response = await fetch(`${server.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: route.request().postData()! })
    const { data } = (await response.json()) as { data: { status: object } }
    await route.fulfill({ json: { data: { status: { ...data.status, health: 'UP', parts: [] } } } })
  })
  const fail = (route: Route): Promise<void> => route.fulfill({ status: 503, contentType: 'text/plain', body: 'no upstream' })

  beforeAll(async () => {
    scratch = await startScratch({
      fill: async (prisma) => {
        await seed(prisma)
        await seedRisk(prisma)
      },
    })
    events = createEvents({ prisma: scratch.prisma, log })
    await events.look()
    server = await scratch.serve({ services: { risk: { events } } })
    browser = await openBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    await server?.close()
    await scratch?.close()
  })

  test.each([['/', '503 to every question'], ['/markets', 'aborted'], ['/accounts', '503 to every question']])('error: %s: questions fail (%s) while the socket lives: the API is away, in the header, below and in the answer, until it answers again', async (path, kind) => {
    await visit(browser, `${server.url}${path}`, { allowed: /status of 503|ERR_FAILED/ }, async (page) => {
      await settled(page)
      expect(await away(page).count()).toBe(0)
      const restore = await answering(page, [], kind === 'aborted' ? (route) => route.abort() : fail)
      await away(page).waitFor()
      expect(await header(page)).toMatch(/^■\s*API away/)
      // Said once: no part repeats it.
      expect(await page.getByText('What stands below is the last that came.').count()).toBe(0)
      if (path === '/') await eventually(() => figures(page), /unknown .*the API does not answer, so nothing newer is known/)
      expect(await page.title()).not.toMatch(/Yes/)
      await restore()
      await away(page).waitFor({ state: 'detached' })
      await eventually(() => header(page), /^(?!.*API away)/s)
      // No part says it by itself while all is asked for again.
      expect(await page.getByText('What stands below is the last that came.').count()).toBe(0)
      await step(3_000)
      await events.look()
      await eventually(() => shownBlock(page), new RegExp(`${Number(block).toLocaleString('en')}`))
      await page.getByText('What stands below is the last that came.').waitFor({ state: 'detached' })
    })
  })

  test.each([['/markets', 'Markets'], ['/accounts', 'AccountTable']])('error: %s: one question alone that nobody answers is said where its figures are', async (path, name) => {
    await visit(browser, `${server.url}${path}`, { allowed: /ERR_FAILED/ }, async (page) => {
      await settled(page)
      await answering(page, [name], (route) => route.abort())
      // Looked at again, the page asks for all of it, however long an answer took before.
      await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')))
      await page.locator('main .notice', { hasText: 'The API does not answer. What stands below is the last that came.' }).waitFor()
      expect(await page.locator('.shell-trouble').getByText('The API does not answer.').count()).toBe(0)
      expect(await header(page)).not.toMatch(/away/)
    })
  })

  test('behavior: figures grow older while nobody answers, by time that passed and not by the clock on the wall', async () => {
    await visit(browser, server.url, {
      before: async (page) => {
        await page.clock.install()
        await healthy(page)
      },
    }, async (page) => {
      await settled(page)
      await eventually(() => figures(page), /safe .*figures are current/)
      const age = (): Promise<string> => page.locator('.standing .age').innerText()
      const restore = await answering(page, [], () => {})
      await page.clock.setSystemTime(new Date('2031-01-01T00:00:00Z'))
      await page.clock.runFor(3000)
      // Seconds of the machine that runs this go by besides.
      await eventually(age, /^([2-9]|[1-5]\d) s/)
      await page.clock.runFor(40 * 60_000)
      await eventually(age, /^4\d min/)
      await eventually(() => figures(page), /unknown/)
      await restore()
      await page.unrouteAll({ behavior: 'wait' })
    })
  })

  test('error: what happened cannot be had: it is not called nothing, what is told meanwhile is shown, and the rest comes by itself', async () => {
    let restore = async (): Promise<void> => {}
    await visit(browser, server.url, {
      allowed: /ERR_FAILED/,
      before: async (page) => { restore = await answering(page, ['Happened'], (route) => route.abort()) },
    }, async (page) => {
      await eventually(() => feed(page), /Not known: some of what happened could not be read\./)
      expect(await feed(page)).not.toContain('Nothing yet')
      await page.locator('.standing .health', { hasText: /Live|degraded|down/ }).waitFor()
      await step(4_321)
      await events.look()
      await eventually(() => feed(page), /liquidated 0x000000…000004 2\.500 vETH, 4,321\.00 USD/)
      expect(await feed(page)).toContain('Not known: some of what happened')
      await restore()
      await step(4_322)
      await events.look()
      // Of the book, long before: told by the list alone.
      await page.locator('#happened li', { hasText: /recommended Maintenance margin of protocol 6\.25 % → 7 %/ }).waitFor()
      expect(await feed(page)).toContain('4,322.00 USD')
      expect(await feed(page)).not.toContain('Not known')
    })
  })

  test('behavior: no WebSocket comes through: new blocks are asked for, figures and what happened follow them, and that is said', async () => {
    let isOpen = false
    await visit(browser, server.url, {
      allowed: /WebSocket/,
      before: async (page) => {
        await healthy(page)
        await page.routeWebSocket(/graphql/, (socket) => { if (isOpen) socket.connectToServer(); else void socket.close() })
      },
    }, async (page) => {
      const said = page.locator('.shell-trouble').getByText('Live updates are off: figures are asked for every 5 s.')
      await said.waitFor()
      await eventually(() => header(page), /Every 5 s/)
      await settled(page)
      expect(await away(page).count()).toBe(0)
      await step(5_432)
      await eventually(() => shownBlock(page), new RegExp(Number(block).toLocaleString('en')))
      await page.locator('#happened li', { hasText: '5,432.00 USD' }).waitFor()
      isOpen = true
      await said.waitFor({ state: 'detached' })
      await eventually(() => header(page), /Live/)
      await page.unrouteAll({ behavior: 'wait' })
    })
  })

  test.each([['/markets/vETH', 'Market', 'Market'], ['/parameters/marketMaxPriceSpreadRatio/' + deployment.markets[0]!.baseToken.toLowerCase(), 'ParameterPage', 'Parameter']])('behavior: %s has its heading and title while its answer is under way, at the place where they stay', async (path, name, heading) => {
    let release = (): void => {}
    const held = new Promise<void>((resolve) => { release = resolve })
    await visit(browser, `${server.url}${path}`, { before: async (page) => { await answering(page, [name], async (route) => { await held; await route.fallback() }) } }, async (page) => {
      await page.getByRole('heading', { level: 1, name: heading }).waitFor()
      await eventually(() => page.title(), new RegExp(`^${heading} · Bulwark$`))
      const place = await page.locator('h1').boundingBox()
      await page.locator('main .loading').waitFor()
      release()
      await page.getByRole('heading', { level: 1, name: /vETH/ }).waitFor()
      await eventually(() => page.title(), /vETH.* · Bulwark$/)
      expect(await page.locator('h1').boundingBox()).toMatchObject({ x: place!.x, y: place!.y })
    })
  })
})
