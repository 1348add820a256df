/** Circuit breakers: triggers against their entries, playbooks into the basket, replays, and who may lift a HALT. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Browser, Page } from 'playwright-core'
import type { PrivateKeyAccount } from 'viem/accounts'
import { SESSION_COOKIE } from '../../api/graphql/caller.ts'
import { createEvents } from '../../api/graphql/events.ts'
import { createBreakers } from '../../api/graphql/risk/breakers.ts'
import { queryApi } from '../../cli/graphql.ts'
import { signIn } from '../../cli/signIn.ts'
import { spansOf } from '../../console/breakers/spans.ts'
import { showTrigger } from '../../console/ui/breakers.tsx'
import { BLOCK, deployment, log, seed } from '../graphql/support.ts'
import { seedRisk } from '../graphql/risk-support.ts'
import { steward, stranger } from '../support/signIn.ts'
import { axeFindings, cutOff, inBrowser, openBrowser, visit } from './browser.ts'
import { startScratch, type Scratch } from './scratch.ts'

describe('levels on the time axis', () => {
  test('behavior: before the first move a breaker stood at what that left, and the last level goes on', () => {
    const moves = [{ at: 100, from: 'NORMAL', to: 'WATCH', why: 'a' }, { at: 130, from: 'WATCH', to: 'HALT', why: 'b' }] as const
    expect(spansOf(moves, { from: 50, to: 200, level: 'NORMAL', observed: false })).toEqual([{ from: 50, to: 100, level: 'NORMAL', why: '', observed: false }, { from: 100, to: 130, level: 'WATCH', why: 'a', observed: true }, { from: 130, to: 200, level: 'HALT', why: 'b', observed: true }])
    expect(spansOf([], { from: 0, to: 10, level: 'WATCH', observed: true })).toEqual([{ from: 0, to: 10, level: 'WATCH', why: '', observed: true }])
  })

  test('behavior: a trigger’s value has the unit that the schema gives it', () => {
    expect(showTrigger('staleness', 0.805)).toMatch(/^0\.8\d* heartbeats$/)
    expect(showTrigger('fundDrawdown', 0.125)).toBe('12.50 %')
    expect(showTrigger('deviation', 2)).toBe('2.00 × band')
  })
})

type Trigger = { name: string; state: string; value: number | null; watch: number | null; restrict: number | null; halt: number | null }
type Breaker = { label: string; level: string; triggers: Trigger[] }
type Change = { parameter: string; subject: string; subjectLabel: string; fromRaw: string; fromDisplay: string; toRaw: string; toDisplay: string; why: string; sideEffects: string[]; undo: string }

inBrowser('breakers', () => {
  let browser: Browser
  let scratch: Scratch
  let server: Awaited<ReturnType<Scratch['serve']>>
  let events: ReturnType<typeof createEvents>
  let breakers: ReturnType<typeof createBreakers>
  /** Renewals take turns with what they cost the server: on a busy machine that is more than a few seconds. */
  const shows = (page: Page, selector: string, text: RegExp) => page.locator(selector).filter({ hasText: text }).first().waitFor()
  /** Settles once the page follows blocks: what happened before that it is not told. */
  const following = (page: Page): Promise<unknown> => new Promise((resolve) => page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => { if (String(payload).includes('blockIndexed')) resolve(undefined) })))
  const panel = (page: Page, label: string) => page.locator(`#breaker-${label}`)
  /** The mirror steps to a block, `sec` after the book's, and the breakers look. */
  const step = async (number: bigint, sec: number): Promise<void> => {
    await scratch.prisma.checkpoint.create({ data: { blockNumber: number, blockHash: `0x${number.toString(16).padStart(64, '0')}`, blockTimestamp: BLOCK.timestamp + BigInt(sec), rowCount: 1 } })
    await scratch.prisma.replayStatus.update({ where: { id: 1 }, data: { blockNumber: number } })
    await breakers.observe()
    await events.look()
  }
  const as = (account: PrivateKeyAccount) => async (page: Page): Promise<void> => {
    await page.context().addCookies([{ name: SESSION_COOKIE, value: await signIn(server.url, account), url: server.url }])
  }

  beforeAll(async () => {
    scratch = await startScratch({ fill: async (prisma) => { await seed(prisma); await seedRisk(prisma) } })
    events = createEvents({ prisma: scratch.prisma, log })
    breakers = createBreakers({ prisma: scratch.prisma, deployment })
    await breakers.observe()
    await events.look()
    server = await scratch.serve({ services: { risk: { events, breakers } } })
    browser = await openBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    await server?.close()
    await scratch?.close()
  })

  test('behavior: every trigger that applies shows the API’s value against its entries, and what does not apply says why', async () => {
    const { circuitBreakers } = await queryApi<{ circuitBreakers: { protocol: Breaker; markets: Breaker[]; assumptions: string[] } }>(server.url, '{ circuitBreakers { protocol { label level triggers { name state value watch restrict halt } } markets { label level triggers { name state value watch restrict halt } } assumptions } }')
    await visit(browser, `${server.url}/breakers`, {}, async (page) => {
      for (const one of [circuitBreakers.protocol, ...circuitBreakers.markets]) {
        await panel(page, one.label).waitFor()
        const text = await panel(page, one.label).innerText()
        expect(text).toContain(one.level)
        for (const trigger of one.triggers.filter(({ state }) => state !== 'NOT_APPLICABLE')) {
          expect(text).toContain(trigger.value === null ? 'Unknown now: no alarm, and no proof of calm' : showTrigger(trigger.name, trigger.value))
          const share = trigger.name === 'fundDrawdown'
          for (const entry of [trigger.watch, trigger.restrict, trigger.halt].filter((one) => one !== null)) expect(text).toContain(share ? `${entry * 100} %` : String(entry))
        }
        expect(text).toContain('Does not apply: ')
      }
      await page.getByText('What the observations assume').click()
      for (const one of circuitBreakers.assumptions) await page.getByText(one).waitFor()
    })
  })

  test('behavior: a playbook shows its changes, side effects and way back, and goes into the basket whole, under its name; undo takes it out', async () => {
    const { playbooks } = await queryApi<{ playbooks: { playbooks: { id: string; title: string; changes: Change[]; notDone: { why: string }[] }[] } }>(server.url, '{ playbooks(subject: "vETH", trigger: "RESTRICT") { playbooks { id title changes { parameter subject subjectLabel fromRaw fromDisplay toRaw toDisplay why sideEffects undo } notDone { why } } } }')
    const [book] = playbooks.playbooks
    await visit(browser, `${server.url}/breakers?subject=vETH&trigger=RESTRICT`, {}, async (page) => {
      const shown = page.locator(`[id="playbook-${book!.id}"]`)
      await shown.locator('summary').focus()
      await page.keyboard.press('Enter')
      const text = (await shown.innerText()).replace(/\s+/g, ' ')
      for (const change of book!.changes) for (const word of [`${change.fromDisplay} → ${change.toDisplay}`, `raw ${change.fromRaw} → ${change.toRaw}`, change.why, ...change.sideEffects, change.undo]) expect(text).toContain(word)
      for (const { why } of book!.notDone) expect(text).toContain(why)
      await shown.getByRole('button', { name: /^Put into a proposal/ }).click()
      await shown.getByText('In the basket').waitFor()
      const basket = await page.evaluate(() => JSON.parse(localStorage.getItem('bulwark.basket') ?? '[]') as (Change & { playbook: string; recommendationId: null })[])
      expect(basket.map(({ parameter, subject, fromRaw, toRaw, playbook, recommendationId }) => ({ parameter, subject, fromRaw, toRaw, playbook, recommendationId }))).toEqual(book!.changes.map(({ parameter, subject, fromRaw, toRaw }) => ({ parameter, subject, fromRaw, toRaw, playbook: book!.id, recommendationId: null })))
      await shown.getByRole('button', { name: /^Undo/ }).click()
      await shown.getByRole('button', { name: /^Put into a proposal/ }).waitFor()
      expect(await page.evaluate(() => localStorage.getItem('bulwark.basket'))).toBe('[]')
    })
  })

  test('behavior: a replay under entries of one’s own says what the API says; what is typed wrongly is named beside its field and kept', async () => {
    const input = { market: 'vETH', days: 2, stepSec: 300, exitFactor: 0.6, confirmations: null, cooldownSec: null, reactionSec: 3600, assumedResetSec: 3600, harmHorizonSec: 3600, stops: 'PROTOCOL', entries: [{ trigger: 'staleness', watch: null, restrict: 0.01, halt: null }, ...['deviation', 'band', 'velocity'].map((trigger) => ({ trigger, watch: null, restrict: null, halt: null }))] }
    type Replay = { summary: string; observations: number; falseAlarms: number; trips: { peak: string; why: string }[]; secondsAt: { name: string; value: number }[]; assumptions: string[] }
    const { replayBreaker } = await queryApi<{ replayBreaker: Replay }>(server.url, 'query($input: ReplayBreakerInput!) { replayBreaker(input: $input) { summary observations falseAlarms trips { peak why } secondsAt { name value } assumptions } }', { input })
    // Two days in steps of 300 s, both ends; prices are never younger than a hundredth of a heartbeat for long.
    expect(replayBreaker.observations).toBe(577)
    expect(replayBreaker.trips.length).toBeGreaterThan(0)
    await visit(browser, `${server.url}/breakers`, {}, async (page) => {
      const form = page.locator('#replay')
      await form.waitFor()
      await form.locator('select').first().selectOption('vETH')
      for (const field of await form.getByPlaceholder('never').all()) await field.fill('')
      await form.getByLabel('Oracle’s age: RESTRICT from').fill('much')
      await form.getByLabel('Days back').fill('40')
      await form.getByRole('button', { name: 'Replay' }).click()
      await form.getByText('Found “40”, allowed: 1 to 30').waitFor()
      await form.getByText('Found “much”, allowed: above 0, or empty for never').waitFor()
      expect(await form.getByLabel('Oracle’s age: RESTRICT from').inputValue()).toBe('much')
      await form.getByLabel('Oracle’s age: RESTRICT from').fill('0.01')
      await form.getByLabel('Days back').fill('2')
      await page.keyboard.press('Enter')
      const result = form.locator('.replay-result')
      await result.waitFor()
      const text = await result.innerText()
      expect(text.toLowerCase()).toContain(replayBreaker.summary.toLowerCase().replace(/\.$/, ''))
      expect(text).toMatch(new RegExp(`Trips\\s+${replayBreaker.trips.length}\\s+577 observations\\s+False alarms\\s+${replayBreaker.falseAlarms}\\s`))
      const trips = (await form.getByRole('table', { name: 'Trips' }).getByRole('row').allInnerTexts()).slice(1)
      expect(trips).toHaveLength(Math.min(10, replayBreaker.trips.length))
      expect(trips[0]).toContain(replayBreaker.trips[0]!.peak)
      expect(trips[0]).toContain(replayBreaker.trips[0]!.why)
      // Figures do not stand unmarked beside another question.
      await form.getByLabel('Days back').fill('3')
      await result.getByText('Of the setting before:').waitFor()
      // The link brings the setting along.
      await page.reload()
      await form.waitFor()
      expect(await form.getByLabel('Oracle’s age: RESTRICT from').inputValue()).toBe('0.01')
    })
  })

  test('behavior: a stale feed halts the market before one’s eyes; only a steward or an owner may lift it, with a reason, once its cause is gone', async () => {
    let follows: Promise<unknown> | undefined
    await visit(browser, `${server.url}/breakers`, { before: async (page) => { follows = following(page) } }, async (page) => {
      await shows(page, '#breaker-vETH', /NORMAL/)
      await follows
      // Five heartbeats old, twice.
      await step(BLOCK.number + 1n, 6_000)
      await step(BLOCK.number + 2n, 6_002)
      await shows(page, '#breaker-vETH', /HALT[\s\S]*Latched/)
      await shows(page, '#history', /vETH[\s\S]*NORMAL[\s\S]*HALT/)
      // Nobody.
      await panel(page, 'vETH').getByRole('button', { name: 'Reset' }).click()
      await page.getByText('You have not signed in.').waitFor()
      await page.getByLabel('Why, 1 to 300 characters').fill('the feed is back')
      expect(await page.getByRole('button', { name: 'Reset to RESTRICT' }).isDisabled()).toBe(true)
      expect(await axeFindings(page)).toEqual([])
      await page.keyboard.press('Escape')
    })
    const refused = await fetch(`${server.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query: 'mutation { resetBreaker(subject: "vETH", why: "x") { level } }' }) })
    expect(((await refused.json()) as { errors: { extensions: { code: string } }[] }).errors[0]!.extensions.code).toBe('UNAUTHENTICATED')
    await visit(browser, `${server.url}/breakers`, { before: as(stranger) }, async (page) => {
      await panel(page, 'vETH').getByRole('button', { name: 'Reset' }).click()
      await page.getByText('neither a steward of the policy nor an owner of the Safe').waitFor()
    })
    await visit(browser, `${server.url}/breakers`, { before: as(steward), allowed: /status of 4\d\d/ }, async (page) => {
      await panel(page, 'vETH').getByRole('button', { name: 'Reset' }).click()
      await page.getByLabel('Why, 1 to 300 characters').fill('the feed is back')
      await page.getByRole('button', { name: 'Reset to RESTRICT' }).click()
      // The feed is as stale as before: the API refuses, and what was typed stays.
      await page.getByRole('alert').filter({ hasText: /allowed/ }).waitFor()
      expect(await page.getByLabel('Why, 1 to 300 characters').inputValue()).toBe('the feed is back')
      await scratch.prisma.priceUpdate.create({ data: { id: '0xfresh', feedId: deployment.markets[0]!.chainlinkFeed.toLowerCase(), priceE18: '1800000000000000000000', priceTimestamp: BLOCK.timestamp + 6_003n, freezeReason: 0, ageSec: '1', blockNumber: BLOCK.number + 3n, timestamp: BLOCK.timestamp + 6_004n, transactionHash: '0x01', logIndex: 0 } })
      await step(BLOCK.number + 3n, 6_004)
      await page.getByRole('button', { name: 'Reset to RESTRICT' }).click()
      await shows(page, '#breaker-vETH', /◆ RESTRICT/)
      const { circuitBreakers } = await queryApi<{ circuitBreakers: { markets: { label: string; level: string; history: { nodes: { from: string; to: string; why: string; resetBy: string | null }[] } }[] } }>(server.url, '{ circuitBreakers { markets { label level history { nodes { from to why resetBy } } } } }')
      const [last] = circuitBreakers.markets.find(({ label }) => label === 'vETH')!.history.nodes
      expect(last).toMatchObject({ from: 'HALT', to: 'RESTRICT', resetBy: steward.address.toLowerCase() })
      await shows(page, '#history', new RegExp(`HALT[\\s\\S]*RESTRICT[\\s\\S]*${steward.address.slice(0, 8).toLowerCase()}`))
    })
  })

  test.each([['1440 px, light', 1440, 'light'], ['390 px, dark', 390, 'dark']] as const)('behavior: at %s nothing is cut off, and axe finds nothing serious', async (_, width, colorScheme) => {
    await visit(browser, `${server.url}/breakers`, { viewport: { width, height: 900 }, colorScheme }, async (page) => {
      await page.getByRole('heading', { level: 2 }).first().waitFor()
      await page.waitForFunction(() => document.querySelector('.loading') === null)
      await page.getByText('RESTRICT of vETH').click()
      expect(await cutOff(page)).toEqual([])
      expect(await axeFindings(page)).toEqual([])
    })
  })
})
