/** One proposal's page over rows: what its figures are of, and what is said where a chain is seldom to be had. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import type { Browser } from 'playwright-core'
import type { Prisma } from '../../prisma/client.ts'
import { band, impact, rowOf } from '../graphql/proposal-rows.ts'
import { addressOf, deployment, seed } from '../graphql/support.ts'
import { axeFindings, cutOff, inBrowser, openBrowser, visit } from './browser.ts'
import { startScratch, type Scratch } from './scratch.ts'

jest.setTimeout(120_000)

const json = (value: object) => value as unknown as Prisma.InputJsonValue
const WIDTHS = [[1440, 'light'], [1440, 'dark'], [390, 'light'], [390, 'dark']] as const
const safe = async () => ({ version: '1.4.1', owners: deployment.safe!.owners, threshold: 2, nonce: 20n, mismatch: null })

inBrowser('a proposal’s page', () => {
  let browser: Browser
  let scratch: Scratch

  beforeAll(async () => {
    scratch = await startScratch({ services: { proposals: { safe } }, fill: async (prisma) => {
      await seed(prisma)
      const { valued: _, unvalued: __, ...uncounted } = impact.accounts
      await prisma.proposal.create({ data: rowOf('partial', deployment, [band], 20, { impact: json(impact) }) })
      await prisma.proposal.create({ data: rowOf('whole', deployment, [band], 20, { impact: json({ ...impact, accounts: { ...impact.accounts, valued: 49, unvalued: [] }, newlyLiquidatable: [] }) }) })
      await prisma.proposal.create({ data: rowOf('uncounted', deployment, [band], 20, { impact: json({ ...impact, accounts: uncounted }) }) })
    } })
    browser = await openBrowser()
  }, 180_000)

  afterAll(async () => {
    await browser?.close()
    await scratch?.close()
  }, 30_000)

  describe('its impact', () => {
    test.each(WIDTHS)('behavior: at %i px, %s, it says beside sums and near misses of how many accounts they are, and why others are unknown', async (width, colorScheme) => {
      await visit(browser, `${scratch.url}/proposals/partial`, { viewport: { width, height: 900 }, colorScheme }, async (page) => {
        const panel = page.locator('#impact')
        expect(await panel.locator('.sums > div').first().innerText()).toMatch(/Newly liquidatable\s+1\s+of 41 valued; 8 unknown\s+0 no longer/)
        expect(await panel.locator('.notice').innerText()).toMatch(/^Every figure here is of 41 accounts; what it does to 8 others is not known\.\s*8 not read from the contracts: 0x/)
        expect(await panel.locator('.notice .copy').first().getAttribute('title')).toContain(addressOf(5))
        expect(await panel.getByRole('heading', { name: 'If prices move before it is executed' }).innerText()).toContain('of 41 valued; 8 unknown')
        expect(await cutOff(page)).toEqual([])
        expect(await axeFindings(page)).toEqual([])
      })
    })

    test('behavior: of all accounts it says so, and one that was not counted says that', async () => {
      await visit(browser, `${scratch.url}/proposals/whole`, {}, async (page) => {
        await page.getByText('No account can be liquidated by this change that could not be before, of all 49 indexed.').waitFor()
        expect(await page.locator('#impact .notice').count()).toBe(0)
        await page.goto(`${scratch.url}/proposals/uncounted`)
        await page.getByText('How many accounts every figure here is of is not known: simulate again.').waitFor()
        expect(await page.locator('#impact .sums > div').first().innerText()).toContain('of an unknown share of 49 indexed')
      })
    })
  })
})
