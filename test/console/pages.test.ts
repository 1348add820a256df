/** Every page over a running devnet: what is asked of all of them alike. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { axeFindings, cutOff, inBrowser, openBrowser, visit } from './browser.ts'
import { DESK_MS, startDesk, type Desk } from './desk.ts'

inBrowser('pages', () => {
  let browser: Browser
  let desk: Desk

  beforeAll(async () => {
    desk = await startDesk()
    browser = await openBrowser()
  }, DESK_MS)

  afterAll(async () => {
    await browser?.close()
    await desk?.close()
  }, 60_000)

  test('behavior: overview', async () => {
    await visit(browser, desk.url, {}, async (page) => {
      await page.locator('h1').first().waitFor()
      expect(await cutOff(page)).toEqual([])
      expect(await axeFindings(page)).toEqual([])
    })
  }, 60_000)
})
