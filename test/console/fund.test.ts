/** The fund: what it holds, should hold and may lose, and what a fee would do; every figure is the API's own. */
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Browser, Download, Page } from 'playwright-core'
import { queryApi } from '../../cli/graphql.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import { compact } from '../../console/ui/format.ts'
import { seedRisk } from '../graphql/risk-support.ts'
import { BLOCK, addressOf, deployment, seed } from '../graphql/support.ts'
import { axeFindings, chooseOf, cutOff, eventually, hrefOf, inBrowser, openBrowser, passing, settled, visit } from './browser.ts'
import { startScratch, type Scratch } from './scratch.ts'

const HOUR = 3600n
const fundId = deployment.contracts.insuranceFund.toLowerCase()

/** Sixty fees of 0.25 and a bad debt of 3, in six hours; what the page sums up and pages through. */
async function seedFlows(prisma: PrismaClient): Promise<void> {
  const since = BLOCK.timestamp - (BLOCK.timestamp % HOUR) - 6n * HOUR
  const at = (i: number) => ({ blockNumber: BigInt(900 + i), timestamp: since + BigInt(i) * 360n, transactionHash: `0x${(7000 + i).toString(16).padStart(64, '0')}`, logIndex: 0 })
  await prisma.insuranceFundFlow.createMany({ data: Array.from({ length: 60 }, (_, i) => ({ id: `fee-${i}`, fundId, kind: 'TRADING_FEE' as const, amountE18: '250000000000000000', counterparty: addressOf(1 + (i % 5)), balanceAfterE18: `${BigInt(40 + i) * 250_000_000_000_000_000n}`, ...at(i) })) })
  await prisma.insuranceFundFlow.create({ data: { id: 'debt', fundId, kind: 'BAD_DEBT', amountE18: '-3000000000000000000', counterparty: addressOf(3), balanceAfterE18: '50000000000000000000', ...at(61) } })
  await prisma.fundStats.deleteMany()
  await prisma.fundStats.createMany({ data: Array.from({ length: 6 }, (_, h) => ({ id: `hour:${h}`, interval: 'hour' as const, timestamp: since + BigInt(h) * HOUR, fundId, balanceE18: `${BigInt(20 + h)}000000000000000000`, lowestE18: `${BigInt(19 + h)}000000000000000000`, inflowE18: '2500000000000000000', outflowE18: h === 5 ? '3000000000000000000' : '0', badDebtE18: h === 5 ? '3000000000000000000' : '0' })) })
}

const downloaded = async (page: Page, act: () => Promise<void>): Promise<string[][]> => {
  const [download] = await Promise.all([page.waitForEvent('download') as Promise<Download>, act()])
  return (await readFile(await download.path(), 'utf8')).trim().split('\r\n').map((line) => line.split(','))
}
const saveCsv = (page: Page, chart: string) => downloaded(page, async () => {
  await chooseOf(page, chart, 'Save as CSV')
})

type Target = { fund: number; target: number; gap: number; cover1: number; cover2: number; scenarioShortfall: number; openInterestTerm: number; feeOfTurnover: number; simulation: { run: string; quantile: number } | null; atFees: { days: number | null; incomePerDay: number; netPerDay: number }[] | null }

const grouped = (value: number): string => Math.round(value).toLocaleString('en')

