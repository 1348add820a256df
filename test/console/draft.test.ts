/** Drafting: what is typed, what may be lost of it, what is said where it cannot be drafted, and the list of what was. */
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Browser, Download, Page } from 'playwright-core'
import { hoursOf, valueOf } from '../../console/proposal/amount.ts'
import { draftChanges } from '../../proposals/draft.ts'
import { DraftRefusedError } from '../../proposals/errors.ts'
import type { DraftCheck, DraftInput, ProposalRecord } from '../../proposals/index.ts'
import { curie } from '../../protocols/curie/index.ts'
import { queryApi } from '../../cli/graphql.ts'
import { band, market, rowOf } from '../graphql/proposal-rows.ts'
import { deployment, parameterId, seed } from '../graphql/support.ts'
import { steward } from '../support/signIn.ts'
import { injectWallet } from '../support/wallet.ts'
import { axeFindings, cutOff, eventually, inBrowser, openBrowser, visit } from './browser.ts'
import type { VisitOptions } from './browser.ts'
import { startScratch, type Scratch } from './scratch.ts'

describe('what is typed', () => {
  const usdc = { unit: 'USDC', inputDecimals: 6, raw: '300000000000' }

  test('behavior: a value is read exactly, with or without its unit', () => {
    expect(valueOf({ unit: '%', inputDecimals: 4, raw: '62500' }, '6.25 %')).toEqual({ raw: 62_500n, fault: null })
    expect(valueOf(usdc, '300,000.5')).toEqual({ raw: 300_000_500_000n, fault: null })
    expect(valueOf({ unit: 'address', inputDecimals: null, raw: '1' }, `0x${'00'.repeat(19)}ff`)).toEqual({ raw: 255n, fault: null })
    expect(valueOf({ unit: 'yes or no', inputDecimals: null, raw: '0' }, '1')).toEqual({ raw: 1n, fault: null })
  })

  test('error: what the contract’s 256 bits do not hold is no value', () => {
    // 2^256 is 115792089237316195423570985008687907853269984665640564039457584007913129639936.
    expect(valueOf(usdc, '115792089237316195423570985008687907853269984665640564039457584007913129.639935')).toEqual({ raw: 2n ** 256n - 1n, fault: null })
    expect(valueOf(usdc, '115792089237316195423570985008687907853269984665640564039457584007913129.639936')).toEqual({ raw: null, fault: 'Found “115792089237316195423570985008…” of 79 characters, allowed is at most 115792089237316195423570985008687907853269984665640564039457584007913129.639935 USDC, all that the contract’s 256 bits hold; write for example 300000.' })
    expect(valueOf({ unit: 'ticks', inputDecimals: 0, raw: '1000' }, '9'.repeat(80)).raw).toBeNull()
  })

  test('error: what cannot be read is told with what can', () => {
    expect(valueOf({ unit: '%', inputDecimals: 4, raw: '25000' }, '2.60001').fault).toBe('Found “2.60001”, allowed is a number from 0 with at most 4 decimals, in %; write for example 2.5.')
    expect(valueOf({ unit: 'address', inputDecimals: null, raw: '255' }, '0x12').fault).toBe(`Found “0x12”, allowed is an address of 20 bytes, 0x and 40 digits; write for example 0x${'00'.repeat(19)}ff.`)
  })

  test('behavior: hours become seconds, nothing is the policy’s own time, and what is no time or longer than the policy allows is told', () => {
    expect(hoursOf('1.5', 1_209_600)).toEqual({ sec: 5_400, fault: null })
    expect(hoursOf('', 1_209_600)).toEqual({ sec: null, fault: null })
    expect(hoursOf('336', 1_209_600)).toEqual({ sec: 1_209_600, fault: null })
    for (const text of ['1,5', '-1', 'abc', '336.1', '9'.repeat(12)]) expect(hoursOf(text, 1_209_600)).toEqual({ sec: null, fault: `Found “${text}”, allowed is a number of hours up to 336, with a point before decimals; write for example 1.5.` })
  })
})

/** As proposals/index.ts says it of a parameter that another open proposal changes. */
const heldBy = (id: string): string => `Found marketMaxPriceSpreadRatio of vETH in open proposal ${id} already, allowed is one open change per parameter; execute or cancel that one first`
const MADE = '200-0a1b2c3d'
/** The seed has three more. */
const OLD = 120

