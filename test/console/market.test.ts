/** A market's desk: figures of charts are the API's own, the ladder says exactly what the API says of the price it is dragged to, and what is unknown says why. */
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Browser, Download, Page } from 'playwright-core'
import { createBreakers } from '../../api/graphql/risk/breakers.ts'
import { queryApi } from '../../cli/graphql.ts'
import { compact, dateTime, decimal, percent, price, signedPercent, usd, whole } from '../../console/ui/format.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import { seedRisk } from '../graphql/risk-support.ts'
import { BLOCK, addressOf, deployment, seed, seedHistory } from '../graphql/support.ts'
import { axeFindings, chooseOf, cutOff, eventually, hrefOf, inBrowser, openBrowser, settled, visit } from './browser.ts'
import { startScratch, type Scratch } from './scratch.ts'

type Rung = { change: number; price: number; accounts: number; notional: number; notionalInMarket: number; badDebt: number; fundUsed: number; uncovered: number }
type Ladder = { liquidationLadder: { price: number; betas: { name: string; value: number }[]; rungs: Rung[] } }

const eth = deployment.markets[0]!
const [market, feed] = [eth.baseToken.toLowerCase(), eth.chainlinkFeed.toLowerCase()]
const now = Number(BLOCK.timestamp)
/** The feed gave no price between these, and refused what it was given in between; the band was 6.25 % before, and 10 % since `widened`. */
const silent = { from: now - 30 - 200 * 300, to: now - 30 - 150 * 300 }
const widened = now - 40_000
const RUNGS = 'price betas { name value } rungs { change price accounts notional notionalInMarket badDebt fundUsed uncovered }'

async function fill(prisma: PrismaClient): Promise<void> {
  await seed(prisma)
  await seedHistory(prisma)
  await seedRisk(prisma)
  await prisma.oracleFeed.update({ where: { id: feed }, data: { timeoutSec: '2400' } })
  const refused = { feedId: feed, priceTimestamp: BigInt(silent.from), ageSec: '600', transactionHash: `0x${'ef'.repeat(32)}`, priceE18: '1800000000000000000000', freezeReason: 5, blockNumber: 700n }
  await prisma.priceUpdate.deleteMany({ where: { feedId: feed, priceTimestamp: { gt: BigInt(silent.from), lt: BigInt(silent.to) } } })
  // Rows of one feed are in order of blocks: those refused stand between the two prices.
  const before = await prisma.priceUpdate.findFirstOrThrow({ where: { feedId: feed, priceTimestamp: BigInt(silent.from) } })
  for (let n = 0; n < 3; n++) await prisma.priceUpdate.create({ data: { ...refused, id: `refused-${n}`, blockNumber: before.blockNumber, timestamp: BigInt(silent.from + 600 * (n + 1)), logIndex: 1000 + n } })
  await prisma.parameterChange.updateMany({ where: { name: 'marketMaxPriceSpreadRatio', newValue: '100000' }, data: { timestamp: BigInt(widened) } })
  const level = (n: number, sec: number, fromLevel: string, toLevel: string) => ({ id: `990:${market}:${n}`, blockNumber: BLOCK.number, blockHash: BLOCK.hash, blockTimestamp: BLOCK.timestamp, seenBlock: BigInt(900 + n), seenTimestamp: BigInt(sec), subject: market, subjectLabel: 'vETH', fromLevel, toLevel, why: `for test ${n}`, reasons: [] })
  await prisma.breakerChange.createMany({ data: [level(1, now - 20_000, 'NORMAL', 'RESTRICT'), level(2, now - 10_000, 'RESTRICT', 'NORMAL')] })
  // At the shown time and 1,790 USD: 2 base for 3,580 quote.
  await prisma.liquidation.create({ data: { id: 'shown-liquidation', accountId: addressOf(1), marketId: market, liquidator: addressOf(9), sizeE18: `${2n * 10n ** 18n}`, notionalE18: `${3580n * 10n ** 18n}`, penaltyE18: '1', liquidatorFeeE18: '1', sizeAfterE18: '0', blockNumber: 980n, timestamp: BigInt(now - 5000), transactionHash: `0x${'ab'.repeat(32)}`, logIndex: 0 } })
}

/** What a menu under `⋯` of a chart saves; `asked` is called once it was clicked. */
async function saved(page: Page, chart: string, item: string, asked?: () => void): Promise<{ name: string; content: Buffer }> {
  const [download] = await Promise.all([page.waitForEvent('download') as Promise<Download>, chooseOf(page, chart, item).then(asked)])
  return { name: download.suggestedFilename(), content: await readFile(await download.path()) }
}

