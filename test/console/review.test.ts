/** One proposal's page over rows: what its figures are of, and what is said where a chain is seldom to be had. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import type { Browser } from 'playwright-core'
import type { Prisma } from '../../prisma/client.ts'
import { band, delayed, impact, rowOf, validUntil } from '../graphql/proposal-rows.ts'
import { BLOCK, addressOf, deployment, seed } from '../graphql/support.ts'
import { axeFindings, cutOff, inBrowser, openBrowser, visit } from './browser.ts'
import { startScratch, type Scratch } from './scratch.ts'

jest.setTimeout(120_000)

const json = (value: object) => value as unknown as Prisma.InputJsonValue
const WIDTHS = [[1440, 'light'], [1440, 'dark'], [390, 'light'], [390, 'dark']] as const
const safe = async () => ({ version: '1.4.1', owners: deployment.safe!.owners, threshold: 2, nonce: 20n, mismatch: null })

inBrowser('a proposal’s page', () => {
  let browser: Browser
  let scratch: Scratch
  /** The same rows, with the protocol behind a timelock of an hour. */
  let slow: { url: string; close(): Promise<void> }

  beforeAll(async () => {
    scratch = await startScratch({ services: { proposals: { safe } }, fill: async (prisma) => {
      await seed(prisma)
      const { valued: _, unvalued: __, ...uncounted } = impact.accounts
      await prisma.proposal.create({ data: rowOf('partial', deployment, [band], 20, { impact: json(impact) }) })
      await prisma.proposal.create({ data: rowOf('whole', deployment, [band], 20, { impact: json({ ...impact, accounts: { ...impact.accounts, valued: 49, unvalued: [] }, newlyLiquidatable: [] }) }) })
      await prisma.proposal.create({ data: rowOf('uncounted', deployment, [band], 20, { impact: json({ ...impact, accounts: uncounted }) }) })
      const scheduled = { state: 'QUEUED', scheduledTxHash: `0x${'77'.repeat(32)}`, scheduledAtBlock: 999n } as const
      await prisma.proposal.create({ data: rowOf('unscheduled', delayed, [band], 21) })
      await prisma.proposal.create({ data: rowOf('scheduled', delayed, [band], 22, { ...scheduled, readyAtSec: BLOCK.timestamp + 1_800n }) })
      await prisma.proposal.create({ data: rowOf('due', delayed, [band], 23, { ...scheduled, readyAtSec: BLOCK.timestamp }) })
    } })
    slow = await scratch.serve({ deployment: delayed })
    browser = await openBrowser()
  }, 180_000)

  afterAll(async () => {
    await browser?.close()
    await slow?.close()
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

  describe('through a timelock', () => {
    // The book stands at 1,700,000,000 s: 2023-11-14 22:13:20 UTC; three days later is the deadline.
    test.each([
      ['unscheduled', /timelock: not scheduled\s+Executing it at the Safe schedules it; then it waits 60 min\. Scheduled now, it may be executed at the earliest at 2023-11-14 23:13:20 UTC\. It has to be scheduled by 2023-11-17 21:13:20 UTC to be executed by 2023-11-17 22:13:20 UTC\.$/, 'Signing', false],
      ['scheduled', /timelock: waiting\s+It may be executed at the earliest at 2023-11-14 22:43:20 UTC, in 30 min, and by 2023-11-17 22:13:20 UTC at the latest\. Until it is executed, the Safe can take it out\.\s+What waits there, scheduled in block 999 by 0x777777…777777[^]*, as operation 0x\w+…\w+[^]*:\s+Price band of vETH: 10\.00 % → 6\.25 % \(raw 100000 → 62500\)$/, 'Queued', true],
      ['due', /timelock: ready\s+Its delay of 60 min is over since 2023-11-14 22:13:20 UTC: it may be executed by whom the timelock lets, by 2023-11-17 22:13:20 UTC at the latest\.\s+What waits there,/, 'Queued', true],
    ] as const)('behavior: of one that is %s it says in words from when until when it may be executed, and what waits', async (id, words, step, waits) => {
      expect([BLOCK.timestamp, validUntil]).toEqual([1_700_000_000n, 1_700_000_000n + 259_200n])
      await visit(browser, `${slow.url}/proposals/${id}`, {}, async (page) => {
        const timelock = page.locator('#now .proposal-timelock')
        await timelock.waitFor()
        expect(await timelock.innerText()).toMatch(words)
        expect(await page.locator('.proposal-steps li[aria-current=step]').innerText()).toContain(step)
        expect(await page.getByRole('list', { name: 'What waits in the timelock' }).count()).toBe(waits ? 1 : 0)
        for (const [width, colorScheme] of WIDTHS) {
          await page.setViewportSize({ width, height: 900 })
          await page.emulateMedia({ colorScheme })
          expect(await cutOff(page)).toEqual([])
          expect(await axeFindings(page)).toEqual([])
        }
      })
    })

    test('behavior: before its delay is over nobody is let execute it, with the time; from then on anybody with a wallet is asked', async () => {
      await visit(browser, `${slow.url}/proposals/scheduled`, {}, async (page) => {
        const button = page.getByRole('button', { name: 'Execute at the timelock' })
        await page.getByText('The timelock lets nobody execute it before 2023-11-14 22:43:20 UTC.').waitFor()
        expect(await button.isDisabled()).toBe(true)
        await page.goto(`${slow.url}/proposals/due`)
        await page.locator('#now').getByText('Connect any account below to send it; it pays the gas.').waitFor()
        expect(await page.getByText('The timelock lets nobody execute it before').count()).toBe(0)
      })
    })
  })
})
