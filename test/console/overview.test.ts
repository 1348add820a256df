import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Browser, Page } from 'playwright-core'
import { createBreakers } from '../../api/graphql/risk/breakers.ts'
import { createEvents } from '../../api/graphql/events.ts'
import { queryApi } from '../../cli/graphql.ts'
import { aged, answerOf, asOf, lastKnown, limitsOf, ofBreakers, ofFigures, ofFund, ofOracles, ofQueue, outdated } from '../../console/overview/safety.ts'
import { compact, float, percent, price, signedPercent, size, usd } from '../../console/ui/format.ts'
import { BLOCK, addressOf, deployment, log, seed } from '../graphql/support.ts'
import { seedRisk } from '../graphql/risk-support.ts'
import { axeFindings, cutOff, eventually, hrefOf, inBrowser, openBrowser, settled, visit } from './browser.ts'
import { startScratch, type Scratch } from './scratch.ts'

describe('is the protocol safe now', () => {
  type Breakers = Parameters<typeof ofBreakers>[0]
  type Breaker = NonNullable<Breakers['circuitBreakers']>['protocol']
  const provenance = { model: 'm', version: '1', source: 's', block: { number: '10', timestamp: '1000' }, inputsDigest: 'aa' }
  const trigger = { name: 'staleness', state: 'MEASURED' as const, why: null, value: 0.1, level: 'NORMAL' as const, watch: 1.2, restrict: 2, halt: 4, exitFactor: 0.6 }
  const breaker = (label: string, more: Partial<Breaker> = {}): Breaker => ({ subject: label, label, level: 'NORMAL', effective: 'NORMAL', since: '0', quietSince: null, latched: false, triggers: [trigger], asks: [], ...more })
  const board = (...markets: Breaker[]): Breakers => ({ circuitBreakers: { provenance, protocol: breaker('protocol'), markets } })

  test('behavior: breakers: normal is safe, WATCH is watched, RESTRICT and HALT are not safe, each named', () => {
    expect(ofBreakers(board(breaker('vETH')))).toEqual({ verdict: 'safe', figure: 'NORMAL', why: 'every breaker is normal' })
    expect(ofBreakers(board(breaker('vETH', { level: 'WATCH', effective: 'WATCH' })))).toEqual({ verdict: 'watch', figure: 'WATCH', why: 'vETH stands at WATCH' })
    expect(ofBreakers(board(breaker('vETH', { level: 'WATCH', effective: 'WATCH' }), breaker('vBTC', { level: 'HALT', effective: 'HALT' })))).toEqual({ verdict: 'danger', figure: 'HALT', why: 'vBTC stands at HALT and vETH stands at WATCH' })
  })

  test('behavior: breakers: a trigger that is not measured, an observation that is old, or none at all is unknown; what is known to be bad stays bad', () => {
    const blind = breaker('vETH', { triggers: [{ ...trigger, state: 'UNKNOWN', value: null }] })
    expect(ofBreakers(board(blind))).toMatchObject({ verdict: 'unknown', why: 'oracle’s age of vETH is not measured' })
    expect(ofBreakers(board({ ...blind, level: 'HALT', effective: 'HALT' }))).toMatchObject({ verdict: 'danger', why: 'vETH stands at HALT; oracle’s age of vETH is not measured' })
    expect(ofBreakers(board(breaker('vETH', { triggers: [{ ...trigger, state: 'NOT_APPLICABLE', why: 'elsewhere', value: null }] }))).verdict).toBe('safe')
    expect(ofBreakers({ circuitBreakers: null })).toMatchObject({ verdict: 'unknown', why: 'no breaker has been observed yet' })
  })

  type Queue = NonNullable<Parameters<typeof ofQueue>[0]['liquidationQueue']>
  const queue = (more: Partial<Queue> = {}): { liquidationQueue: Queue } => ({ liquidationQueue: { provenance, entryCount: 0, dueAccounts: 0, dueNotional: 0, takeableNotional: 0, capacityPerHour: 1000, backlogHours: 0, etaSec: 0, backlogLimit: { seconds: 3600, market: { symbol: 'vETH' }, origin: 'MEASURED', why: 'w' }, velocity: 0, buckets: [], tiers: [], unknown: [], assumptions: [], entries: [], ...more } })

  test('behavior: liquidations: due and soon taken is watched; hindered, slow, or at a loss for others is not safe; none due is safe', () => {
    const due = { dueAccounts: 2, dueNotional: 500, takeableNotional: 500, backlogHours: 0.5, etaSec: 1800 }
    expect(ofQueue(queue())).toEqual({ verdict: 'safe', figure: '0 due', why: 'no account is due for liquidation' })
    expect(ofQueue(queue(due))).toEqual({ verdict: 'watch', figure: '2 due', why: '2 accounts due, 500 USD, 30 min of work for liquidators' })
    expect(ofQueue(queue({ ...due, takeableNotional: 200 }))).toMatchObject({ verdict: 'danger', why: '2 accounts due, 500 USD, of which 300 USD cannot be taken' })
    expect(ofQueue(queue({ ...due, etaSec: 3600 })).verdict).toBe('watch')
    expect(ofQueue(queue({ ...due, etaSec: 5400 }))).toMatchObject({ verdict: 'danger', why: '2 accounts due, 500 USD: 90 min of work for liquidators, and margins of vETH count on 60 min' })
    expect(ofQueue(queue({ ...due, backlogLimit: { seconds: 600, market: { symbol: 'vBTC' }, origin: 'MEASURED', why: 'w' } }))).toMatchObject({ verdict: 'danger', why: '2 accounts due, 500 USD: 30 min of work for liquidators, and margins of vBTC count on 10 min' })
    expect(ofQueue(queue({ ...due, backlogLimit: null }))).toMatchObject({ verdict: 'unknown', why: '2 accounts due, 500 USD, and how long they may wait is not known' })
    expect(ofQueue(queue({ ...due, backlogHours: null, etaSec: null }))).toMatchObject({ verdict: 'danger' })
    expect(ofQueue(queue({ tiers: [{ tier: 'FUND', accounts: 1, deficit: null, fromFund: null }] }))).toMatchObject({ verdict: 'danger', why: '1 account cannot be closed without a loss for others' })
    expect(ofQueue(queue({ unknown: [{ message: 'Found no volume.' }] }))).toMatchObject({ verdict: 'unknown' })
    expect(ofQueue({ liquidationQueue: null }).verdict).toBe('unknown')
  })

  type Fund = NonNullable<Parameters<typeof ofFund>[0]['insuranceFund']>
  const fund = (more: Partial<NonNullable<Fund['target']>>): { insuranceFund: Fund } => ({ insuranceFund: { capacity: { value: '1' }, badDebt: { value: '0' }, stats: { nodes: [] }, target: { provenance, fund: 100, fundUnknown: null, target: 100, gap: 0, binding: 'cover-2', cover1: 40, cover2: 60, runwayDays: null, simulationUnknown: null, why: 'w', ...more } } })

  test('behavior: fund: short of its target is watched, less than one account can lose is not safe, and what nobody simulated is unknown', () => {
    expect(ofFund(fund({}))).toEqual({ verdict: 'safe', figure: '100 % of target', why: 'the insurance fund holds its target' })
    expect(ofFund(fund({ target: 200, gap: 100, runwayDays: 12 }))).toEqual({ verdict: 'watch', figure: '50 % of target', why: 'the insurance fund lacks 100 USD of its target, and lasts 12 d' })
    // 99.96 of 100: money is missing, so that it is not told as all of it.
    expect(ofFund(fund({ fund: 99.96, gap: 0.04 })).figure).toBe('99 % of target')
    expect(ofFund(fund({ fund: 39, gap: 61 }))).toMatchObject({ verdict: 'danger', why: 'the insurance fund holds 39 USD and one account can lose 40 USD more than it has' })
    expect(ofFund(fund({ simulationUnknown: { message: 'none' } }))).toMatchObject({ verdict: 'unknown' })
    expect(ofFund(fund({ fund: null, gap: null, fundUnknown: { message: 'Not indexed.' } }))).toMatchObject({ verdict: 'unknown', why: 'the insurance fund is unknown: Not indexed' })
    expect(ofFund({ insuranceFund: null }).verdict).toBe('unknown')
  })

  type Feed = NonNullable<Parameters<typeof ofOracles>[0]['oracleHealth']>['feeds'][number]
  const feeds = (...some: Partial<Feed>[]) => ({ oracleHealth: { provenance, feeds: some.map((one): Feed => ({ feed: '0x1', symbols: ['vETH'], status: 'OK', ageSec: 10, heartbeatSec: 60, lateSec: 72, lateWhy: 'w', deviation: 0, deviationLimit: 0.1, freezeReason: 'not frozen', fallback: false, stalenessLoss: 0, flags: [], ...one })) } })

  test('behavior: oracles: a failing feed is not safe, a late one is watched, one without a price is unknown', () => {
    expect(ofOracles(feeds({}))).toEqual({ verdict: 'safe', figure: '1 of 1 ok', why: 'every price is fresh' })
    expect(ofOracles(feeds({}, { symbols: ['vBTC'], status: 'WARN' }))).toEqual({ verdict: 'watch', figure: '1 of 2 ok', why: 'the price of vBTC is late or off the market' })
    expect(ofOracles(feeds({ status: 'WARN' }, { symbols: ['vBTC', 'WBTC'], status: 'FAIL' }))).toMatchObject({ verdict: 'danger', why: 'the price of vBTC and WBTC cannot be trusted' })
    expect(ofOracles(feeds({ ageSec: null }))).toMatchObject({ verdict: 'unknown' })
    expect(ofOracles(feeds()).verdict).toBe('unknown')
  })

  test('behavior: figures: an API that is away, a part that is down and an old block are unknown; what bears on no figure does not count', () => {
    const status = (more: object) => ({ status: { network: 'devnet', chainId: 31337, indexed: { number: '10', hash: '0x1', timestamp: '1000' }, ageSec: 2, lagBlocks: 1, health: 'UP' as const, parts: [{ name: 'mirror', health: 'UP' as const, detail: '' }, { name: 'alerts', health: 'DOWN' as const, detail: '' }], ...more } })
    // The price of vETH was given at 990 and is counted on up to 1062; that of vBTC, given at 400, was late already.
    const limits = limitsOf(feeds({}, { symbols: ['vBTC'], ageSec: 600, lateSec: 120 }))
    expect(ofFigures(status({}), 2, false, limits)).toEqual({ verdict: 'safe', figure: 'Block 10', why: 'figures are current' })
    expect(ofFigures(status({}), 2, true, limits).verdict).toBe('unknown')
    expect(ofFigures(status({ parts: [{ name: 'mirror', health: 'DEGRADED', detail: '' }] }), 2, false, limits)).toMatchObject({ verdict: 'unknown', why: 'mirror is degraded, so figures may be missing or old' })
    expect(ofFigures(status({}), 62, false, limits).verdict).toBe('safe')
    expect(ofFigures(status({}), 63, false, limits)).toMatchObject({ verdict: 'unknown', why: 'the figures are 63 s old: a price of vETH of then is 73 s old by now, limit 72 s' })
    expect(ofFigures(status({}), 121, false, limits.slice(1))).toMatchObject({ verdict: 'unknown', why: 'the figures are 2 min old: a price of vBTC of then is 2 min old by now, limit 2 min' })
    expect(ofFigures(status({}), null, false, limits).verdict).toBe('unknown')
    expect(ofFigures(status({ indexed: null }), 2, false, limits).verdict).toBe('unknown')
  })

  test('behavior: an answer that stands long before the index, or cannot be renewed, is unknown with what it last said; what was bad stays bad', () => {
    const safe = { verdict: 'safe' as const, figure: 'NORMAL', why: 'every breaker is normal' }
    const bad = { verdict: 'danger' as const, figure: 'HALT', why: 'vETH stands at HALT' }
    const limits = limitsOf(feeds({}))
    // Given at 990, counted on up to 1062. What stands earlier than that price held one that was no younger than itself.
    expect([outdated(limits, 1000, 1062), outdated(limits, 995, 1062), outdated(limits, 980, 1052), outdated([], 0, 1e9)]).toEqual([null, null, null, null])
    expect(outdated(limits, 1000, 1063)).toEqual({ behindSec: 63, why: 'a price of vETH of then is 73 s old by now, limit 72 s' })
    expect(outdated(limits, 980, 1053)?.behindSec).toBe(73)
    // On the newest block a late price is the oracles' own matter.
    expect(outdated(limits, 1063, 1063)).toBeNull()
    const old = outdated(limits, 1000, 1063)
    expect(asOf('breakers', safe, null, null)).toEqual(safe)
    expect(asOf('breakers', safe, old, null)).toEqual({ verdict: 'unknown', figure: 'NORMAL', why: 'breakers were last seen 63 s before the indexed block: a price of vETH of then is 73 s old by now, limit 72 s; before that every breaker is normal' })
    expect(asOf('liquidations', safe, null, 'Found too many requests.')).toMatchObject({ verdict: 'unknown', why: 'liquidations cannot be asked for again: Found too many requests; before that every breaker is normal' })
    expect(asOf('breakers', bad, old, null)).toMatchObject({ verdict: 'danger', why: 'vETH stands at HALT; breakers were last seen 63 s before the indexed block: a price of vETH of then is 73 s old by now, limit 72 s' })
  })

  test('behavior: the answer is yes only where every part is safe; the worst is said first, and all that is not safe is said', () => {
    const part = (verdict: 'safe' | 'watch' | 'unknown' | 'danger' | 'asking', why: string) => ({ verdict, figure: '', why })
    expect(answerOf([part('safe', 'a'), part('safe', 'b')])).toEqual({ verdict: 'safe', word: 'Yes', reasons: 'a; b.' })
    expect(answerOf([part('safe', 'a'), part('watch', 'b')])).toEqual({ verdict: 'watch', word: 'With care', reasons: 'b.' })
    expect(answerOf([part('watch', 'a'), part('unknown', 'b')])).toEqual({ verdict: 'unknown', word: 'Not known', reasons: 'b; a.' })
    expect(answerOf([part('watch', 'a'), part('unknown', 'b'), part('danger', 'c')])).toEqual({ verdict: 'danger', word: 'No', reasons: 'c; not known: b; a.' })
    expect(answerOf([part('safe', 'a'), part('asking', '')]).verdict).toBe('asking')
    expect(answerOf([part('danger', 'a'), part('asking', '')]).word).toBe('No')
  })

  test('behavior: a tab that nobody looks at keeps the last known answer with its age while it only grows old, and says at once what is news', () => {
    const [yes, no, lost, asking] = [{ verdict: 'safe', word: 'Yes' }, { verdict: 'danger', word: 'No' }, { verdict: 'unknown', word: 'Not known' }, { verdict: 'asking', word: '…' }] as const
    expect([lastKnown(yes, lost, true), lastKnown(yes, lost, false), lastKnown(yes, no, true), lastKnown(no, yes, true)]).toEqual([yes, lost, no, yes])
    // Opened in the background: nothing was known before.
    expect(lastKnown(asking, lost, true)).toEqual(lost)
    expect([aged(yes, yes, 86_400), aged(yes, lost, 119), aged(yes, lost, 720), aged(no, lost, 7_200), aged(yes, lost, null)]).toEqual(['Yes', 'Yes, a moment ago', 'Yes, 12 min ago', 'No, 2 h ago', 'Yes, of unknown age'])
  })
})

