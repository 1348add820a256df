/** Debian's Chromium, or the one that CHROMIUM names. */
import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'
import type { Browser, Page } from 'playwright-core'

const CHROMIUM = process.env['CHROMIUM'] || '/usr/bin/chromium'
export const hasChromium = existsSync(CHROMIUM)
/** What to do where it is not there. */
export const NO_CHROMIUM = `found no ${CHROMIUM}, which browser tests need; run apt-get install chromium, or name another in CHROMIUM`

/** No sandbox: as root there is none. The rest keeps it from asking anybody but us. */
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

export const openBrowser = (): Promise<Browser> => chromium.launch({ executablePath: CHROMIUM, args: FLAGS })

/** Until everything that a page asks for first is there, and drawn. */
export async function settled(page: Page): Promise<void> {
  await page.locator('h1').first().waitFor()
  await page.waitForFunction(() => document.querySelector('.loading, .boot') === null).catch(async () => {
    throw new TypeError(`${page.url()} still loads: ${await page.locator('.loading').evaluateAll((parts) => parts.map((part) => part.closest('section')?.id ?? part.className).join(', '))}`)
  })
  await page.evaluate(() => document.fonts.ready)
}