inBrowser('the fund page', () => {
  let browser: Browser
  let scratch: Scratch

  const targetOf = async (args: string): Promise<Target> => (await queryApi<{ insuranceFund: { target: Target } }>(scratch.url, `{ insuranceFund { target(${args}) { fund target gap cover1 cover2 scenarioShortfall openInterestTerm feeOfTurnover simulation { run quantile } atFees { days incomePerDay netPerDay } } } }`)).insuranceFund.target
  const figure = async (page: Page, label: string): Promise<number> => Number((await page.locator('#target .sums > div', { hasText: label }).locator('.figure').first().getAttribute('title'))?.replace(' USD', ''))
  const term = async (page: Page, name: string): Promise<number> => Number((await page.getByRole('table', { name: 'Terms of the target' }).getByRole('row').filter({ hasText: name }).locator('.figure').getAttribute('title'))?.replace(' USD', ''))

  beforeAll(async () => {
    scratch = await startScratch({ fill: async (prisma) => {
      await seed(prisma)
      await seedRisk(prisma)
      await seedFlows(prisma)
    } })
    browser = await openBrowser()
  })

  afterAll(async () => {
    await browser?.close()
    await scratch?.close()
  })

  test('behavior: before a simulation its quantile, the runway and the fee are unknown with the API’s reason, and the other terms are its own figures', async () => {
    await visit(browser, `${scratch.url}/fund`, {}, async (page) => {
      await page.getByRole('table', { name: 'Terms of the target' }).waitFor()
      const target = await targetOf('days: 90')
      expect(target.simulation).toBeNull()
      expect([await figure(page, 'Fund'), await figure(page, 'Target'), await figure(page, 'Missing')]).toEqual([target.fund, target.target, target.gap])
      expect([await term(page, 'Cover-1'), await term(page, 'Cover-2'), await term(page, 'Scenario shortfall'), await term(page, 'Open interest')]).toEqual([target.cover1, target.cover2, target.scenarioShortfall, target.openInterestTerm])
      const why = /Found no finished simulation of the policy’s own/
      expect(await page.getByRole('table', { name: 'Terms of the target' }).getByRole('row').filter({ hasText: 'Simulated quantile' }).innerText()).toMatch(/—/)
      expect(await page.locator('.fund-answers').innerText()).toMatch(why)
      expect(await page.locator('#shortfall .empty').first().innerText()).toMatch(why)
    })
  })

  test('behavior: a simulation with own settings says how far it is, and draws the distribution that the API counted', async () => {
    await visit(browser, `${scratch.url}/fund`, {}, async (page) => {
      const form = page.getByRole('form', { name: 'A simulation of your own' })
      await form.getByLabel('Paths').fill('9,999')
      await page.getByText('Paths: found 9,999, allowed is a whole number from 10,000 to 1,000,000; correct it.').waitFor()
      expect(await form.getByRole('button').isEnabled()).toBe(false)
      await form.getByLabel('Paths').fill('10,000')
      await form.getByLabel('Quantile').fill('99')
      await form.getByLabel('Length').fill('48')
      await form.getByLabel('Seed').fill('5')
      await passing(page, 'progress', /^/, () => page.keyboard.press('Enter'))
      await page.getByRole('img', { name: /^Losses of the paths/ }).waitFor()
      const id = (await hrefOf(page)).searchParams.get('run') ?? ''
      const { riskRun } = await queryApi<{ riskRun: { input: object; fund: { quantile: number; histogram: { from: number; to: number; paths: number }[] } } }>(scratch.url, `{ riskRun(id: "${id}") { input fund { quantile histogram { from to paths } } } }`)
      expect(riskRun.input).toEqual({ paths: 10_000, hours: 48, seed: 5, level: 0.99, confidence: 0.95 })
      const [, ...rows] = await saveCsv(page, 'Losses of the paths')
      expect(rows.map((row) => row.map(Number))).toEqual(riskRun.fund.histogram.map(({ from, to, paths }) => [from, to, paths]))
      const [, ...beyond] = await saveCsv(page, 'Share of paths that lose more')
      // More than nothing: every path but those of the first bin; beyond the last edge nobody.
      expect(Number(beyond[0]?.[1])).toBe(10_000 - (riskRun.fund.histogram[0]?.paths ?? 0))
      expect(Number(beyond.at(-1)?.[1])).toBe(riskRun.fund.histogram.at(-1)?.paths)
      // The what-if stands on it, as the API's does; the target stays the policy's, which has no run of its own yet.
      await eventually(() => page.locator('#shortfall header').innerText(), /the what-if above stands on it/)
      await eventually(() => page.locator('#fee header').innerText(), /on the run that you chose below/)
      await eventually(() => page.locator('.fund-answers').innerText(), new RegExp(`the target would be ${grouped((await targetOf(`simulation: "${id}"`)).target)} `))
      expect(await page.getByRole('table', { name: 'Terms of the target' }).getByRole('row').filter({ hasText: 'Simulated quantile' }).innerText()).toMatch(/—/)
      await form.getByRole('button').click()
      await page.getByText('nothing was computed again').waitFor()
    })
  })

  test('behavior: what a fee, days and a share of open interest would do is the API’s answer, by keyboard and by typing', async () => {
    const { startRiskRun: own } = await queryApi<{ startRiskRun: { id: string } }>(scratch.url, 'mutation { startRiskRun(input: { fund: {} }) { id } }')
    await visit(browser, `${scratch.url}/fund?run=${own.id}`, {}, async (page) => {
      await page.getByRole('img', { name: /^Losses of the paths/ }).waitFor()
      await page.getByRole('button', { name: 'Back to the policy’s own' }).click()
      const kappa = page.getByRole('textbox', { name: 'Of open interest' })
      await kappa.fill('20')
      const slider = page.getByRole('slider', { name: 'Days to fill the gap' })
      await slider.focus()
      await page.keyboard.press('Home')
      await page.keyboard.press('ArrowRight')
      await page.keyboard.press('End')
      expect(await page.getByRole('textbox', { name: 'Fill it in' }).inputValue()).toBe('3650')
      await page.getByRole('textbox', { name: 'Fee of turnover' }).fill('25')
      await page.waitForURL(/fee=25/)
      const of = await targetOf('kappa: 0.2, days: 3650, fees: [0.0025]')
      const at = of.atFees?.[0]
      expect(of.gap).toBeGreaterThan(0)
      await eventually(() => page.locator('.fund-answers').innerText(), new RegExp(`At 25\\.00 bp[^]*gets ${(at?.incomePerDay ?? 0).toFixed(2).replace(/\B(?=(\d{3})+(?!\d))/g, ',').slice(0, 4)}`))
      const [, ...points] = await saveCsv(page, 'Days to fill the gap by fee').catch(() => [[]])
      const mine = points.find(([fee]) => Number(fee) === 0.0025)
      expect(mine?.map(Number).slice(1, 4)).toEqual([at?.days ?? 0, at?.incomePerDay, at?.netPerDay])
      expect(await page.locator('.fund-answers').innerText()).toContain(at?.days == null ? 'the gap is never filled' : 'the gap is filled in')
      // The same for somebody else, and what cannot be is said while the last answer stays.
      expect((await hrefOf(page)).searchParams.get('kappa')).toBe('20')
      await kappa.fill('120')
      await page.getByText('Share of open interest: found 120 %, allowed is a number from 0 to 100 %; correct it.').waitFor()
      expect(await kappa.inputValue()).toBe('120')
    })
    await visit(browser, `${scratch.url}/fund?kappa=20&days=3650&fee=25`, {}, async (page) => {
      await page.getByRole('table', { name: 'Terms of the target' }).waitFor()
      expect(await page.getByRole('textbox', { name: 'Of open interest' }).inputValue()).toBe('20')
      const [policy, asked] = [await targetOf('days: 90'), await targetOf('kappa: 0.2, days: 3650')]
      expect(asked.target).toBeGreaterThan(policy.target)
      await eventually(() => page.locator('.fund-answers').innerText(), new RegExp(`^With at least 20 % of open interest, ${grouped(asked.openInterestTerm)}, the target would be ${grouped(asked.target)} \\(share of open interest\\); the policy’s is ${grouped(policy.target)}\\.`))
      // Whoever follows the link is not told that the fund should hold what somebody else tried.
      expect([await figure(page, 'Target'), await figure(page, 'Missing'), await term(page, 'Open interest')]).toEqual([policy.target, policy.gap, policy.openInterestTerm])
      expect(await page.locator('#balance').innerText()).not.toContain(compact(asked.target))
    })
  })

  test('behavior: a run from before distributions were kept says so and can be made again; one under way can be cancelled', async () => {
    const own = await scratch.prisma.riskRun.findFirstOrThrow({ where: { kind: 'FUND', state: 'DONE' }, orderBy: { startedAt: 'desc' } })
    const { histogram: _, ...before } = own.result as Record<string, unknown>
    await scratch.prisma.riskRun.create({ data: { ...own, id: 'old', key: 'old', startedAt: new Date(0), arguments: own.arguments ?? {}, result: JSON.parse(JSON.stringify(before)) as object } })
    await visit(browser, `${scratch.url}/fund?run=old`, {}, async (page) => {
      await page.getByText('Its distribution is unknown.').waitFor()
      await page.getByText(/Found a run that kept no distribution of its losses/).waitFor()
      await page.getByRole('button', { name: 'Run it again' }).click()
      await page.getByRole('img', { name: /^Losses of the paths/ }).waitFor()
      const form = page.getByRole('form', { name: 'A simulation of your own' })
      await form.getByLabel('Paths').fill('1,000,000')
      await form.getByLabel('Length').fill('168')
      await form.getByRole('button').click()
      await page.getByRole('button', { name: 'Cancel the run' }).click()
      await page.getByText('The run was cancelled.').waitFor()
      const id = (await hrefOf(page)).searchParams.get('run') ?? ''
      expect((await scratch.prisma.riskRun.findUniqueOrThrow({ where: { id } })).state).toBe('CANCELLED')
      // Until another is done, the target stands on the policy's own.
      expect(await page.getByRole('table', { name: 'Terms of the target' }).isVisible()).toBe(true)
    })
  })

  test('behavior: flows come in pages, signed, with what they are in words, and by kind', async () => {
    await visit(browser, `${scratch.url}/fund`, {}, async (page) => {
      const flows = page.getByRole('table', { name: 'Flows', exact: true })
      await flows.waitFor()
      const text = () => page.getByRole('navigation', { name: 'Pages of flows' }).innerText()
      // Sixty fees, this bad debt, and the one of the small book.
      await eventually(text, /1 to 25 of 62/)
      const newest = flows.getByRole('row').nth(1)
      expect(await newest.innerText()).toContain('Bad debt taken over')
      expect(await newest.locator('td[data-label^="Amount"] .figure').getAttribute('title')).toBe('-3 USD')
      expect(await newest.locator('td[data-label^="Amount"]').innerText()).toBe('−3.00')
      expect(await newest.getByRole('link').getAttribute('href')).toBe(`/accounts/${addressOf(3)}`)
      expect(await flows.getByRole('row').nth(2).locator('td[data-label^="Amount"]').innerText()).toBe('+0.250000')
      // The page that is asked for has no number and no next one until it is there; the focus stays.
      let answer = (): void => {}
      const held = new Promise<void>((resolve) => { answer = resolve })
      await page.route('**/graphql', async (route) => {
        if (/query FundFlows/.test(route.request().postData() ?? '')) await held
        await route.fallback()
      })
      const older = page.getByRole('button', { name: 'Older', exact: true })
      await older.press('Enter')
      await eventually(text, /Reading …/)
      await older.press('Enter')
      expect(await page.locator('#flows').getByRole('button', { name: 'CSV' }).isDisabled()).toBe(true)
      answer()
      await eventually(text, /26 to 50 of 62/)
      expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Older')
      await page.getByRole('button', { name: 'Older', exact: true }).click()
      await eventually(text, /51 to 62 of 62/)
      expect(await page.getByRole('button', { name: 'Older', exact: true }).isEnabled()).toBe(false)
      await page.getByRole('combobox', { name: 'Kind' }).selectOption('Bad debt taken over')
      await eventually(text, /1 to 2 of 2/)
      expect((await hrefOf(page)).searchParams.get('kinds')).toBe('bad_debt')
      const rows = await downloaded(page, () => page.locator('#flows').getByRole('button', { name: 'CSV' }).click())
      expect(rows.slice(1).map((row) => row[3])).toEqual(['-3', '-0.000000000000000007'])
    })
  })

  test('behavior: the balance by hour is the API’s series, to the last digit', async () => {
    await visit(browser, `${scratch.url}/fund?by=hour`, {}, async (page) => {
      await page.getByRole('img', { name: /^Balance of the fund/ }).waitFor()
      const { insuranceFund } = await queryApi<{ insuranceFund: { stats: { nodes: Record<'balance' | 'lowest' | 'inflow' | 'outflow' | 'badDebt', { value: string }>[] } } }>(scratch.url, '{ insuranceFund { stats(interval: HOUR, first: 200) { nodes { balance { value } lowest { value } inflow { value } outflow { value } badDebt { value } } } } }')
      const [, ...rows] = await saveCsv(page, 'Balance of the fund')
      expect(rows.map((row) => row.slice(1))).toEqual(insuranceFund.stats.nodes.toReversed().map((one) => [one.balance, one.lowest, one.inflow, one.outflow, one.badDebt].map(({ value }) => value)))
      expect(rows).toHaveLength(6)
      await page.getByRole('button', { name: 'Days', exact: true }).click()
      await page.getByText('No day with a flow has ended yet.').waitFor()
    })
  })

  test('behavior: the target stands at the block that it was worked out at, and is drawn over no earlier one', async () => {
    await visit(browser, `${scratch.url}/fund?by=hour`, {}, async (page) => {
      const { target } = await targetOf('days: 90')
      const chart = page.getByRole('img', { name: /^Balance of the fund.*the target at block 1,000 is/ })
      await chart.waitFor()
      expect(await chart.getAttribute('aria-label')).toContain(`the target at block 1,000 is ${compact(target)}, and of earlier blocks not known`)
      const [download] = await Promise.all([page.waitForEvent('download') as Promise<Download>, chooseOf(page, 'Balance of the fund', 'Save as SVG')])
      const drawn = await readFile(await download.path(), 'utf8')
      expect(drawn).toContain(`Target at block 1,000: ${compact(target)}`)
      expect(drawn).not.toMatch(/stroke-dasharray/)
    })
  })

  test('behavior: every bar of the terms stands out from the panel by 3:1, and a fee with a decimal comma is told, not answered', async () => {
    await visit(browser, `${scratch.url}/fund?fee=2,5`, { colorScheme: 'light' }, async (page) => {
      await page.getByText('Fee of turnover: found “2,5”, allowed is a number from 0 to 500 bp, with a point before its decimals; correct it.').waitFor()
      expect(await page.locator('.fund-answers').innerText()).not.toContain('At 25.00 bp')
      await page.getByRole('img', { name: /^Terms against the fund/ }).waitFor()
      const [download] = await Promise.all([page.waitForEvent('download') as Promise<Download>, chooseOf(page, 'Terms against the fund', 'Save as SVG')])
      const bars = [...(await readFile(await download.path(), 'utf8')).matchAll(/<path d="[^"]*Z" fill="rgb\((\d+), (\d+), (\d+)\)"/g)].map(([, ...colour]) => colour.map(Number))
      // Relative luminance and contrast by WCAG 2.2; the panel is white.
      const luminance = (colour: readonly number[]) => colour.map((one) => one / 255).map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)).reduce((sum, one, i) => sum + one * ([0.2126, 0.7152, 0.0722][i] ?? 0), 0)
      expect(bars.length).toBeGreaterThanOrEqual(4)
      for (const colour of bars) expect(1.05 / (luminance(colour) + 0.05)).toBeGreaterThanOrEqual(3)
    })
  })

  for (const [width, height, colorScheme] of [[1440, 900, 'dark'], [390, 844, 'light']] as const) {
    test(`behavior: fits ${width} px, ${colorScheme}, and axe finds nothing serious`, async () => {
      await visit(browser, `${scratch.url}/fund?kappa=20&by=hour`, { viewport: { width, height }, colorScheme }, async (page) => {
        await settled(page)
        await page.getByRole('img', { name: /^Losses of the paths/ }).waitFor()
        await page.getByRole('table', { name: 'Collateral', exact: true }).waitFor()
        expect(await cutOff(page)).toEqual([])
        expect(await axeFindings(page)).toEqual([])
      })
    })
  }
})