inBrowser('drafting', () => {
  let browser: Browser
  let scratch: Scratch
  /** The open proposal that has the price band of vETH, as drafts find it; `known` is what checks find. */
  let made: string | null
  let known: () => string | null
  let checked: DraftInput[]
  let drafted: DraftInput[]
  let gate: Promise<void>

  const check = async (input: DraftInput): Promise<DraftCheck> => {
    checked.push(input)
    const held = known()
    if (held !== null) return { changes: [], findings: [{ rule: 'draft', severity: 'BLOCK', parameter: null, subject: null, text: heldBy(held) }] }
    const rows = await scratch.prisma.parameter.findMany()
    const changes = draftChanges({ catalog: curie.catalog, deployment }, input.changes ?? [], ({ name, subject }) => BigInt(rows.find(({ id }) => id === parameterId(name, subject.toLowerCase()))!.value.toFixed()))
    return { changes, findings: [] }
  }
  const draft = async (input: DraftInput): Promise<ProposalRecord> => {
    await gate
    drafted.push(input)
    if (made !== null) throw new DraftRefusedError([heldBy(made)])
    made = MADE
    const row = await scratch.prisma.proposal.create({ data: rowOf(MADE, deployment, [band], 200, { state: 'DRAFT', title: input.title ?? MADE }) })
    return row as unknown as ProposalRecord
  }

  beforeAll(async () => {
    scratch = await startScratch({ services: { proposals: { check, draft, safe: async () => ({ version: '1.4.1', owners: deployment.safe!.owners, threshold: 2, nonce: 20n, mismatch: null }) } }, fill: async (prisma) => {
      await seed(prisma)
      for (let nonce = 0; nonce < OLD; nonce++) await prisma.proposal.create({ data: rowOf(`old-${nonce}`, deployment, [band], nonce + 10, { state: nonce % 2 === 0 ? 'APPLIED' : 'WITHDRAWN', draftedAtTimestamp: BigInt(1_600_000_000 + nonce) }) })
    } })
    browser = await openBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    await scratch?.close()
  })
  beforeEach(async () => {
    made = null
    known = () => made
    checked = []
    drafted = []
    gate = Promise.resolve()
    await scratch.prisma.proposal.deleteMany({ where: { id: MADE } })
  })

  test('behavior: a proposal under way is found by its name and told among what happened, however many are newer', async () => {
    await scratch.prisma.proposal.create({ data: rowOf('ancient', deployment, [band], 5, { state: 'STALE', title: 'Forgotten band', draftedAtTimestamp: 1_500_000_000n, events: { create: { toState: 'STALE', note: 'a value has drifted' } } }) })
    try {
      await visiting('/', async (page) => {
        await page.locator('#happened').getByRole('link', { name: 'Forgotten band' }).first().waitFor()
        await page.keyboard.press('Control+k')
        await page.getByRole('combobox').fill('forgotten')
        expect(await page.getByRole('option', { name: /^Forgotten band/ }).innerText()).toMatch(/Forgotten band\s+stale ancient/)
        // Of those that are over the newest, each once.
        await page.getByRole('combobox').fill('old-')
        await page.getByRole('option', { name: /old-119/ }).waitFor()
        expect(await page.getByRole('option', { name: /old-119/ }).count()).toBe(1)
      })
    } finally {
      await scratch.prisma.proposal.delete({ where: { id: 'ancient' } })
    }
  })

  const visiting = (path: string, use: (page: Page) => Promise<void>, options: VisitOptions = {}): Promise<void> => visit(browser, `${scratch.url}${path}`, options, use)
  const asSteward = (path: string, use: (page: Page) => Promise<void>, options: VisitOptions = {}): Promise<void> => visiting(path, async (page) => {
    await page.locator('main').getByRole('button', { name: 'Connect Test wallet' }).click()
    await page.locator('main').getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.locator('main').getByText(/Signed in as/).waitFor()
    await use(page)
  }, { ...options, before: async (page) => void (await injectWallet(page, { rpcUrl: 'http://127.0.0.1:9', accounts: [steward] })) })
  const BAND = `/proposals/new?parameter=marketMaxPriceSpreadRatio&subject=${market.baseToken}`
  const PENALTY = '/proposals/new?parameter=liquidationPenaltyRatio'
  const bandOf = (page: Page) => page.getByLabel('Price band of vETH')
  const penaltyOf = (page: Page) => page.getByLabel('Liquidation penalty of protocol')
  const rows = (page: Page) => page.locator('.proposal-row')
  const allowed = (page: Page) => page.getByText('Policy and lint let this be drafted.')
  const focused = (page: Page): Promise<string> => page.evaluate(() => document.activeElement?.textContent ?? '')
  const basketOf = (page: Page): Promise<{ parameter: string; toRaw: string }[]> => page.evaluate(() => JSON.parse(localStorage.getItem('bulwark.basket') ?? '[]') as { parameter: string; toRaw: string }[])
  const both = async (page: Page): Promise<void> => {
    await bandOf(page).fill('9')
    await page.goto(`${scratch.url}${PENALTY}`)
    await penaltyOf(page).fill('2.6')
    await allowed(page).waitFor()
  }

  test('error: a value that no contract holds is said before it is sent, and costs no other row', async () => {
    await visiting(BAND, async (page) => {
      const sent: string[] = []
      page.on('request', (request) => sent.push(request.postData() ?? ''))
      await bandOf(page).fill('9')
      await page.goto(`${scratch.url}${PENALTY}`)
      await penaltyOf(page).fill('9'.repeat(80))
      await page.getByText('Found “999999999999999999999999999999…” of 80 characters, allowed is at most').waitFor()
      await page.getByText('One value cannot be read; see beside it.').waitFor()
      await page.reload()
      await rows(page).nth(1).waitFor()
      expect([await bandOf(page).inputValue(), await penaltyOf(page).inputValue()]).toEqual(['9', '9'.repeat(80)])
      const tab = await page.context().newPage()
      await tab.goto(`${scratch.url}/proposals/new`)
      await rows(tab).nth(1).waitFor()
      expect(await bandOf(tab).inputValue()).toBe('9')
      expect(sent.filter((body) => body.includes('9'.repeat(77)))).toEqual([])
      expect([await cutOff(page), await axeFindings(page)]).toEqual([[], []])
    })
  })

  test('error: one row of the basket that cannot be read is left out, and the others stay', async () => {
    await visiting(BAND, async (page) => {
      await bandOf(page).fill('9')
      await page.evaluate(() => {
        const items = JSON.parse(localStorage.getItem('bulwark.basket')!) as { parameter: string; toRaw: string }[]
        // 2^256, one more than a contract holds, and no number at all.
        const bad = ['115792089237316195423570985008687907853269984665640564039457584007913129639936', '-1', ''].map((toRaw) => ({ ...items[0]!, parameter: 'feeRatio', toRaw }))
        localStorage.setItem('bulwark.basket', JSON.stringify([...bad, null, ...items]))
      })
      await page.reload()
      await rows(page).first().waitFor()
      expect(await rows(page).count()).toBe(1)
      expect(await bandOf(page).inputValue()).toBe('9')
    })
  })

  test.each(['1,5', '-1', 'abc'])('error: hours of %s are told below the field and in the verdict, and nothing says that it may be drafted', async (text) => {
    await visiting(BAND, async (page) => {
      await bandOf(page).fill('9')
      const hours = page.getByLabel(/^Time that signers have/)
      await hours.fill(text)
      await page.getByText('One value cannot be read; see beside it.').waitFor()
      expect(await allowed(page).count()).toBe(0)
      const says = (await hours.getAttribute('aria-describedby'))!.split(' ')
      const words = await page.evaluate((ids) => ids.map((id) => document.getElementById(id)?.textContent ?? ''), says)
      expect(words.join(' ')).toContain(`Found “${text}”, allowed is a number of hours up to 336, with a point before decimals; write for example 1.5.`)
      await hours.fill('1.5')
      await allowed(page).waitFor()
      expect(checked.at(-1)?.validForSec).toBe(5_400)
    })
  })

  test('behavior: every proposal can be reached, and a file says how many of them it holds', async () => {
    const { proposals: { totalCount } } = await queryApi<{ proposals: { totalCount: number } }>(scratch.url, '{ proposals { totalCount } }')
    expect(totalCount).toBe(OLD + 3)
    const csv = async (page: Page): Promise<{ name: string; lines: number }> => {
      const [download] = await Promise.all([page.waitForEvent('download') as Promise<Download>, page.getByRole('button', { name: 'CSV' }).click()])
      return { name: download.suggestedFilename(), lines: (await readFile(await download.path(), 'utf8')).trim().split('\r\n').length - 1 }
    }
    await visiting('/proposals', async (page) => {
      const list = page.getByRole('table', { name: 'Proposals' }).getByRole('row')
      await list.nth(50).waitFor()
      expect(await list.count()).toBe(51)
      await page.locator('#proposals > header').getByText('newest 50 of 123').waitFor()
      expect(await csv(page)).toEqual({ name: 'bulwark-proposals-newest-50-of-123.csv', lines: 50 })
      await page.getByRole('button', { name: 'Show older (73 more)' }).click()
      await list.nth(100).waitFor()
      await page.getByRole('button', { name: 'Show older (23 more)' }).press('Enter')
      await list.nth(123).waitFor()
      await page.locator('#proposals > header').getByText('123 in all').waitFor()
      expect([await page.getByRole('button', { name: /^Show older/ }).count(), await focused(page)]).toEqual([0, 'All 123 are shown.'])
      await page.getByRole('link', { name: 'old-0', exact: true }).waitFor()
      expect(await csv(page)).toEqual({ name: 'bulwark-proposals.csv', lines: 123 })
      // Half of the old ones, and of another state none from here.
      await page.locator('#proposals .controls select').selectOption('WITHDRAWN')
      await page.locator('#proposals > header').getByText('newest 50 of 60').waitFor()
      expect(await csv(page)).toEqual({ name: 'bulwark-proposals-withdrawn-newest-50-of-60.csv', lines: 50 })
    })
  })

  test('behavior: all that is taken out comes back by one key, with what was typed', async () => {
    await visiting(BAND, async (page) => {
      await both(page)
      await bandOf(page).fill('9.00001')
      const before = await basketOf(page)
      await page.getByRole('button', { name: 'Take all out' }).press('Enter')
      await page.getByText('2 changes were taken out.').waitFor()
      expect([await rows(page).count(), await focused(page)]).toEqual([0, 'Undo'])
      await page.keyboard.press('Enter')
      await rows(page).nth(1).waitFor()
      expect(await basketOf(page)).toEqual(before)
      expect([await bandOf(page).inputValue(), await penaltyOf(page).inputValue()]).toEqual(['9.00001', '2.6'])
      expect(await page.evaluate(() => document.activeElement?.id)).toBe(await bandOf(page).getAttribute('id'))
      // One alone, and what was put in again meanwhile stays as it is.
      await page.getByRole('button', { name: 'Take out marketMaxPriceSpreadRatio of vETH' }).press('Enter')
      await page.getByText('Price band of vETH was taken out.').waitFor()
      await page.getByLabel('Change a parameter by hand').selectOption(parameterId('marketMaxPriceSpreadRatio', market.baseToken.toLowerCase()))
      await bandOf(page).fill('8')
      await page.getByRole('button', { name: 'Undo' }).press('Enter')
      expect((await basketOf(page)).map(({ toRaw }) => toRaw)).toEqual(['26000', '80000'])
      expect(await bandOf(page).inputValue()).toBe('8')
    })
  })

  test('behavior: a file to import stays while one looks elsewhere', async () => {
    await visiting('/proposals/new', async (page) => {
      const panel = page.locator('#import')
      await panel.getByText('Paste or drop its file').click()
      await panel.getByLabel('The file’s text').fill('{"transactions": []}')
      await panel.getByLabel(/^Confirmations/).fill('marketStatus of vETH')
      await page.getByRole('link', { name: 'All proposals' }).click()
      await page.getByRole('heading', { level: 1, name: 'Proposals' }).waitFor()
      await page.goBack()
      await panel.getByLabel('The file’s text').waitFor()
      expect([await panel.getByLabel('The file’s text').inputValue(), await panel.getByLabel(/^Confirmations/).inputValue()]).toEqual(['{"transactions": []}', 'marketStatus of vETH'])
    })
  })

  test('behavior: a draft takes out of the basket what it holds, and leaves what another tab put in meanwhile', async () => {
    let open = () => {}
    gate = new Promise((resolve) => { open = resolve })
    await asSteward(BAND, async (page) => {
      await bandOf(page).fill('9')
      await page.locator('#import').getByText('Paste or drop its file').click()
      await page.locator('#import').getByLabel('The file’s text').fill('{}')
      await allowed(page).waitFor()
      await page.getByRole('button', { name: 'Draft it' }).press('Enter')
      const button = page.getByRole('button', { name: 'Drafting …' })
      await button.waitFor()
      // While it is under way the focus stays there, and another press drafts nothing more.
      expect(await focused(page)).toBe('Drafting …')
      await button.press('Enter')
      const tab = await page.context().newPage()
      await tab.goto(`${scratch.url}${PENALTY}`)
      await penaltyOf(tab).fill('2.6')
      open()
      await page.waitForURL(`${scratch.url}/proposals/${MADE}`)
      await eventually(async () => (await basketOf(tab)).map(({ parameter, toRaw }) => `${parameter} ${toRaw}`).join(), /^liquidationPenaltyRatio 26000$/)
      expect(await penaltyOf(tab).inputValue()).toBe('2.6')
      expect(await tab.locator('#import').getByLabel('The file’s text').inputValue()).toBe('{}')
      expect(drafted).toEqual([expect.objectContaining({ changes: [expect.objectContaining({ parameter: 'marketMaxPriceSpreadRatio', to: 90_000n })] })])
    })
  })

  test('error: where the answer to a draft is lost, it says that the outcome is not known, and finds the proposal', async () => {
    await asSteward(BAND, async (page) => {
      await bandOf(page).fill('9')
      await allowed(page).waitFor()
      await page.route('**/graphql', async (route) => {
        if (!route.request().postData()?.includes('mutation DraftProposal')) return route.fallback()
        await route.fetch()
        await route.abort()
      })
      const button = page.getByRole('button', { name: 'Draft it' })
      await button.press('Enter')
      const alert = page.getByRole('alert').filter({ hasText: 'Whether a proposal was made of it is not known' })
      await alert.waitFor()
      expect(await alert.innerText()).toMatch(/^The API does not answer\.\s+Whether a proposal was made of it is not known: look among the proposals before you draft it again\. What was typed is still here\.$/)
      expect(await alert.getByRole('link', { name: 'the proposals' }).getAttribute('href')).toBe('/proposals')
      expect(drafted).toHaveLength(1)
      // The verdict is asked for again, and knows what was made.
      await page.getByText('One rule stops this.').waitFor()
      expect(await allowed(page).count()).toBe(0)
      expect(await bandOf(page).inputValue()).toBe('9')
      expect(await focused(page)).toContain('Whether a proposal was made of it is not known')
      expect([await cutOff(page), await axeFindings(page)]).toEqual([[], []])
      await page.getByRole('link', { name: MADE }).first().click()
      await page.waitForURL(`${scratch.url}/proposals/${MADE}`)
    }, { allowed: /ERR_FAILED/ })
  })

  test('error: a refusal leads to the proposal that it names, and no verdict beside it says otherwise', async () => {
    await asSteward(BAND, async (page) => {
      await bandOf(page).fill('9')
      await allowed(page).waitFor()
      // Somebody else was first.
      made = MADE
      const button = page.getByRole('button', { name: 'Draft it' })
      await button.press('Enter')
      const alert = page.getByRole('alert').filter({ hasText: heldBy(MADE) })
      await alert.waitFor()
      expect(await alert.innerText()).toContain('Nothing was drafted, and what was typed is still here.')
      expect(await alert.getByRole('link', { name: MADE }).getAttribute('href')).toBe(`/proposals/${MADE}`)
      await page.getByText('One rule stops this.').waitFor()
      expect(await allowed(page).count()).toBe(0)
      expect(await focused(page)).toContain(heldBy(MADE))
      await page.keyboard.press('Tab')
      expect(await focused(page)).toBe(MADE)
      expect(await button.isDisabled()).toBe(true)
    })
  })

  test('error: a link to what is not there, or cannot be set, is named', async () => {
    await visiting('/proposals/new?parameter=nope', async (page) => {
      await page.getByText('The link asks for “nope” of the protocol, which is no parameter here.').waitFor()
      expect(await axeFindings(page)).toEqual([])
      await page.goto(`${scratch.url}/proposals/new?parameter=feeRatio&subject=vXYZ`)
      await page.getByText('The link asks for “feeRatio” of “vXYZ”, which is no parameter here.').waitFor()
      await page.goto(`${scratch.url}/proposals/new?parameter=mmRatio`)
      await page.getByText('The link asks for Maintenance margin of protocol, which cannot be set: ClearingHouseConfig writes it in initialize() alone').waitFor()
      await page.goto(`${scratch.url}${BAND}`)
      await bandOf(page).waitFor()
      expect(await page.getByText('The link asks for').count()).toBe(0)
    })
  })

  test('behavior: at 390 px, dark, with every fault on the page, nothing is cut off', async () => {
    await visiting(BAND, async (page) => {
      await both(page)
      await page.getByRole('button', { name: 'Take out marketMaxPriceSpreadRatio of vETH' }).click()
      await penaltyOf(page).fill('9'.repeat(80))
      await page.getByLabel(/^Time that signers have/).fill('9'.repeat(80))
      await page.getByText('2 values cannot be read; see beside them.').waitFor()
      // What policy and lint said of the value before is said of nothing that stands there.
      expect(await page.locator('.proposal-edit, .proposal-sentences').allInnerTexts()).toEqual([expect.not.stringContaining('Step')])
      await page.evaluate(() => { history.pushState(null, '', `/proposals/new?parameter=${'nope'.repeat(30)}`) })
      await page.getByText('The link asks for').waitFor()
      // Nothing stands below the header that stays.
      await page.evaluate(() => scrollTo(0, 0))
      expect([await cutOff(page), await axeFindings(page)]).toEqual([[], []])
    }, { viewport: { width: 390, height: 900 }, colorScheme: 'dark' })
  })
})