inBrowser('overview', () => {
  let browser: Browser
  let scratch: Scratch
  let server: Awaited<ReturnType<Scratch['serve']>>
  let events: ReturnType<typeof createEvents>
  let breakers: ReturnType<typeof createBreakers>
  const eth = deployment.markets[0]!.baseToken.toLowerCase()
  const hashOf = (number: bigint, mark = 0): string => `0x${(number + BigInt(mark) * 2n ** 64n).toString(16).padStart(64, '0')}`

  /** What the mirror writes when it steps to a block, `sec` after the book's. */
  const step = async (number: bigint, sec: number): Promise<void> => {
    await scratch.prisma.checkpoint.create({ data: { blockNumber: number, blockHash: hashOf(number), blockTimestamp: BLOCK.timestamp + BigInt(sec), rowCount: 1 } })
    await scratch.prisma.replayStatus.update({ where: { id: 1 }, data: { blockNumber: number } })
  }
  const liquidation = (id: string, account: number, block: bigint, usdE18: bigint) => scratch.prisma.liquidation.create({ data: { id, accountId: addressOf(account), marketId: eth, liquidator: addressOf(9), sizeE18: '2500000000000000000', notionalE18: String(usdE18 * 10n ** 18n), penaltyE18: '1', liquidatorFeeE18: '1', sizeAfterE18: '0', blockNumber: block, timestamp: BLOCK.timestamp + block - BLOCK.number, transactionHash: hashOf(block), logIndex: 0 } })
  const serve = (port = 0) => scratch.serve({ port, services: { risk: { events, breakers } } })
  const textOf = async (page: Page, id: string): Promise<string> => (await page.locator(`#${id}`).innerText()).replace(/\s+/g, ' ')
  const answer = async (page: Page): Promise<string> => (await page.locator('.overview-answer > p').innerText()).replace(/\s+/g, ' ')

  beforeAll(async () => {
    scratch = await startScratch({
      fill: async (prisma) => {
        await seed(prisma)
        await seedRisk(prisma)
      },
    })
    events = createEvents({ prisma: scratch.prisma, log })
    breakers = createBreakers({ prisma: scratch.prisma, deployment })
    await events.look()
    server = await serve()
    browser = await openBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    await server?.close()
    await scratch?.close()
  })

  test('behavior: every figure is the API’s own', async () => {
    type Answer = {
      markets: { symbol: string; indexPrice: { value: string }; markPrice: { value: string }; premium: number | null; openInterestLong: { value: string }; oracleAgeSec: number; depth: { buyQuote: { value: string }; sellQuote: { value: string } } }[]
      liquidationQueue: { entryCount: number; dueAccounts: number; capacityPerHour: number; buckets: { accounts: number; notional: number }[]; entries: { account: string; distance: number; value: number; requirement: number; gross: number }[] }
      insuranceFund: { capacity: { value: string }; target: { target: number; gap: number; binding: string; cover1: number; cover2: number } }
      oracleHealth: { feeds: { symbols: string[]; ageSec: number; lateSec: number; lateWhy: string; deviation: number | null; deviationLimit: number | null; stalenessLoss: number }[] }
      recommendations: { title: string; subjectLabel: string; currentDisplay: string; recommendedDisplay: string; urgency: number; reason: string }[]
    }
    const told = await queryApi<Answer>(server.url, `{
      markets { symbol indexPrice { value } markPrice { value } premium openInterestLong { value } oracleAgeSec depth { buyQuote { value } sellQuote { value } } }
      liquidationQueue { entryCount dueAccounts capacityPerHour buckets { accounts notional } entries { account distance value requirement gross } }
      insuranceFund { capacity { value } target { target gap binding cover1 cover2 } }
      oracleHealth { feeds { symbols ageSec lateSec lateWhy deviation deviationLimit stalenessLoss } }
      recommendations { title subjectLabel currentDisplay recommendedDisplay urgency reason }
    }`)
    await visit(browser, server.url, {}, async (page) => {
      await settled(page)
      const rows = async (id: string): Promise<string[]> => (await page.locator(`#${id} table[role=table] tbody tr`).allInnerTexts()).map((text) => text.replace(/\s+/g, ' '))
      const markets = await rows('markets')
      expect(markets).toHaveLength(told.markets.length)
      for (const [index, one] of told.markets.entries()) {
        const oi = size(one.openInterestLong.value)
        const depth = compact(Math.min(Number(one.depth.buyQuote.value), Number(one.depth.sellQuote.value)))
        expect(markets[index]).toMatch(new RegExp(`^${one.symbol} ${price(one.indexPrice.value)} ${price(one.markPrice.value)} .*${oi} .* ${depth} ${one.oracleAgeSec} s$`))
        expect(markets[index]).toContain(one.premium === null ? 'unknown: Needs a price of the pool and of the oracle' : signedPercent(one.premium))
      }
      const { liquidationQueue: queue, insuranceFund: fund } = told
      const money = (value: number): string => float(value, Math.abs(value) >= 1000 ? 0 : 2)
      expect(await textOf(page, 'backlog')).toContain(`Due ${queue.dueAccounts} of ${queue.entryCount} near`)
      expect(await textOf(page, 'backlog')).toContain(`${compact(queue.capacityPerHour)} USD an hour can be taken`)
      expect((await page.locator('.overview-buckets tbody tr').allInnerTexts()).map((text) => text.split('\t').slice(1, 3))).toEqual(queue.buckets.map(({ accounts, notional }) => [String(accounts), compact(notional)]))
      const entries = await rows('backlog')
      for (const [index, one] of queue.entries.entries()) for (const figure of [signedPercent(one.distance), money(one.value), money(one.requirement), money(one.gross)]) expect(entries[index]).toContain(figure)
      expect(await page.locator('#backlog table[role=table] a').first().getAttribute('href')).toBe(`/accounts/${queue.entries[0]!.account}`)
      expect(await textOf(page, 'fund')).toContain(`Fund ${usd(fund.capacity.value)} USD`)
      expect(await textOf(page, 'fund')).toContain(`Target ${money(fund.target.target)} USD by ${fund.target.binding} Gap ${money(fund.target.gap)} USD`)
      const oracles = await rows('oracles')
      for (const [index, one] of told.oracleHealth.feeds.entries()) {
        expect(oracles[index]).toMatch(new RegExp(`^${one.symbols.join(' ')} ok ${one.ageSec} / ${float(one.lateSec, 0)} s`))
        expect(await textOf(page, 'oracles')).toContain(`Limit ${float(one.lateSec, 0)} s, ${one.lateWhy}.`)
        expect(oracles[index]).toContain(one.deviation === null ? 'unknown: No market price to compare it with' : `${signedPercent(one.deviation)} / ${percent(one.deviationLimit!)}`)
      }
      const recommended = await textOf(page, 'urgent')
      for (const one of told.recommendations) expect(recommended).toMatch(new RegExp(`${one.urgency} urgency of 100 ${one.title} of ${one.subjectLabel} ${one.currentDisplay} → ${one.recommendedDisplay}.*${one.reason}`))
      expect(await textOf(page, 'underway')).toMatch(/awaiting signatures Proposal 2 1 of 2 signed Price band of vETH: 10 % → 6\.25 % 3 d left/)
    })
  })

  test('behavior: what is unknown is said with its reason, and is not safe', async () => {
    type Answer = { insuranceFund: { target: { cover1: number; simulationUnknown: { message: string } } }; liquidationQueue: { unknown: { message: string }[] } }
    const told = await queryApi<Answer>(server.url, '{ insuranceFund { target { cover1 simulationUnknown { message } } } liquidationQueue { unknown { message } } }')
    await visit(browser, server.url, {}, async (page) => {
      await settled(page)
      // 50 USD in the fund against the loss of one account; nothing is observed yet, and no closing cost of vBTC is measured.
      expect(await answer(page)).toMatch(new RegExp(`^No: the insurance fund holds 50 USD and one account can lose ${compact(told.insuranceFund.target.cover1)} USD more than it has; not known: no breaker has been observed yet; not known: .*vBTC`))
      expect(await textOf(page, 'breakers')).toContain('No breaker has been observed yet.')
      expect(await textOf(page, 'fund')).toContain(`Runway — unknown: ${told.insuranceFund.target.simulationUnknown.message}`)
      expect(await textOf(page, 'backlog')).toContain(`Not fully known. ${told.liquidationQueue.unknown[0]!.message}`)
      expect(await textOf(page, 'markets')).toContain('— unknown: Needs a price of the pool and of the oracle')
    })
  })

  test('behavior: a breaker, a liquidation, a recommendation and a proposal show without a reload, what was before is listed, and an interruption loses nothing', async () => {
    await visit(browser, server.url, { allowed: /ERR_CONNECTION|ERR_EMPTY_RESPONSE|WebSocket/ }, async (page) => {
      await settled(page)
      await page.evaluate(() => { (globalThis as { isSame?: boolean }).isSame = true })
      const feed = page.locator('.overview-feed li')
      const feedText = (): Promise<string> => textOf(page, 'happened')
      // Of the book: five liquidations, three drafts, and two recommendations of one run.
      await feed.nth(8).waitFor()
      expect(await feed.count()).toBe(9)
      expect(await feedText()).toMatch(/recommended Maintenance margin of protocol 6\.25 % → 7 %, urgency 90, and 1 more/)

      // vETH's price is five heartbeats old, in two blocks.
      await step(1001n, 6_000)
      await breakers.observe()
      await step(1002n, 6_002)
      await breakers.observe()
      await events.look()
      await eventually(feedText, /■ HALT vETH from NORMAL: age of the price in heartbeats/)
      await eventually(() => answer(page), /^No: .*vETH.* stands? at HALT/)
      await eventually(() => textOf(page, 'breakers'), /vETH ■ HALT .*5\.03×/)
      expect(await textOf(page, 'breakers')).toMatch(/HALT is latched\. It stays until a steward or an owner of the Safe has found the cause gone and lifts it/)
      expect(await page.locator('#breakers .overview-raised a').first().getAttribute('href')).toMatch(/^\/breakers#breaker-/)
      await eventually(() => page.title(), /^■ No · Overview · Bulwark$/)

      await liquidation('0xbeef', 4, 1003n, 5_000n)
      await step(1003n, 6_003)
      await events.look()
      await eventually(feedText, /liquidated 0x000000…000004 2\.500 vETH, 5,000\.00 USD/)

      const { id: _id, runId: _runId, ...row } = await scratch.prisma.recommendation.findFirstOrThrow({ where: { runId: '1000-aaaa', parameter: 'marketMaxPriceSpreadRatio' } })
      const block = { blockNumber: 1003n, blockHash: hashOf(1003n), blockTimestamp: BLOCK.timestamp + 6_003n }
      await scratch.prisma.recommendationRun.create({ data: { id: '1003-cccc', ...block, inputsDigest: 'dd'.repeat(32), codeVersion: '1', inputs: {} } })
      await scratch.prisma.recommendation.create({ data: { ...row, inputs: {}, evidence: [], adjustments: [], id: '1003-cccc:x', runId: '1003-cccc', recommended: '50000', urgency: 99 } })
      await events.look()
      await eventually(feedText, /recommended Price band of vETH 10 % → 5 %, urgency 99(?!, and)/)
      await eventually(() => textOf(page, 'urgent'), /99 urgency of 100 Price band of vETH 10 % → 5 %/)

      await scratch.prisma.proposal.update({ where: { id: 'p2' }, data: { state: 'READY', events: { create: [{ fromState: 'AWAITING_SIGNATURES', toState: 'READY', note: 'The second owner signed' }] } } })
      await events.look()
      await eventually(feedText, /ready Proposal 2: The second owner signed/)
      await eventually(() => textOf(page, 'underway'), /ready Proposal 2 signed: anybody can execute it/)

      // The API is away while an account is liquidated; it comes back at the same address, and the page goes on by itself.
      const { port } = server
      await server.close()
      await page.getByText('The API does not answer.').waitFor()
      await eventually(() => answer(page), /the API does not answer, so nothing newer is known/)
      await liquidation('0xcafe', 5, 1004n, 7_000n)
      await step(1004n, 6_004)
      events = createEvents({ prisma: scratch.prisma, log })
      await events.look()
      server = await serve(port)
      await eventually(feedText, /liquidated 0x000000…000005 2\.500 vETH, 7,000\.00 USD/)
      await page.getByText('The API does not answer.').waitFor({ state: 'detached' })
      const liquidated = (await feed.allInnerTexts()).filter((text) => text.includes('5,000.00 USD') || text.includes('7,000.00 USD'))
      expect(liquidated).toHaveLength(2)

      // Block 1005 is told, and taken back: what it held is void, and what takes its place does not hold it.
      await liquidation('0xf00d', 1, 1005n, 9_000n)
      await step(1005n, 6_005)
      await events.look()
      await eventually(feedText, /9,000\.00 USD/)
      await scratch.prisma.liquidation.delete({ where: { id: '0xf00d' } })
      await scratch.prisma.checkpoint.delete({ where: { blockNumber: 1005n } })
      await scratch.prisma.checkpoint.create({ data: { blockNumber: 1006n, blockHash: hashOf(1006n, 1), blockTimestamp: BLOCK.timestamp + 6_006n, rowCount: 1 } })
      await scratch.prisma.replayStatus.update({ where: { id: 1 }, data: { blockNumber: 1006n } })
      await events.look()
      await page.getByText('The chain was reorganised.').waitFor()
      await eventually(feedText, /reorganised The chain took back what stood above block 1,004; block 1,006 is served now/)
      await eventually(async () => ((await feedText()).includes('9,000.00') ? 'still there' : 'gone'), /^gone$/)
      await page.getByRole('button', { name: 'Seen' }).click()
      expect(await page.getByText('The chain was reorganised.').count()).toBe(0)
      expect(await feedText()).toContain('7,000.00 USD')
      expect(await page.evaluate(() => (globalThis as { isSame?: boolean }).isSame)).toBe(true)
    })
  })

  test.each([[1440, 900], [390, 844]])('behavior: with a HALT and much unknown it fits %d px, light and dark, and axe finds nothing serious', async (width, height) => {
    await visit(browser, server.url, { viewport: { width, height } }, async (page) => {
      await settled(page)
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme })
        expect({ colorScheme, cut: await cutOff(page), findings: await axeFindings(page) }).toEqual({ colorScheme, cut: [], findings: [] })
      }
    })
  })

  test('behavior: an answer that cannot be renewed is not known, with what it last said; the index may stand still without a word and is seen to', async () => {
    let isStill = false
    await visit(browser, server.url, {
      allowed: /status of 503/,
      before: async (page) => {
        // Blocks and events are no longer told, while the connection stays open.
        await page.routeWebSocket(/graphql/, (socket) => {
          const upstream = socket.connectToServer()
          upstream.onMessage((message) => { if (!isStill || !String(message).includes('"type":"next"')) socket.send(message) })
        })
      },
    }, async (page) => {
      await settled(page)
      isStill = true
      const ageText = (): Promise<string> => page.locator('.standing .age').innerText()
      const before = await ageText()
      await page.waitForFunction((text) => document.querySelector<HTMLElement>('.standing .age')?.innerText !== text, before)
      // What the mirror writes of itself reaches the page without an event.
      await scratch.prisma.mirrorStatus.update({ where: { id: 1 }, data: { state: 'FOLLOWING', updatedAt: new Date() } })
      await page.locator('.shell-trouble b', { hasText: /^mirror is/ }).waitFor({ state: 'detached' })
      await scratch.prisma.mirrorStatus.update({ where: { id: 1 }, data: { state: 'CATCHING_UP', updatedAt: new Date() } })
      await page.locator('.shell-trouble b', { hasText: /^mirror is degraded/ }).waitFor()
      await eventually(() => answer(page), /mirror is degraded, so figures may be missing or old/)

      isStill = false
      await page.route('**/graphql', async (route) => (route.request().postData()?.includes('OverviewQueue') === true ? route.fulfill({ status: 503, contentType: 'application/json', body: '{"errors":[{"message":"Found no worker, wait for one","extensions":{"code":"UNAVAILABLE"}}]}' }) : route.continue()))
      await step(1007n, 6_010)
      await events.look()
      await eventually(() => answer(page), /liquidations cannot be asked for again: Found no worker, wait for one; before that /)
      expect(await textOf(page, 'backlog')).toMatch(/Found no worker, wait for one\. What stands below is the last that came\./)
    })
  })

  test('behavior: a part of the page that cannot be loaded says so and leaves the rest', async () => {
    await visit(browser, server.url, { allowed: /ERR_FAILED|Failed to fetch|preload/ }, async (page) => {
      await settled(page)
      await page.route(/assets\/(Palette|Stress|Session)-/, (route) => route.abort())
      await page.keyboard.press('/')
      await page.getByText('This part of the page failed.').waitFor()
      await page.getByRole('button', { name: 'Sign in' }).click()
      await eventually(async () => String(await page.getByText('This part of the page failed.').count()), /^2$/)
      await page.keyboard.press('Escape')
      await page.getByRole('link', { name: 'Stress' }).click()
      await page.locator('main').getByText('This part of the page failed.').waitFor()
      expect(await page.locator('.standing .block').innerText()).toMatch(/Block 1,00\d/)
      await page.getByRole('link', { name: 'Overview' }).click()
      await page.locator('#backlog').waitFor()
    })
  })

  test('behavior: what a key asks for and is still on its way is said to be', async () => {
    let arrive = (): void => {}
    const held = new Promise<void>((resolve) => { arrive = resolve })
    await visit(browser, server.url, {}, async (page) => {
      await settled(page)
      await page.route('**/assets/Palette-*.js', async (route) => { await held; await route.fallback() })
      await page.keyboard.press('/')
      await page.getByRole('status').filter({ hasText: /^Loading …$/ }).waitFor()
      arrive()
      await page.getByRole('combobox').waitFor()
      expect(await page.getByRole('status').filter({ hasText: /^Loading …$/ }).count()).toBe(0)
    })
  })

  test('behavior: a recommendation goes into the basket and out of it', async () => {
    await visit(browser, server.url, {}, async (page) => {
      await settled(page)
      await page.getByRole('button', { name: /^Add to proposal: vETH Price band/ }).click()
      await eventually(() => page.locator('nav.pages').innerText(), /Proposals\s*1/)
      await page.reload()
      await page.getByRole('button', { name: /^Undo: .*vETH Price band/ }).click()
      await eventually(() => page.locator('nav.pages').innerText(), /Proposals$/)
    })
  })

  test('behavior: keys lead to pages, a few letters find a parameter and an address its account; they can be turned off, and never act while one types', async () => {
    await visit(browser, server.url, {}, async (page) => {
      await settled(page)
      const at = (path: RegExp): Promise<void> => eventually(async () => (await hrefOf(page)).pathname, path)
      /** One right after the other: what comes later is no second of two. */
      const pair = async (first: string, second: string): Promise<void> => void (await Promise.all([page.keyboard.press(first), page.keyboard.press(second)]))
      await pair('g', 'm')
      await at(/^\/markets$/)
      await page.keyboard.press('/')
      await page.getByRole('option', { name: /Price band of vBTC/ }).waitFor({ state: 'attached' })
      await page.locator('[role=combobox]:focus').waitFor()
      await page.keyboard.type('band of vb')
      await page.keyboard.press('Enter')
      await at(/^\/parameters\/marketMaxPriceSpreadRatio\/0x/)
      await page.keyboard.press('Control+k')
      await page.getByRole('combobox').fill(addressOf(3))
      await page.getByRole('option', { name: new RegExp(addressOf(3)) }).waitFor()
      await page.keyboard.press('Enter')
      await at(new RegExp(`^/accounts/${addressOf(3)}$`))
      await page.keyboard.press('?')
      await page.getByLabel(/Single keys lead somewhere/).uncheck()
      await page.keyboard.press('Escape')
      await page.getByRole('dialog').waitFor({ state: 'detached' })
      await pair('g', 'f')
      await page.keyboard.press('Control+k')
      await page.getByRole('combobox').fill('insurance no such')
      await page.getByText('Nothing by these letters.').waitFor()
      await at(new RegExp(`^/accounts/${addressOf(3)}$`))
    })
  })

  test('behavior: before the first indexed block it is not known, and every part says what to wait for', async () => {
    const empty = await startScratch({ fill: async () => {} })
    try {
      await visit(browser, empty.url, {}, async (page) => {
        await settled(page)
        expect(await answer(page)).toMatch(/^Not known: .*no breaker has been observed yet; .*no block has been indexed yet/)
        const text = await page.locator('main').innerText()
        for (const sentence of ['No market is indexed yet.', 'No breaker has been observed yet.', 'No price feed is indexed yet.', 'The fund has not been indexed yet.', 'No run has finished yet.', 'No proposal yet.', 'Nothing yet.']) expect(text).toContain(sentence)
        expect(await cutOff(page)).toEqual([])
      })
    } finally {
      await empty.close()
    }
  })
})
