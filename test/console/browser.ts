/** Debian's Chromium for tests of the console; where it is not installed, they are skipped and say so. */
import { describe, expect, jest } from '@jest/globals'
import axe from 'axe-core'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { NO_CHROMIUM, hasChromium } from './chromium.ts'

export { openBrowser, settled } from './chromium.ts'

/** How long what a page is to come to may take, ms: of a machine that does much else at the same time. A wait ends with what it waits for. */
export const STEP_MS = 120_000
/** Of every test and hook of a file that takes a browser: a few such steps. */
jest.setTimeout(5 * STEP_MS)

const group = hasChromium ? describe : describe.skip
const reason = hasChromium ? '' : ` (skipped: ${NO_CHROMIUM})`

/** `describe`, skipped without a browser. test/support/skipped.js prints the reason once, at the end. */
export const inBrowser = (name: string, suite: () => void): void => group(`${name}${reason}`, suite)

export type VisitOptions = BrowserContextOptions & {
  /** Errors of the console that the test brings about itself. */
  readonly allowed?: RegExp
  /** Before anything of the page runs: a wallet, an observer. */
  readonly before?: (page: Page) => Promise<void>
}

/** Opens a page in a fresh profile; fails the test for any request elsewhere, any error, and any breach of the content policy. */
export async function visit<T>(browser: Browser, url: string, { allowed = /^$/, before, ...options }: VisitOptions, use: (page: Page) => Promise<T>): Promise<T> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options })
  context.setDefaultTimeout(STEP_MS)
  const { host } = new URL(url)
  const faults: string[] = []
  const asked = (address: string): void => {
    const { protocol, host: other } = new URL(address)
    if (/^(http|ws)s?:$/.test(protocol) && other !== host) faults.push(`request to ${address}`)
  }
  try {
    const page = await context.newPage()
    page.on('request', (request) => asked(request.url()))
    page.on('websocket', (socket) => asked(socket.url()))
    page.on('pageerror', (error) => faults.push(error.message))
    page.on('console', (message) => { if (message.type() === 'error' && !allowed.test(message.text())) faults.push(message.text()) })
    await before?.(page)
    await page.goto(url)
    const result = await use(page)
    expect(faults).toEqual([])
    return result
  } finally {
    await context.close()
  }
}

/** The address as the page has it; `page.url()` hears of a new one a moment later. */
export const hrefOf = async (page: Page): Promise<URL> => new URL(await page.evaluate(() => location.href))

/** Acts, and waits until an element with these words has stood on the page since, if only for a moment, as what a short run says of its progress. */
export async function passing(page: Page, selector: string, words: RegExp, act: () => Promise<unknown>): Promise<void> {
  const watch = await page.evaluateHandle(([selector, words]) => {
    const found = { is: false }
    const observer = new MutationObserver(() => {
      found.is ||= [...document.querySelectorAll(selector)].some(({ textContent }) => new RegExp(words).test(textContent ?? ''))
      if (found.is) observer.disconnect()
    })
    observer.observe(document, { subtree: true, childList: true, characterData: true })
    return found
  }, [selector, words.source] as const)
  await act()
  await page.waitForFunction(({ is }) => is, watch)
}

/** Chooses what the menu under `⋯` of a chart offers. It opens in the middle of a page that stands still: a click would scroll to its item otherwise, and an open menu moves with the page. */
export async function chooseOf(page: Page, chart: string, item: string): Promise<void> {
  const opener = page.getByRole('button', { name: `Save or read ${chart}` })
  await opener.evaluate((button) => new Promise((resolve) => { button.scrollIntoView({ block: 'center' }); requestAnimationFrame(() => requestAnimationFrame(resolve)) }))
  await opener.click()
  await page.getByRole('menuitem', { name: item }).click()
}

/** Reads until it matches, or until the last text must. */
export async function eventually(read: () => Promise<string>, pattern: RegExp): Promise<void> {
  const until = Date.now() + STEP_MS
  let text = await read()
  while (!pattern.test(text) && Date.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 100))
    text = await read()
  }
  expect(text).toMatch(pattern)
}

const WCAG = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22a', 'wcag22aa']

/** What axe finds serious or critical by the rules of WCAG 2.0, 2.1 and 2.2, A and AA, or by `rules` alone: one line for each element. */
export async function axeFindings(page: Page, rules?: readonly string[]): Promise<string[]> {
  // Evaluated, not added to the page: its policy lets no script in.
  await page.evaluate(axe.source)
  const { violations } = await page.evaluate((runOnly) => {
    const runner = (globalThis as unknown as { axe: typeof axe }).axe
    return runner.run({ runOnly, resultTypes: ['violations'] })
  }, rules === undefined ? { type: 'tag' as const, values: WCAG } : { type: 'rule' as const, values: [...rules] })
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map(({ target, any, all, none }) => `${id}: ${target.join(' ')}: ${[...any, ...all, ...none].map(({ message }) => message).join('; ')}`))
}

/**
 * What does not fit: the page itself where it scrolls sideways, and text that its box hides without saying so. A box that scrolls by
 * itself, and one that ends in an ellipsis and has the whole text as its title, hide nothing.
 */
export const cutOff = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const found: string[] = []
    const { scrollWidth, clientWidth } = document.documentElement
    if (scrollWidth > clientWidth) found.push(`the page: ${scrollWidth} px in ${clientWidth}`)
    for (const element of document.body.querySelectorAll<HTMLElement>('*')) {
      const { overflowX, clip, clipPath, textOverflow, position, visibility } = getComputedStyle(element)
      const isForReaders = (position === 'absolute' || position === 'fixed') && (clip !== 'auto' || clipPath !== 'none')
      if (isForReaders || element instanceof HTMLInputElement || element.classList.contains('loading') || element.clientWidth === 0 || element.scrollWidth <= element.clientWidth + 1) continue
      if (visibility === 'hidden' || (overflowX !== 'hidden' && overflowX !== 'clip')) continue
      if (textOverflow === 'ellipsis' && element.closest('[title]') !== null) continue
      found.push(`${element.tagName.toLowerCase()}.${element.className}: "${element.innerText.slice(0, 60)}" ${element.scrollWidth} px in ${element.clientWidth}`)
    }
    return found
  })
