/** What the models ask for, what it stands on, the basket, parameters, the audit log and the query page: words and figures are the API's. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Browser, Page } from 'playwright-core'
import { createEvents } from '../../api/graphql/events.ts'
import { runRecommendations } from '../../api/recommendations/index.ts'
import { queryApi } from '../../cli/graphql.ts'
import { onAxis, range, step, unscaled } from '../../console/parameters/values.ts'
import { evidenceChart } from '../../console/recommendations/evidence.ts'
import { curie } from '../../protocols/curie/index.ts'
import { BLOCK, deployment, log, seed } from '../graphql/support.ts'
import { seedRisk } from '../graphql/risk-support.ts'
import { axeFindings, chooseOf, cutOff, eventually, hrefOf, inBrowser, openBrowser, visit } from './browser.ts'
import { startScratch, type Scratch } from './scratch.ts'

const RATIO = { unit: '%', inputDecimals: 4, zeroMeansRaw: null, zeroWords: null }
const USDC = { unit: 'USDC', inputDecimals: 6, zeroMeansRaw: null, zeroWords: null }

describe('values of parameters', () => {
  test('behavior: a step is told in the unit that people write, exact, and in relation to the value', () => {
    expect(step('250000', '125000', RATIO)).toBe('−12.5 points (−50 %)')
    expect(step('300000000000', '370000000000', USDC)).toBe('+70,000 USDC (+23 %)')
    expect(step('62500', '62500', RATIO)).toBe('none')
    // From nothing there is no relation; an address has no step.
    expect(step('0', '500', { unit: 'ticks', inputDecimals: 0, zeroMeansRaw: null, zeroWords: null })).toBe('+500 ticks')
    expect(step('1', '2', { unit: 'address', inputDecimals: null, zeroMeansRaw: null, zeroWords: null })).toBeNull()
    expect(unscaled('38012433133529641501', 18)).toBe('38.012433133529641501')
  })

  test('behavior: a step has all places of the difference, and none is told as nothing', () => {
    const weth = { unit: 'WETH', inputDecimals: 18, zeroMeansRaw: null, zeroWords: null }
    expect(step('1000000000000000000', '1000000000000000001', weth)).toBe('+0.000000000000000001 WETH (less than 0.01 %)')
    expect(step('1000000000000000001', '1000000000000000000', weth)).toBe('−0.000000000000000001 WETH (less than 0.01 %)')
    // 1 of 1,000 is 0.1 %; 1 of 2,000 is 0.05 %; 101 times as much is 10,000 % more, 102 times is above that.
    expect(step('1000', '1001', USDC)).toBe('+0.000001 USDC (+0.1 %)')
    expect(step('2000', '1999', USDC)).toBe('−0.000001 USDC (−0.05 %)')
    expect(step('1', '101', USDC)).toBe('+0.0001 USDC (+10,000 %)')
    expect(step('1', '102', USDC)).toBe('+0.000101 USDC (more than 10,000 %)')
  })

  test('behavior: a raw 0 that means something else has the place and the step of that', () => {
    // As a price band: a raw 0 is 10 %, so that 20 % → 0 halves it.
    const band = { unit: '%', inputDecimals: 4, zeroMeansRaw: '100000', zeroWords: null }
    expect(step('200000', '0', band)).toBe('−10 points (−50 %)')
    expect(step('0', '50000', band)).toBe('−5 points (−50 %)')
    expect(step('100000', '0', band)).toBe('none')
    expect(onAxis('0', band)).toBe(10)
    expect(onAxis('0', RATIO)).toBe(0)
  })

  test('behavior: a raw 0 that is no value of its own has no place, and no step from it or to it', () => {
    const threshold = { ...USDC, zeroWords: 'no distribution' }
    expect([step('0', '500', threshold), step('500', '0', threshold), step('0', '0', threshold)]).toEqual(['switched', 'switched', 'none'])
    expect(step('500', '1000', threshold)).toBe('+0.0005 USDC (+100 %)')
    expect([onAxis('0', threshold), onAxis('2000000', threshold)]).toEqual([null, 2])
  })

  test('behavior: bounds say where there is none', () => {
    expect(range('0', '1000000', 4, '%')).toBe('0 to 100 %')
    expect(range('0', String(2n ** 256n - 1n), 6, 'USDC')).toBe('from 0 USDC, no upper limit')
    expect(range(null, '50000', 4, '%')).toBe('at most 5 %')
    expect(range(null, null, 4, '%')).toBe('any')
  })
})

describe('what the evidence shows', () => {
  const evidence = (rows: readonly (readonly [string, string])[]) => rows.map(([label, value]) => ({ label, value, unit: '', source: 's' }))

  test('behavior: the terms of a margin stand in one bar where they add up to it', () => {
    const chart = evidenceChart({ model: 'dynamic-margin', parameter: 'mmRatio', currentDisplay: '6.25 %', recommendedDisplay: '7.8 %', evidence: evidence([['ES 99 % over 6.5 h now', '10.39 %'], ['ES 99 % over 6.5 h at the window’s volatility', '17.43 %'], ['Impact of closing', '8.87 %'], ['Liquidation penalty', '2.5 %'], ['Asked for by vETH', '18.3 %'], ['Asked for by vOP', '28.8 %']]) })
    // 17.43 + 8.87 + 2.5 = 28.80
    expect(chart?.bars[0]).toEqual({ label: 'vOP: what adds up', parts: [{ name: 'ES 99 % over 6.5 h at the window’s volatility', value: 17.43, text: '17.43 %' }, { name: 'Impact of closing', value: 8.87, text: '8.87 %' }, { name: 'Liquidation penalty', value: 2.5, text: '2.5 %' }] })
    expect(chart?.levels.map(({ value }) => value)).toEqual([6.25, 7.8])
  })

  test('behavior: ticks are drawn as the move that they allow, and what is unknown is named, not drawn', () => {
    const chart = evidenceChart({ model: 'volatility-band-ticks', parameter: 'maxTickCrossedWithinBlock', currentDisplay: '1,000 ticks', recommendedDisplay: '500 ticks', evidence: evidence([['5-minute volatility now', '0.23 %'], ['5-minute volatility of the window', '0.4 %'], ['Spread that 95 % of trades stay within', 'unknown'], ['Volatilities in the band', '6'], ['Narrowest band', '2 %']]) })
    // 1.0001^1000 − 1 = 10.5165 %, √1.105165 − 1 = 5.1268 %; 6 · 0.4 = 2.4.
    expect(chart?.levels.map(({ value }) => value.toFixed(4))).toEqual(['10.5165', '5.1268'])
    expect(chart?.bars.find(({ label }) => label.startsWith('6 ×'))?.parts[0]?.value).toBeCloseTo(2.4, 10)
    expect(chart?.missing).toEqual(['Spread that 95 % of trades stay within: unknown (s)'])
    expect(evidenceChart({ model: 'of-tomorrow', parameter: 'x', currentDisplay: '1', recommendedDisplay: '2', evidence: [] })).toBeNull()
  })
})

type Told = { id: string; parameter: string; subject: string; subjectLabel: string; title: string; currentRaw: string; currentDisplay: string; recommendedRaw: string; recommendedDisplay: string; direction: string; urgency: number; confidence: number; reason: string; model: string; modelVersion: string; settable: boolean; advisory: string | null; block: { number: string }; evidence: { label: string; value: string; unit: string; source: string }[]; adjustments: { step: string; from: string; to: string; why: string }[] }

inBrowser('recommendations', () => {
  let browser: Browser
  let scratch: Scratch
  let server: Awaited<ReturnType<Scratch['serve']>>
  let events: ReturnType<typeof createEvents>
  const told = async (): Promise<Told[]> => (await queryApi<{ recommendations: Told[] }>(server.url, '{ recommendations { id parameter subject subjectLabel title currentRaw currentDisplay recommendedRaw recommendedDisplay direction urgency confidence reason model modelVersion settable advisory block { number } evidence { label value unit source } adjustments { step from to why } } }')).recommendations
  const rowsOf = (page: Page, name: string) => page.getByRole('table', { name }).getByRole('row')
  const basketOf = (page: Page): Promise<unknown[]> => page.evaluate(() => JSON.parse(localStorage.getItem('bulwark.basket') ?? '[]') as unknown[])
  const of = (one: Told): string => `/recommendations/${encodeURIComponent(one.id)}`

  beforeAll(async () => {
    scratch = await startScratch({
      fill: async (prisma) => {
        await seed(prisma)
        await seedRisk(prisma)
        await prisma.recommendationRun.deleteMany()
        // Changed long ago: nothing is held by its cooldown.
        await prisma.parameter.updateMany({ data: { updatedAtTimestamp: BLOCK.timestamp - 40n * 86_400n } })
        await runRecommendations({ prisma, protocol: curie, deployment })
      },
    })
    events = createEvents({ prisma: scratch.prisma, log })
    await events.look()
    server = await scratch.serve({ services: { risk: { events } } })
    browser = await openBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    await server?.close()
    await scratch?.close()
  })

  test('behavior: the list is the API’s latest run, most urgent first, with the words and figures of each', async () => {
    const all = await told()
    const asked = all.filter(({ direction }) => direction !== 'HOLD')
    expect(asked.length).toBeGreaterThan(2)
    await visit(browser, `${server.url}/recommendations`, {}, async (page) => {
      const rows = rowsOf(page, 'Changes asked for')
      await rows.nth(asked.length).waitFor()
      const texts = (await rows.allInnerTexts()).slice(1)
      expect(texts).toHaveLength(asked.length)
      for (const [index, one] of asked.entries()) {
        for (const word of [one.title, one.subjectLabel, `${one.reason}.`, `${one.currentDisplay} → ${one.recommendedDisplay}`, String(one.urgency), `${(one.confidence * 100).toFixed(0)} %`, `${one.model} ${one.modelVersion}`, `block ${Number(one.block.number).toLocaleString('en')}`]) expect(texts[index]).toContain(word)
      }
      await page.getByText(`Held: ${all.length - asked.length}`).click()
      const held = (await rowsOf(page, 'Held').allInnerTexts()).join('\n')
      for (const one of all.filter(({ direction }) => direction === 'HOLD')) for (const word of [one.adjustments.at(-1)?.why ?? one.reason, ...(one.settable ? [] : [`It cannot be set: ${one.advisory!.replace('advisory: ', '')}.`])]) expect(held).toContain(word)
      const { parameterModels } = await queryApi<{ parameterModels: { title: string; reason: string | null }[] }>(server.url, '{ parameterModels { title reason } }')
      await page.getByText('Parameters that no model recommends').first().click()
      await eventually(async () => (await rowsOf(page, 'Parameters that no model recommends').allInnerTexts()).join('\n'), /feed/)
      const without = (await rowsOf(page, 'Parameters that no model recommends').allInnerTexts()).join('\n')
      for (const reason of parameterModels.flatMap((one) => (one.reason === null ? [] : [one.reason]))) expect(without).toContain(reason)
    })
  })

  test('behavior: filters stand in the address and survive a reload', async () => {
    const asked = (await told()).filter(({ direction, subjectLabel }) => direction === 'TIGHTEN' && subjectLabel === 'vETH')
    await visit(browser, `${server.url}/recommendations`, {}, async (page) => {
      await page.locator('.controls select').nth(0).selectOption('vETH')
      await page.locator('.controls select').nth(1).selectOption('TIGHTEN')
      expect((await hrefOf(page)).search).toBe('?subject=vETH&direction=TIGHTEN')
      await page.reload()
      await eventually(async () => String(await rowsOf(page, 'Changes asked for').count()), new RegExp(`^${asked.length + 1}$`))
      await page.getByPlaceholder('Parameter, market').fill('nothing of the kind')
      await page.getByText('No change that fits the filter.').waitFor()
      await page.getByRole('button', { name: 'Clear' }).click()
      expect((await hrefOf(page)).search).toBe('')
    })
  })

  test('behavior: opened by the keyboard, it shows its sentence, every piece of evidence with its source, and the steps in order', async () => {
    const [one] = (await told()).filter(({ adjustments }) => adjustments.length > 0)
    await visit(browser, `${server.url}/recommendations`, {}, async (page) => {
      const link = page.getByRole('row').filter({ hasText: one!.reason }).getByRole('link').first()
      await link.focus()
      await page.keyboard.press('Enter')
      // The list that it was opened from says the same sentence.
      await rowsOf(page, 'Evidence').nth(one!.evidence.length).waitFor()
      await rowsOf(page, 'Adjustments, in order').nth(one!.adjustments.length).waitFor()
      await page.getByText(`${one!.reason}.`).first().waitFor()
      expect(decodeURIComponent((await hrefOf(page)).pathname)).toBe(`/recommendations/${one!.id}`)
      const evidence = await rowsOf(page, 'Evidence').allInnerTexts()
      expect(evidence).toHaveLength(one!.evidence.length + 1)
      for (const [index, piece] of one!.evidence.entries()) for (const word of [piece.label, piece.value, piece.source]) expect(evidence[index + 1]).toContain(word)
      const steps = await rowsOf(page, 'Adjustments, in order').allInnerTexts()
      for (const [index, adjusted] of one!.adjustments.entries()) for (const word of [adjusted.step, adjusted.from, adjusted.to, adjusted.why]) expect(steps[index + 1]).toContain(word)
      // Raw values as a signer compares them.
      expect(await page.locator('.recommendation-head').innerText()).toMatch(new RegExp(`raw ${one!.currentRaw}[\\s\\S]*raw ${one!.recommendedRaw}`))
      // What the chart draws, as a table.
      await chooseOf(page, 'From the model’s value', 'Show as a table')
      const drawn = await page.getByRole('region', { name: 'From the model’s value to the recommended one, as a table' }).innerText()
      expect(drawn).toContain(one!.adjustments[0]!.from)
      expect(drawn).toContain(one!.recommendedDisplay)
    })
  })

  test('behavior: recompute says that it is identical, and that the index was not asked', async () => {
    const [one] = await told()
    await visit(browser, `${server.url}${of(one!)}`, {}, async (page) => {
      await page.getByRole('button', { name: 'Recompute' }).click()
      const panel = page.locator('#recompute')
      await eventually(() => panel.innerText(), /Identical\.[\s\S]*could not be compared with the chain’s index: it is not asked/)
      const { recomputeRecommendation } = await queryApi<{ recomputeRecommendation: { inputsDigest: string } }>(server.url, `{ recomputeRecommendation(id: "${one!.id}") { inputsDigest } }`)
      expect(await panel.innerText()).toContain(recomputeRecommendation.inputsDigest)
    })
  })

  test('error: a stored row that somebody changed differs, and the page says in which field', async () => {
    const one = (await told()).find(({ parameter }) => parameter === 'imRatio')!
    await scratch.prisma.recommendation.update({ where: { id: one.id }, data: { reason: 'Trust me' } })
    try {
      await visit(browser, `${server.url}${of(one)}`, {}, async (page) => {
        await page.getByText('Trust me.').first().waitFor()
        await page.getByRole('button', { name: 'Recompute' }).click()
        await eventually(() => page.locator('#recompute').innerText(), /It differs\.[\s\S]*reason: stored "Trust me"/)
      })
    } finally {
      await scratch.prisma.recommendation.update({ where: { id: one.id }, data: { reason: one.reason } })
    }
  })

  test('behavior: a change goes into the basket with its exact values, stays over a reload, is seen by another tab, and comes out by undo', async () => {
    const one = (await told()).find(({ settable, direction }) => settable && direction !== 'HOLD')!
    await visit(browser, `${server.url}/recommendations`, {}, async (page) => {
      const row = page.getByRole('row').filter({ hasText: `${one.title} ${one.subjectLabel}` })
      const other = await page.context().newPage()
      await other.goto(`${server.url}${of(one)}`)
      await other.getByRole('button', { name: /^Add to proposal/ }).waitFor()
      await row.getByRole('button', { name: /^Add to proposal/ }).focus()
      await page.keyboard.press('Enter')
      await row.getByText('In the basket').waitFor()
      // Whoever works by the keyboard goes on from where they were.
      expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Undo')
      await other.getByText('✓ In the basket').waitFor()
      expect(await basketOf(page)).toEqual([{ recommendationId: one.id, parameter: one.parameter, subject: one.subject, subjectLabel: one.subjectLabel, title: one.title, fromRaw: one.currentRaw, fromDisplay: one.currentDisplay, toRaw: one.recommendedRaw, toDisplay: one.recommendedDisplay }])
      await page.reload()
      await row.getByText('In the basket').waitFor()
      await row.getByRole('button', { name: /^Undo/ }).click()
      await row.getByRole('button', { name: /^Add to proposal/ }).waitFor()
      await other.getByRole('button', { name: /^Add to proposal/ }).waitFor()
      expect(await basketOf(page)).toEqual([])
      await other.close()
    })
  })

  test('behavior: what cannot be set has no way into the basket', async () => {
    const one = (await told()).find(({ settable }) => !settable)!
    await visit(browser, `${server.url}${of(one)}`, {}, async (page) => {
      await page.getByText('It cannot be set').waitFor()
      expect(await page.getByRole('button', { name: /^Add to proposal/ }).count()).toBe(0)
      expect(await page.locator('.recommendation-head').innerText()).toContain(one.advisory!.replace('advisory: ', ''))
    })
  })

  test('behavior: runs that held a parameter stand beside those that asked for a change, with block and reason, on both pages', async () => {
    const band = (await told()).find(({ parameter, direction }) => parameter === 'marketMaxPriceSpreadRatio' && direction !== 'HOLD')!
    const row = await scratch.prisma.recommendation.findUniqueOrThrow({ where: { id: band.id } })
    const run = await scratch.prisma.recommendationRun.findUniqueOrThrow({ where: { id: row.runId } })
    const at = run.blockTimestamp - 7_200n
    await scratch.prisma.recommendationRun.create({ data: { ...run, inputs: {}, id: 'held', blockNumber: 940n, blockTimestamp: at } })
    await scratch.prisma.recommendation.create({ data: { ...row, inputs: {}, evidence: [], adjustments: [], id: 'held:band', runId: 'held', recommended: row.current, direction: 'HOLD', urgency: 0, reason: 'The band would be 10.3 %; held (deadband: too small a step)' } })
    try {
      for (const path of [of(band), `/parameters/${band.parameter}/${band.subject}`]) {
        await visit(browser, `${server.url}${path}`, {}, async (page) => {
          const rows = rowsOf(page, 'Earlier recommendations')
          await rows.nth(2).waitFor()
          const [, newest, held] = (await rows.allInnerTexts()).map((text) => text.replace(/\s+/g, ' '))
          expect(newest).toMatch(new RegExp(`^1,000 .*${band.currentDisplay} → ${band.recommendedDisplay} .*${band.direction.toLowerCase()}`))
          expect(held).toMatch(new RegExp(`^940 .*held at ${band.currentDisplay} = hold The band would be 10\\.3 %; held \\(deadband: too small a step\\)$`))
          const chart = `${band.title}, ${band.subjectLabel}`
          expect(await page.getByRole('img', { name: `${chart}.` }).getAttribute('aria-label')).toContain('Of 2 runs that are kept 1 asked for a change and 1 held it.')
          await chooseOf(page, chart, 'Show as a table')
          expect((await page.getByRole('region', { name: `${chart}, as a table` }).innerText()).split('\n').map((line) => line.split('\t'))).toContainEqual([String(at), 'held', band.currentDisplay, '940', 'The band would be 10.3 %; held (deadband: too small a step)'])
        })
      }
    } finally {
      await scratch.prisma.recommendationRun.delete({ where: { id: 'held' } })
    }
  })

  test('behavior: a newer run is announced and replaces nothing until it is taken over; then what changed is marked', async () => {
    const before = await told()
    const band = before.find(({ parameter, direction }) => parameter === 'marketMaxPriceSpreadRatio' && direction !== 'HOLD')!
    await visit(browser, `${server.url}/recommendations`, {}, async (page) => {
      const row = page.getByRole('row').filter({ hasText: band.subjectLabel }).filter({ hasText: band.title })
      await row.first().waitFor()
      // Governance widened the band, and the mirror stepped on.
      await scratch.prisma.parameter.updateMany({ where: { name: band.parameter, subject: band.subject }, data: { value: '150000' } })
      await scratch.prisma.checkpoint.create({ data: { blockNumber: BLOCK.number + 1n, blockHash: `0x${'ab'.repeat(32)}`, blockTimestamp: BLOCK.timestamp + 2n, rowCount: 1 } })
      await scratch.prisma.replayStatus.update({ where: { id: 1 }, data: { blockNumber: BLOCK.number + 1n } })
      await runRecommendations({ prisma: scratch.prisma, protocol: curie, deployment })
      await events.look()
      const notice = page.locator('.recommendations-run')
      await eventually(() => notice.innerText(), /Newer: block 1,001, .*1 changed/)
      expect(await row.first().innerText()).toContain(`${band.currentDisplay} → ${band.recommendedDisplay}`)
      await notice.getByRole('button', { name: 'Show it' }).click()
      const after = (await told()).find(({ parameter, subject }) => parameter === band.parameter && subject === band.subject)!
      expect(after.currentDisplay).toBe('15 %')
      await eventually(() => row.first().innerText(), new RegExp(`changed[\\s\\S]*15 % → ${after.recommendedDisplay}`))
      expect(await notice.innerText()).toContain('It is the latest.')
      // Looked at: no mark when the page is opened again.
      await page.reload()
      await row.first().waitFor()
      expect(await row.first().innerText()).not.toContain('changed')
      // The older run's page says that it is overtaken, and by what.
      await page.goto(`${server.url}${of(band)}`)
      await eventually(() => page.locator('main').innerText(), new RegExp(`asks for something else: 15 % → ${after.recommendedDisplay}[\\s\\S]*It is 15 % by now`))
    })
  })

  test('behavior: parameters are the API’s, each with raw value, limits, history and the way to change it', async () => {
    type Parameter = { name: string; title: string; subject: string; subjectLabel: string; raw: string; display: string; settable: boolean; bounds: { note: string | null } }
    const { parameters, parameter } = await queryApi<{ parameters: Parameter[]; parameter: Parameter & { history: { nodes: { newDisplay: string; oldDisplay: string | null }[] } } }>(server.url, `{ parameters { name title subject subjectLabel raw display settable bounds { note } } parameter(name: "marketMaxPriceSpreadRatio", subject: "vETH") { name title subject subjectLabel raw display settable bounds { note } history { nodes { newDisplay oldDisplay } } } }`)
    await visit(browser, `${server.url}/parameters`, {}, async (page) => {
      const rows = rowsOf(page, 'Parameters')
      await rows.nth(parameters.length).waitFor()
      const texts = (await rows.allInnerTexts()).slice(1)
      for (const [index, one] of parameters.entries()) for (const word of [one.title, one.name, one.subjectLabel, ...(one.display.startsWith('0x') ? [one.display.slice(0, 8)] : [one.display])]) expect(texts[index]).toContain(word)
      await page.getByPlaceholder('Name, subject, description').fill('spread')
      await eventually(async () => String(await rows.count()), /^4$/)
      await page.getByRole('link', { name: 'Change Price band of vETH' }).focus()
      expect(await page.getByRole('link', { name: 'Change Price band of vETH' }).getAttribute('href')).toBe(`/proposals/new?parameter=marketMaxPriceSpreadRatio&subject=${parameter.subject}`)
      await page.getByRole('row').filter({ hasText: 'vETH' }).getByRole('link').first().click()
      await page.getByText('Change by hand').waitFor()
      await eventually(() => page.locator('.parameter-head').innerText(), new RegExp(`${parameter.display}[\\s\\S]*raw ${parameter.raw}`))
      await rowsOf(page, 'Changes').nth(parameter.history.nodes.length).waitFor()
      const changes = (await rowsOf(page, 'Changes').allInnerTexts()).slice(1)
      for (const [index, change] of parameter.history.nodes.entries()) expect(changes[index]).toContain(`${change.oldDisplay ?? '—'} → ${change.newDisplay}`)
      expect(await page.locator('#limits').innerText()).toContain(parameter.bounds.note!)
    })
  })

  test('behavior: the audit log shows who tried what, also nobody, and filters by address and subject', async () => {
    await fetch(`${server.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query: 'mutation { resetBreaker(subject: "vETH", why: "no reason") { level } }' }) })
    type Entry = { action: string; subject: string | null; outcome: string; hash: string }
    const { auditLog } = await queryApi<{ auditLog: { nodes: Entry[] } }>(server.url, '{ auditLog { nodes { action subject outcome hash } } }')
    expect(auditLog.nodes[0]).toMatchObject({ action: 'resetBreaker', outcome: 'UNAUTHENTICATED' })
    await visit(browser, `${server.url}/audit`, {}, async (page) => {
      const rows = rowsOf(page, 'Entries')
      await rows.nth(1).waitFor()
      expect(await rows.nth(1).innerText()).toMatch(/nobody signed in[\s\S]*resetBreaker[\s\S]*unauthenticated/)
      expect(await rows.nth(1).innerText()).toContain(auditLog.nodes[0]!.hash.slice(0, 10))
      await page.getByPlaceholder('0x…').fill('0x12')
      await page.getByText('Found 4 characters, allowed is a whole address').waitFor()
      await page.getByText('No entry is asked for').waitFor()
      await page.getByPlaceholder('0x…').fill(`0x${'12'.repeat(20)}`)
      await page.getByText('No entry fits the filter.').waitFor()
      await page.getByPlaceholder('0x…').fill('')
      await page.getByPlaceholder('Proposal’s id').fill(auditLog.nodes[0]!.subject!)
      await rows.nth(1).waitFor()
      expect((await hrefOf(page)).searchParams.get('subject')).toBe(auditLog.nodes[0]!.subject)
    })
  })

  test('behavior: the query page runs a query by the keyboard, shows the API’s refusal, finds words in the schema, and gives a link', async () => {
    await visit(browser, `${server.url}/graphql`, { allowed: /status of 400/ }, async (page) => {
      await page.getByRole('heading', { level: 1, name: 'Query the API' }).waitFor()
      const query = page.getByLabel('GraphQL query')
      await query.fill('query($first: Int) { accounts(first: $first) { totalCount nodes { id } } }')
      await page.getByLabel('Variables').fill('{"first": 1')
      await query.press('Control+Enter')
      await page.getByText('The variables are no JSON object').waitFor()
      await page.getByLabel('Variables').fill('{"first": 1}')
      await query.press('Control+Enter')
      const answer = page.locator('#answer pre')
      await answer.waitFor()
      const { accounts } = await queryApi<{ accounts: { totalCount: number } }>(server.url, '{ accounts(first: 1) { totalCount } }')
      expect((JSON.parse(await answer.innerText()) as { data: { accounts: { totalCount: number } } }).data.accounts.totalCount).toBe(accounts.totalCount)
      await query.fill('{ moon }')
      await page.getByRole('button', { name: 'Run' }).click()
      await eventually(() => answer.innerText(), /Cannot query field/)
      await page.getByRole('button', { name: 'Link' }).click()
      expect((await hrefOf(page)).searchParams.get('text')).toBe('{ moon }')
      await page.reload()
      expect(await page.getByLabel('GraphQL query').inputValue()).toBe('{ moon }')
      await page.getByPlaceholder('Type, field or word').fill('herfindahl')
      await eventually(() => page.locator('#docs').innerText(), /holderHerfindahl[\s\S]*CollateralHaircuts/)
      expect(await axeFindings(page)).toEqual([])
    })
  })

  test('behavior: at 390 px, dark, nothing is cut off, and axe finds nothing serious', async () => {
    const [one] = await told()
    for (const path of ['/recommendations', of(one!), '/parameters', `/parameters/${one!.parameter}/${one!.subject}`, '/audit']) {
      await visit(browser, `${server.url}${path}`, { viewport: { width: 390, height: 900 }, colorScheme: 'dark' }, async (page) => {
        await page.getByRole('heading', { level: 2 }).first().waitFor()
        await page.waitForFunction(() => document.querySelector('.loading') === null)
        expect([path, await cutOff(page)]).toEqual([path, []])
        expect([path, await axeFindings(page)]).toEqual([path, []])
      })
    }
  })
})