const linesOf = (content: Buffer): string[][] => content.toString('utf8').trim().split('\r\n').map((line) => line.split(','))

inBrowser('the market pages', () => {
  let browser: Browser
  let scratch: Scratch

  const rungAt = async (target: number, joint = false): Promise<Rung> => {
    const { liquidationLadder: { price: index } } = await queryApi<Ladder>(scratch.url, `{ liquidationLadder(market: "vETH", changes: [0]) { ${RUNGS} } }`)
    const { liquidationLadder } = await queryApi<Ladder>(scratch.url, `query ($changes: [Float!], $joint: Boolean) { liquidationLadder(market: "vETH", changes: $changes, joint: $joint) { ${RUNGS} } }`, { changes: [target / index - 1], joint })
    return liquidationLadder.rungs[0]!
  }
  const said = (page: Page) => page.locator('#ladder output')
  /** The sentence once it is the API's answer. */
  const answered = async (page: Page): Promise<string> => {
    await page.waitForFunction(() => !/asking/.test(document.querySelector('#ladder output')?.textContent ?? 'asking'))
    return said(page).innerText()
  }
  /** A part that is made once it is near, and answered. What is above it may grow meanwhile. */
  const near = async (page: Page, id: string): Promise<void> => {
    await page.locator(`#${id}`).scrollIntoViewIfNeeded()
    await page.waitForFunction((section) => document.querySelector(`#${section} .loading, #${section} [style^="min-height"]`) === null, id)
    await page.locator(`#${id}`).scrollIntoViewIfNeeded()
  }
  const handle = (page: Page) => page.getByRole('slider', { name: 'Price of vETH' })
  const priceOf = (sentence: string): number => Number(/^At ([\d,.]+):/.exec(sentence)![1]!.replaceAll(',', ''))
  const sentenceOf = (target: number, rung: Rung): string =>
    rung.accounts === 0
      ? `At ${decimal(String(target), 0)}: no account below its requirement.`
      : `At ${decimal(String(target), 0)}: ${rung.accounts} ${rung.accounts === 1 ? 'account' : 'accounts'}, ${compact(rung.notional)}, ${rung.badDebt === 0 ? 'no' : compact(rung.badDebt)} bad debt${rung.badDebt === 0 ? '' : `, the fund pays ${compact(rung.fundUsed)}, ${rung.uncovered === 0 ? 'nothing is uncovered' : `${compact(rung.uncovered)} uncovered`}`}.`
  const figure = async (page: Page, label: string): Promise<string> => (await page.locator('#ladder .sums > div', { hasText: label }).locator('dd').first().innerText()).trim()

  beforeAll(async () => {
    let breakers: ReturnType<typeof createBreakers> | undefined
    scratch = await startScratch({
      fill: async (prisma) => {
        await fill(prisma)
        breakers = createBreakers({ prisma, deployment })
        await breakers.observe()
      },
    })
    browser = await openBrowser()
  })

  afterAll(async () => {
    await browser?.close()
    await scratch?.close()
  })

  test('behavior: the table of markets is the API’s, and says why a figure is unknown', async () => {
    type Row = { symbol: string; indexPrice: { value: string }; premium: number | null; depth: { buyQuote: { value: string }; sellQuote: { value: string } } | null }
    const { markets } = await queryApi<{ markets: Row[] }>(scratch.url, '{ markets { symbol indexPrice { value } premium depth { buyQuote { value } sellQuote { value } } } }')
    await visit(browser, `${scratch.url}/markets`, {}, async (page) => {
      const table = page.getByRole('table', { name: 'All markets' })
      await table.getByRole('row').nth(3).waitFor()
      for (const one of markets) {
        const row = table.getByRole('row').filter({ has: page.getByRole('link', { name: one.symbol, exact: true }) })
        expect(await row.locator('[data-label="Index price, USD"]').innerText()).toBe(price(one.indexPrice.value))
        const premium = row.locator('[data-label="Premium, fraction"]')
        expect(await premium.innerText()).toContain(one.premium === null ? 'unknown: It needs an index price and a price of the pool' : signedPercent(one.premium))
      }
      expect(markets.map(({ premium }) => premium === null)).toEqual([false, true, true])
      // The liquidity of vETH alone is indexed with a price; the capacity of a market that nobody traded in is unknown, with the API's own sentence.
      const { marketCapacity } = await queryApi<{ marketCapacity: { cap: number | null; unknown: { message: string } } }>(scratch.url, '{ marketCapacity(market: "vBTC") { cap unknown { message } } }')
      expect(marketCapacity.cap).toBeNull()
      await eventually(() => table.getByRole('row').filter({ hasText: 'vBTC' }).locator('[data-label="Capacity of a side, USD"]').innerText(), new RegExp(marketCapacity.unknown.message.slice(0, 40).replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')))
      await table.getByRole('link', { name: 'vETH' }).click()
      await page.getByRole('heading', { name: 'vETH', level: 1 }).waitFor()
    })
  })

  test('behavior: the ladder’s handle follows the mouse, and says what the API says of that very price', async () => {
    await visit(browser, `${scratch.url}/markets/vETH`, {}, async (page) => {
      await answered(page)
      await settled(page)
      await near(page, 'ladder')
      // The API is slow for once: what it is asked of one price waits for `answer`.
      let answer = () => {}
      const held = new Promise<void>((resolve) => { answer = resolve })
      await page.route('**/graphql', async (route) => {
        const { query, variables } = route.request().postDataJSON() as { query: string; variables: { changes?: number[] } }
        if (/query Ladder/.test(query) && variables.changes?.length === 1) await held
        await route.continue()
      })
      const plot = await page.locator('#ladder .market-plot').boundingBox()
      const knob = await page.locator('#ladder .market-handle').boundingBox()
      await page.mouse.move(knob!.x + knob!.width / 2, knob!.y + knob!.height / 2)
      await page.mouse.down()
      // A fifth of the plot: between half and one and a half times the price.
      for (let step = 1; step <= 5; step++) await page.mouse.move(plot!.x + plot!.width * (0.4 - step * 0.04), plot!.y + 40)
      // While it asks, what it says are rungs beside it, named as such, and no figure of its own.
      expect(await said(page).innerText()).toMatch(/^At [\d,]+: asking\. Known beside it: [\d,.]+ \(\d+ accounts, .+ bad debt\) and /)
      await page.mouse.up()
      answer()
      const sentence = await answered(page)
      const target = priceOf(sentence)
      expect(Math.abs(target - 1800 * (0.5 + 0.2))).toBeLessThan(15)
      const rung = await rungAt(target)
      expect(rung.accounts).toBeGreaterThan(0)
      expect(sentence).toBe(sentenceOf(target, rung))
      expect(await figure(page, 'Notional')).toBe(usd(String(rung.notional)))
      expect(await figure(page, 'Bad debt')).toBe(usd(String(rung.badDebt)))
      expect(await figure(page, 'Fund pays')).toBe(usd(String(rung.fundUsed)))
      expect(await figure(page, 'Uncovered')).toBe(usd(String(rung.uncovered)))
      expect((await hrefOf(page)).searchParams.get('at')).toBe(String(target))
    })
  })

  test('behavior: the keyboard moves it by a step, by ten and to the ends, a touch by a tap, a typed price to the cent', async () => {
    await visit(browser, `${scratch.url}/markets/vETH?at=1600`, { hasTouch: true }, async (page) => {
      await answered(page)
      await handle(page).focus()
      await page.keyboard.press('ArrowLeft')
      await eventually(() => said(page).innerText(), /^At 1,598: (?!asking)/)
      expect(await said(page).innerText()).toBe(sentenceOf(1598, await rungAt(1598)))
      expect(await handle(page).getAttribute('aria-valuetext')).toBe(await said(page).innerText())
      await page.keyboard.press('PageDown')
      await eventually(() => said(page).innerText(), /^At 1,578: (?!asking)/)
      await page.keyboard.press('Home')
      await eventually(() => said(page).innerText(), /^At 900: (?!asking)/)
      expect(await said(page).innerText()).toBe(sentenceOf(900, await rungAt(900)))
      await settled(page)
      const plot = (await page.locator('#ladder .market-plot').boundingBox())!
      await page.touchscreen.tap(plot.x + plot.width * 0.25, plot.y + 60)
      await eventually(() => said(page).innerText(), /^At 1,[34]\d\d: (?!asking)/)
      const input = page.getByRole('textbox', { name: 'Price, USD' })
      await input.fill('20')
      expect(await page.locator('#ladder .market-typed').innerText()).toContain('Found “20”, allowed is 900 to 2,700.')
      await input.fill('1,234.56')
      await input.press('Enter')
      await eventually(() => said(page).innerText(), /^At 1,234\.56: (?!asking)/)
      const rung = await rungAt(1234.56)
      expect(await figure(page, 'Bad debt')).toBe(usd(String(rung.badDebt)))
      expect((await hrefOf(page)).searchParams.get('at')).toBe('1234.56')
    })
  })

  test.each([1440, 390])('behavior: at %i px the handle stands over the price that it names, at both ends of the plot', async (width) => {
    for (const at of [900, 2700]) {
      await visit(browser, `${scratch.url}/markets/vETH?at=${at}`, { viewport: { width, height: 900 } }, async (page) => {
        await answered(page)
        await settled(page)
        const drawn = (await saved(page, 'Liquidation ladder, vETH', 'Save as SVG')).content.toString('utf8')
        // The dots of that price, 10 px wide, are drawn on the chart's own axes, above and below.
        const dots = [...drawn.matchAll(/transform="matrix\(5,0,0,5,([\d.]+),[\d.]+\)"/g)].map((match) => Number(match[1]))
        const [canvas, knob] = [(await page.locator('#ladder .canvas').boundingBox())!, (await page.locator('#ladder .market-handle').boundingBox())!]
        expect(dots).toHaveLength(2)
        for (const dot of dots) expect(Math.abs(knob.x + knob.width / 2 - canvas.x - dot)).toBeLessThan(1)
      })
    }
  })

  test('behavior: an hour’s bar tells of that hour, in either half', async () => {
    const { market: { stats } } = await queryApi<{ market: { stats: { nodes: { timestamp: string; volume: { value: string } }[] } } }>(scratch.url, '{ market(id: "vETH") { stats(interval: HOUR, first: 1) { nodes { timestamp volume { value } } } } }')
    const [hour] = stats.nodes
    const start = Number(hour!.timestamp)
    // A window of ten hours about it: 54 px an hour or less.
    const [from, to] = [start - 5 * 3600, start + 5 * 3600]
    await visit(browser, `${scratch.url}/markets/vETH?zoom=${from}-${to}`, {}, async (page) => {
      await settled(page)
      await near(page, 'interest')
      const canvas = page.locator('#interest .canvas')
      await canvas.locator('canvas').first().waitFor()
      await canvas.scrollIntoViewIfNeeded()
      const { x, y, width } = (await canvas.boundingBox())!
      const px = (sec: number): number => x + 64 + ((sec - from) / (to - from)) * (width - 64 - 20)
      // 240 px down is in the lower plot, 90 px in the upper one.
      for (const [sec, down] of [[start + 300, 240], [start + 3300, 240], [start + 300, 90], [start + 3300, 90]] as const) {
        await page.mouse.move(px(sec), y + down)
        await eventually(() => page.locator('#interest .chart-hint').innerText(), new RegExp(`^Hour from\\s+${dateTime(start)}\\s[^]*Volume\\s+${usd(hour!.volume.value).replace('.', '\\.')} USD`))
      }
      await page.mouse.move(px(start - 300), y + 240)
      await eventually(() => page.locator('#interest .chart-hint').innerText(), new RegExp(`^Hour from\\s+${dateTime(start - 3600)}\\s`))
    })
  })

  test('behavior: a deficit stands as it was typed, and one in the address that is no amount says so', async () => {
    await visit(browser, `${scratch.url}/markets/vETH?deficit=0.001`, {}, async (page) => {
      const input = page.getByRole('textbox', { name: 'For a deficit of, USD' })
      await near(page, 'deleveraging')
      expect(await input.inputValue()).toBe('0.001')
      await page.goto(`${scratch.url}/markets/vETH?deficit=abc`)
      await near(page, 'deleveraging')
      expect(await input.inputValue()).toBe('abc')
      await page.getByText('Found “abc”, allowed is an amount of USD from 0, with a point before its decimals, at most 18; correct it. The queue below is for none.').waitFor()
    })
  })

  test('behavior: long and short are what the page’s own block holds at its index price, and what is older names its block', async () => {
    const { markets: [vETH] } = await queryApi<{ markets: { openInterestLong: { value: string }; indexPrice: { value: string } }[] }>(scratch.url, '{ markets { openInterestLong { value } indexPrice { value } } }')
    const long = compact(Number(vETH!.openInterestLong.value) * Number(vETH!.indexPrice.value))
    await visit(browser, `${scratch.url}/markets/vETH`, {}, async (page) => {
      const figures = page.locator('[aria-label="vETH now"] .sums > div')
      expect(await figures.filter({ hasText: 'Long' }).innerText()).toMatch(new RegExp(`^Long\\s+${long.replace('.', '\\.')}\\s`))
      await eventually(() => figures.filter({ hasText: 'Of capacity' }).innerText(), /block 1,000$/)
      await page.goto(`${scratch.url}/markets`)
      await eventually(() => page.locator('#markets header').innerText(), /24 h: the completed hours from 13 Nov 22:00 UTC to 14 Nov 22:00 UTC · capacity, what is used of it and volatility: block 1,000/)
      expect(await page.locator('.pagehead').innerText()).toContain('block 1,000')
    })
  })

  test('behavior: other prices move by the betas that the API measured, and the link brings all of it back', async () => {
    await visit(browser, `${scratch.url}/markets/vETH?at=1300&joint=1&range=1d&band=0&level=0.95&horizon=86400&side=UP&parameter=feeRatio`, {}, async (page) => {
      const sentence = await answered(page)
      expect(sentence).toBe(sentenceOf(1300, await rungAt(1300, true)))
      const { liquidationLadder: { betas } } = await queryApi<Ladder>(scratch.url, `{ liquidationLadder(market: "vETH", changes: [0], joint: true) { ${RUNGS} } }`)
      for (const { name, value } of betas) expect(await page.locator('#ladder .market-betas').innerText()).toContain(`${name} ${value.toFixed(2)} %`)
      await near(page, 'volatility')
      for (const name of ['move by their betas', '1 d', '95 %']) expect(await page.locator('main').getByRole('button', { name, exact: true }).first().getAttribute('aria-pressed')).toBe('true')
      expect(await page.getByRole('button', { name: 'Band', exact: true }).getAttribute('aria-pressed')).toBe('false')
      await near(page, 'backtest')
      await page.getByRole('group', { name: 'Losses of a' }).getByRole('button', { name: 'short', exact: true }).waitFor()
      expect(await page.getByRole('group', { name: 'Losses of a' }).getByRole('button', { name: 'short', exact: true }).getAttribute('aria-pressed')).toBe('true')
      await near(page, 'parameters')
      await page.getByRole('button', { name: 'History of Trading fee', pressed: true }).waitFor()
    })
  })

  test('behavior: the price chart holds each price of the API in its window, the band that stood then, what was refused, gaps, breaker levels and liquidations', async () => {
    const { market: { prices, poolPrices } } = await queryApi<{ market: { prices: { timestamp: string; price: { value: string }; freezeReason: number }[]; poolPrices: { timestamp: string; price: { value: string } }[] } }>(scratch.url, '{ market(id: "vETH") { prices(last: 2000) { timestamp price { value } freezeReason } poolPrices(last: 2000) { timestamp price { value } } } }')
    await visit(browser, `${scratch.url}/markets/vETH?range=1d`, {}, async (page) => {
      await answered(page)
      const { name, content } = await saved(page, 'Price of vETH', 'Save as CSV')
      expect(name).toBe('bulwark-price-of-veth.csv')
      const [head, ...rows] = linesOf(content)
      expect(head).toEqual(['Unix s', 'Time', 'What', '"Price', ' USD"', '"Low of the hour', ' USD"', '"High of the hour', ' USD"', '"Band from', ' USD"', '"Band to', ' USD"', 'Words'])
      const of = (what: string) => rows.filter((row) => row[2] === what && row[8] !== 'still stands')
      const from = Math.ceil(now / 60) * 60 - 86_400
      expect(of('price').map((row) => [row[0], row[3]])).toEqual(prices.filter(({ timestamp, freezeReason }) => freezeReason === 0 && Number(timestamp) >= from).map(({ timestamp, price: { value } }) => [timestamp, String(Number(value))]))
      for (const row of of('price')) {
        const ratio = Number(row[0]) >= widened ? 0.1 : 0.0625
        expect(Number(row[6])).toBeCloseTo(Number(row[3]) * (1 - ratio), 6)
        expect(Number(row[7])).toBeCloseTo(Number(row[3]) * (1 + ratio), 6)
      }
      expect(of('pool').map((row) => [row[0], row[3]])).toEqual(poolPrices.filter(({ timestamp }) => Number(timestamp) >= from).map(({ timestamp, price: { value } }) => [timestamp, String(Number(value))]))
      expect(of('feed silent').map((row) => row[0])).toEqual([String(silent.from)])
      expect(of('feed frozen').map((row) => row.slice(8).join(','))).toEqual([expect.stringContaining('3 refused: price not positive')])
      expect(of('breaker RESTRICT').map((row) => [row[0], row.slice(8).join(',')])).toEqual([[String(now - 20_000), expect.stringMatching(/^until 2023-11-14 19:26:40 UTC: for test 1$/)]])
      expect(of('liquidation').map((row) => [row[0], row[3]])).toEqual([[String(now - 5000), '1790']])
      // Said in words beside the chart, not by colour alone.
      const words = await page.locator('#price .market-events').innerText()
      expect(words).toMatch(/Breaker restrict 14 Nov 16:40 UTC, 2\.8 h: for test 1/)
      expect(words).toMatch(/Feed frozen .* 3 refused: price not positive/)
      // Zoomed in by a button, the window is half as long, and in the address.
      await page.getByRole('button', { name: 'Zoom in' }).click()
      await page.waitForURL(/zoom=/)
      const [start, end] = (await hrefOf(page)).searchParams.get('zoom')!.split('-').map(Number)
      expect(end! - start!).toBe(43_200)
      const zoomed = linesOf((await saved(page, 'Price of vETH', 'Save as CSV')).content).filter((row) => row[2] === 'price' && row[8] !== 'still stands')
      expect(zoomed.map((row) => row[0])).toEqual(prices.filter(({ timestamp, freezeReason }) => freezeReason === 0 && Number(timestamp) >= start! && Number(timestamp) <= end!).map(({ timestamp }) => timestamp))
    })
  })

  test('behavior: a range that prices do not reach is drawn by hours', async () => {
    const { market: { oracle } } = await queryApi<{ market: { oracle: { stats: { nodes: { timestamp: string; price: { value: string } }[] } } } }>(scratch.url, '{ market(id: "vETH") { oracle { stats(interval: HOUR, first: 200) { nodes { timestamp price { value } } } } } }')
    await visit(browser, `${scratch.url}/markets/vETH?range=30d`, {}, async (page) => {
      await eventually(() => page.locator('#price .summary').innerText(), /last price of each hour/)
      await eventually(async () => String(linesOf((await saved(page, 'Price of vETH', 'Save as CSV')).content).filter((row) => row[2] === 'price').length), new RegExp(`^${oracle.stats.nodes.length}$`))
      const rows = linesOf((await saved(page, 'Price of vETH', 'Save as CSV')).content).filter((row) => row[2] === 'price')
      expect(rows.map((row) => row[0])).toEqual(oracle.stats.nodes.toReversed().map(({ timestamp }) => String(Number(timestamp) + 3600)))
    })
  })

  test('behavior: the ladder and depth give the API’s figures as CSV, and themselves as SVG and PNG', async () => {
    const { liquidationLadder } = await queryApi<Ladder>(scratch.url, `query ($changes: [Float!]) { liquidationLadder(market: "vETH", changes: $changes) { ${RUNGS} } }`, { changes: Array.from({ length: 41 }, (_, i) => Number((-0.5 + i * 0.025).toPrecision(12))) })
    type Depth = { buyQuote: { value: string }; sellQuote: { value: string } }
    const { market: { depth } } = await queryApi<{ market: { depth: Depth } }>(scratch.url, '{ market(id: "vETH") { depth(move: 0.05) { buyQuote { value } sellQuote { value } } } }')
    await visit(browser, `${scratch.url}/markets/vETH?at=1600`, {}, async (page) => {
      await answered(page)
      const rows = linesOf((await saved(page, 'Liquidation ladder, vETH', 'Save as CSV')).content).slice(1)
      const exact = await rungAt(1600)
      expect(rows.map((row) => row.map(Number))).toEqual([...liquidationLadder.rungs, exact].toSorted((a, b) => a.price - b.price).map((rung) => [rung.change, rung.price, rung.accounts, rung.notional, rung.notionalInMarket, rung.badDebt, rung.fundUsed, rung.uncovered]))
      const svg = await saved(page, 'Liquidation ladder, vETH', 'Save as SVG')
      expect(svg.name).toBe('bulwark-liquidation-ladder-veth.svg')
      expect(svg.content.toString('utf8')).toMatch(/^<svg [\s\S]*Price of vETH, USD[\s\S]*<\/svg>$/)
      const png = await saved(page, 'Liquidation ladder, vETH', 'Save as PNG')
      expect(png.content.subarray(0, 8).toString('hex')).toBe('89504e470d0a1a0a')
      // Twice as many pixels as on the screen, for print.
      const shown = await page.locator('#ladder .canvas').boundingBox()
      expect([png.content.readUInt32BE(16), png.content.readUInt32BE(20)]).toEqual([2 * Math.floor(shown!.width), 2 * Math.floor(shown!.height)])
      await near(page, 'liquidity')
      await page.getByRole('button', { name: 'Save or read Depth of the pool, vETH' }).waitFor()
      const depths = linesOf((await saved(page, 'Depth of the pool, vETH', 'Save as CSV')).content)
      const row = depths.find(([move]) => move === '0.05')!
      expect([row[2], row[5]]).toEqual([depth.sellQuote.value, depth.buyQuote.value])
    })
  })

  test('behavior: a picture that is asked for while the chart is still on its way is given all the same', async () => {
    let arrive = () => {}
    const held = new Promise<void>((resolve) => { arrive = resolve })
    const before = async (page: Page): Promise<void> => void await page.route('**/assets/echarts*', async (route) => {
      await held
      await route.continue()
    })
    await visit(browser, `${scratch.url}/markets/vETH?at=1600`, { before }, async (page) => {
      await answered(page)
      expect(await page.locator('#ladder .canvas canvas').count()).toBe(0)
      const { content } = await saved(page, 'Liquidation ladder, vETH', 'Save as SVG', arrive)
      expect(content.toString('utf8')).toMatch(/^<svg [\s\S]*Price of vETH, USD[\s\S]*<\/svg>$/)
    })
  })

  test('behavior: models, backtests and margins are the API’s, and each unknown one says why', async () => {
    type Stands = { provenance: { version: string; block: { number: string }; inputsDigest: string }; sample: { from: string; to: string; returns: number } }
    type Risk = { volatility: { forecasts: { model: string; side: string; valueAtRisk: number | null; expectedShortfall: number | null; unknown: { message: string } | null }[] }; backtest: Stands & { exceptions: number; observations: number; coverage: { pValue: number } }; history: Stands; dynamicMargin: { maintenance: number; components: { name: string; value: number }[] } }
    const told = await queryApi<Risk>(scratch.url, '{ volatility(market: "vETH", level: 0.95, horizonSec: 14400) { forecasts { model side valueAtRisk expectedShortfall unknown { message } } } backtest(input: { market: "vETH", model: FHS_EWMA, level: 0.95 }) { exceptions observations coverage { pValue } provenance { version block { number } inputsDigest } sample { from to returns } } history: backtest(input: { market: "vETH", model: HISTORICAL, level: 0.95 }) { provenance { version block { number } inputsDigest } sample { from to returns } } dynamicMargin(market: "vETH") { maintenance components { name value } } }')
    await visit(browser, `${scratch.url}/markets/vETH?level=0.95&horizon=14400`, {}, async (page) => {
      await near(page, 'volatility')
      const table = page.getByRole('table', { name: 'Forecasts by model and side' })
      await table.waitFor()
      for (const [index, one] of told.volatility.forecasts.entries()) {
        const cell = (label: string) => table.getByRole('row').nth(index + 1).locator(`[data-label="${label}"]`).innerText()
        expect(await cell('VaR, fraction of notional')).toContain(one.valueAtRisk === null ? one.unknown!.message : percent(one.valueAtRisk))
        expect(await cell('Expected shortfall, fraction of notional')).toContain(one.expectedShortfall === null ? one.unknown!.message : percent(one.expectedShortfall))
      }
      await near(page, 'margins')
      await eventually(() => page.locator('#margins .sums').first().innerText(), new RegExp(`Maintenance asked for\\s+${percent(told.dynamicMargin.maintenance).replace('.', '\\.')}`))
      expect(told.dynamicMargin.components.reduce((sum, { value }) => sum + value, 0)).toBeCloseTo(told.dynamicMargin.maintenance, 12)
      const parts = linesOf((await saved(page, 'Margins asked for and standing, vETH', 'Save as CSV')).content)
      expect(parts.slice(1, 1 + told.dynamicMargin.components.length).map(([, value]) => Number(value))).toEqual(told.dynamicMargin.components.map(({ value }) => value))
      await near(page, 'backtest')
      const tests = page.getByRole('table', { name: 'Backtests by model' })
      await eventually(() => tests.getByRole('row').nth(2).innerText(), new RegExp(`^Filtered history, EWMA\\s+${told.backtest.exceptions} `))
      expect(await tests.getByRole('row').nth(2).locator('[data-label="Kupiec, p"]').innerText()).toContain(told.backtest.coverage.pValue < 0.0001 ? '< 0.0001' : told.backtest.coverage.pValue.toFixed(4))
      // Each row stands on its own inputs, and says which.
      expect(told.backtest.provenance.inputsDigest).not.toBe(told.history.provenance.inputsDigest)
      for (const [row, { provenance, sample }] of [[2, told.backtest], [3, told.history]] as const) {
        await eventually(() => tests.getByRole('row').nth(row).locator('[data-label="Stands on"]').innerText(), new RegExp(`^backtest ${provenance.version} · block ${whole(provenance.block.number)} · inputs ${provenance.inputsDigest.slice(0, 10)}[^]*\\s${dateTime(sample.from)} to ${dateTime(sample.to)}, ${whole(sample.returns)} returns$`))
      }
      expect(await page.locator('#backtest').innerText()).toContain('and not the 250 days of the regulation')
      expect(await tests.getByRole('row').nth(4).innerText()).toContain('unknown: Not tested yet')
    })
  })

  test('behavior: a market without a pool says so where its figures would stand, and an unknown market leads back', async () => {
    await visit(browser, `${scratch.url}/markets/vBTC`, {}, async (page) => {
      await page.getByRole('heading', { name: 'vBTC', level: 1 }).waitFor()
      expect(await page.locator('[aria-label="vBTC now"]').innerText()).toMatch(/Pool\s+—\s*unknown: Nobody has traded yet/)
      await near(page, 'liquidity')
      await page.getByText('The pool’s liquidity is not indexed for this market').waitFor()
    })
    await visit(browser, `${scratch.url}/markets/vNOT`, {}, async (page) => {
      await page.getByText('The index holds no market “vNOT”').waitFor()
      await page.getByRole('link', { name: 'See all markets' }).click()
      await page.getByRole('heading', { name: 'Markets', level: 1 }).waitFor()
    })
  })

  test('behavior: a parameter shows who changed it by which Safe transaction, what recommends it, and leads to a proposal', async () => {
    await visit(browser, `${scratch.url}/markets/vETH`, {}, async (page) => {
      await near(page, 'parameters')
      const band = page.getByRole('table', { name: 'Parameters' }).getByRole('row').filter({ hasText: 'Price band' })
      await band.waitFor()
      expect(await band.locator('[data-label="Recommended"]').innerText()).toMatch(/^6\.25 %\s+tighten$/)
      expect(await band.getByRole('link', { name: 'Propose a value of Price band' }).getAttribute('href')).toBe(`/proposals/new?parameter=marketMaxPriceSpreadRatio&subject=${market}`)
      const history = page.getByRole('table', { name: 'History of Price band, vETH' })
      await history.getByRole('row').nth(3).waitFor()
      const { parameter } = await queryApi<{ parameter: { history: { nodes: { oldDisplay: string | null; newDisplay: string; governance: { operation: string | null }[] }[] } } }>(scratch.url, '{ parameter(name: "marketMaxPriceSpreadRatio", subject: "vETH") { history(first: 10) { nodes { oldDisplay newDisplay governance { operation } } } } }')
      for (const [index, change] of parameter.history.nodes.entries()) {
        const row = history.getByRole('row').nth(index + 1)
        expect(await row.locator('[data-label="To"]').innerText()).toBe(change.newDisplay)
        expect(await row.locator('[data-label="From"]').innerText()).toContain(change.oldDisplay ?? 'unknown: The value before was neither announced nor read')
        const operation = change.governance.findLast((event) => event.operation !== null)?.operation
        expect(await row.locator('[data-label="Safe transaction"]').innerText()).toContain(operation ? operation.slice(0, 8) : 'none')
      }
    })
  })

  test.each([[1440, 900, 'dark'], [390, 844, 'light']] as const)('behavior: the whole desk fits at %i × %i px, and axe finds nothing serious', async (width, height, colorScheme) => {
    await visit(browser, `${scratch.url}/markets/vETH`, { viewport: { width, height }, colorScheme }, async (page) => {
      for (const id of ['price', 'ladder', 'interest', 'breaker', 'volatility', 'margins', 'backtest', 'liquidity', 'keepers', 'deleveraging', 'oracle', 'parameters']) {
        await near(page, id)
      }
      expect(await page.locator('main .provenance').count()).toBeGreaterThanOrEqual(9)
      expect({ cut: await cutOff(page), findings: await axeFindings(page) }).toEqual({ cut: [], findings: [] })
    })
  })
})
