/** The accounts pages over a book of 100,000. `npm run bench -- reading` measures what a reader waits on a machine that does nothing else. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { BLOCK, addressOf } from '../graphql/support.ts'
import { axeFindings, cutOff, inBrowser, openBrowser, visit } from './browser.ts'
import { ACCOUNTS, measureReading, opened, readable, startLargeBook, stepsText, workedMs, type LargeBook, type Tools } from './reading.ts'

declare const tools: Tools

/** Of processor time, page and API together, by step: what is waited besides depends on what else the machine does. */
const WORKED_MS: Readonly<Record<string, number>> = { 'wheel, half a screen': 80, 'Page Down': 100, 'End and Home': 100, 'to any unread place': 150, 'sorting, either way': 240 }
/** Of a screen with what lies beyond its edges. */
const MOST_ROWS = 60

inBrowser('the accounts of a large book', () => {
  let book: LargeBook
  let browser: Browser
  beforeAll(async () => {
    ;[book, browser] = await Promise.all([startLargeBook(), openBrowser()])
  })
  afterAll(async () => {
    await browser?.close()
    await book?.close()
  })

  const at = (place = ''): string => `${book.url}/accounts${place}`

  test('behavior: of 100,000 accounts only those on the screen exist in the page, and reading on takes 100 ms of work at most, any place 150, another order 240', async () => {
    await visit(browser, at(), { before: readable }, async (page) => {
      await opened(page)
      expect(await page.getByRole('grid', { name: 'Accounts' }).getAttribute('aria-rowcount')).toBe(String(ACCOUNTS + 8 + 1))
      const steps = await measureReading(page, book)
      process.stdout.write(`\nAccounts, ${ACCOUNTS} of them, beside other tests\n${stepsText(steps)}\n\n`)
      const tooMuch = steps.filter((step) => !(workedMs(step) <= WORKED_MS[step.name]!) || step.mostRows > MOST_ROWS)
      expect(tooMuch.map((step) => [step.name, workedMs(step), step.mostRows])).toEqual([])
    })
  })

  test('behavior: a new block renews the figures under a reader who has scrolled, and neither the place nor the rows move', async () => {
    await visit(browser, at('?sort=ACCOUNT_VALUE'), { before: readable }, async (page) => {
      await opened(page)
      const grid = page.getByRole('grid', { name: 'Accounts' })
      await grid.evaluate((box) => { box.scrollTop = 29 * 5_000 })
      await page.waitForFunction(() => tools.full())
      const [first] = await book.rowsOf('first: 1, offset: 5000, orderBy: ACCOUNT_VALUE')
      const shown = page.locator('[role="row"][aria-rowindex="5002"]')
      expect(await shown.locator('a').getAttribute('title')).toBe(first!.account)
      // Its value grows by a millionth of a dollar: it stays where it is among accounts that stand farther apart.
      // What is told is what is new since the first look.
      await book.served.risk.events.look()
      const own = await book.prisma.account.findUniqueOrThrow({ where: { id: first!.account } })
      await book.prisma.$transaction([
        book.prisma.account.update({ where: { id: first!.account }, data: { settlementBalance: own.settlementBalance.add(1) } }),
        book.prisma.undoLog.create({ data: { blockNumber: 1001n, entity: 'Account', rowId: first!.account } }),
        book.prisma.checkpoint.create({ data: { blockNumber: 1001n, blockHash: `0x${'cd'.repeat(32)}`, blockTimestamp: BLOCK.timestamp + 2n, rowCount: 1 } }),
        book.prisma.replayStatus.update({ where: { id: 1 }, data: { blockNumber: 1001n } }),
      ])
      await book.served.risk.events.look()
      await page.locator('.accounts-note', { hasText: 'block 1,001' }).waitFor()
      await page.waitForFunction(() => tools.full())
      expect(await page.evaluate(() => tools.scrollTop())).toBe(29 * 5_000)
      const [renewed] = await book.rowsOf('first: 1, offset: 5000, orderBy: ACCOUNT_VALUE')
      expect(renewed).toEqual({ ...first, accountValue: { value: expect.not.stringMatching(first!.accountValue!.value) }, marginRatio: expect.anything() })
      expect(await shown.locator('[title$=" USD"]').first().getAttribute('title')).toBe(`${renewed!.accountValue!.value} USD`)
    })
  })

  test('behavior: a window of more rows than one answer gives stands in full, and another order of it is asked for from its top, all of its rows at once', async () => {
    await visit(browser, at(), { before: readable, viewport: { width: 1440, height: 7200 } }, async (page) => {
      await opened(page)
      const grid = page.getByRole('grid', { name: 'Accounts' })
      await grid.evaluate((box) => { box.scrollTop = 29 * 5_000 })
      await page.waitForFunction(() => tools.scrollTop() > 0 && tools.full())
      const asked: { readonly orderBy: string; readonly offset: number; readonly first: number; readonly block: string | null }[] = []
      page.on('request', (request) => {
        const body = request.postData() ?? ''
        if (body.includes('query AccountTable')) asked.push((JSON.parse(body) as { variables: (typeof asked)[number] }).variables)
      })
      await page.getByRole('columnheader', { name: /^Leverage/ }).getByRole('button').click()
      await page.waitForFunction(() => document.querySelector('[role="grid"]')?.getAttribute('aria-busy') === 'false' && document.querySelector('[aria-sort]')?.textContent?.startsWith('Leverage') === true && tools.full())
      expect(await page.evaluate(() => tools.scrollTop())).toBe(0)
      // What stood beside the screen before may still be asked for.
      const [one, two] = asked.filter(({ orderBy }) => orderBy !== 'MARGIN_RATIO')
      // 180 rows are six pages of 30; the API gives 200 at most.
      expect([one, two].map((each) => [each?.orderBy, each?.offset])).toEqual([['LEVERAGE', 0], ['LEVERAGE', 180]])
      expect(one?.first).toBe(180)
      expect(two?.block).toBe(one?.block)
      expect(Math.max(...asked.map(({ first }) => first))).toBeLessThanOrEqual(200)
      expect(await page.getByRole('alert').count()).toBe(0)
    })
  })

  test('behavior: order and filter are in the address, and Enter opens the row that the arrows are on', async () => {
    const [, second] = await book.rowsOf('first: 2, orderBy: LEVERAGE, direction: ASC, filter: { market: "vBTC", side: SHORT }')
    await visit(browser, at('?sort=LEVERAGE&dir=ASC&market=vBTC&side=SHORT'), { before: readable }, async (page) => {
      await opened(page)
      expect(await page.getByRole('columnheader', { name: /^Leverage/ }).getAttribute('aria-sort')).toBe('ascending')
      expect(await page.getByRole('combobox', { name: 'Market', exact: true }).inputValue()).toBe('vBTC')
      const grid = page.getByRole('grid', { name: 'Accounts' })
      await grid.focus()
      await page.keyboard.press('ArrowDown')
      expect(await grid.getAttribute('aria-activedescendant')).toBe(await page.locator('[role="row"][aria-rowindex="3"]').getAttribute('id'))
      await page.keyboard.press('Enter')
      await page.waitForURL(`**/accounts/${second!.account}`)
      await page.getByRole('heading', { name: 'What moves it to liquidation' }).waitFor()
    })
  })

  test('error: what the API refuses stands as its own sentence, and nothing typed is lost', async () => {
    await visit(browser, at('?address=hello'), { before: readable }, async (page) => {
      await page.getByRole('alert').filter({ hasText: 'Found "hello" for the beginning of an address, allowed is 0x and up to 40 hexadecimal digits; correct it.' }).waitFor()
      expect(await page.getByLabel('Address begins').inputValue()).toBe('hello')
      await page.getByLabel('Address begins').fill('0xab')
      await opened(page)
      expect(await page.locator('[role="row"][aria-rowindex="2"] a').getAttribute('title')).toMatch(/^0xab/)
    })
  })

  test.each([[1440, 'light'], [390, 'dark']] as const)('behavior: at %i px, %s, nothing is cut off and axe finds nothing serious', async (width, colorScheme) => {
    for (const place of ['', `/${addressOf(1)}`]) {
      await visit(browser, at(place), { before: readable, viewport: { width, height: 900 }, colorScheme }, async (page) => {
        if (place === '') await page.locator('.accounts-row a').first().waitFor()
        else await page.getByRole('heading', { name: 'History' }).waitFor()
        expect(await cutOff(page)).toEqual([])
        expect(await axeFindings(page)).toEqual([])
      })
    }
  })
})
