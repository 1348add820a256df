import { describe, expect, test } from '@jest/globals'
import { InvariantError } from '../../core/errors.ts'
import { curieLiquidationRules, curiePlaybookAdapter, curiePlaybooks, CURIE_STOPS, type CurieMoment } from '../../api/recommendations/playbooks.ts'
import { BREAKER_LEVELS, checkPlaybook, EMERGENCIES, type Playbook } from '../../api/risk/index.ts'
import type { Address } from '../../protocols/adapter.ts'
import { devnet } from '../../protocols/curie/deployments.ts'
import { curie } from '../../protocols/curie/index.ts'
import { markPrice } from '../../protocols/curie/margin.ts'

const PROTOCOL = devnet.contracts.clearingHouse
const markets = devnet.markets.map((m) => ({ id: m.baseToken as string, symbol: m.symbol }))
const collaterals = devnet.collaterals.map((c) => ({ id: c.token as string, symbol: c.symbol, held: 40n * 10n ** 18n, haircutRatioE6: 600_000n }))
const values: Readonly<Record<string, bigint>> = { marketMaxPriceSpreadRatio: 100_000n, maxTickCrossedWithinBlock: 250n, depositCap: 1000n * 10n ** 18n, distributionThreshold: 10n ** 12n, collateralRatio: 800_000n, insuranceFundFeeRatio: 100_000n }
const moment: CurieMoment = { currentOf: (name) => values[name] ?? null, protocol: PROTOCOL, markets, collaterals }
const books = curiePlaybooks(moment)
const find = (id: string, list = books): Playbook => {
  const found = list.find((b) => b.id === id)
  if (found === undefined) throw new Error(`no playbook ${id}`)
  return found
}
const eth = markets[0]?.id ?? ''
const weth = collaterals[0]?.id ?? ''

describe('Curie’s playbooks', () => {
  test('behavior: one for each level of the protocol and of each market, and for each emergency that can strike', () => {
    const n = markets.length
    expect(books).toHaveLength(3 + 3 * n + n + collaterals.length + collaterals.length + n)
    expect(new Set(books.map((b) => b.id)).size).toBe(books.length)
    for (const level of BREAKER_LEVELS.slice(1)) expect(find(`${level.toLowerCase()}:${PROTOCOL}`).trigger).toEqual({ kind: 'level', level })
    for (const emergency of EMERGENCIES) expect(books.some((b) => b.trigger.kind === 'emergency' && b.trigger.emergency === emergency)).toBe(true)
  })
  test('behavior: the catalog encodes every change and its way back', () => {
    const changes = books.flatMap((b) => b.changes)
    expect(changes.length).toBeGreaterThan(20)
    for (const c of changes) {
      const ref = { name: c.parameter, subject: c.subject as Address }
      for (const value of [c.to, c.undo.to]) expect(curie.catalog.decodeChange(devnet, curie.catalog.encodeChange(devnet, ref, value))).toEqual({ ref, value })
      expect(c.undo.to).toBe(c.from)
      expect(curie.catalog.find(c.parameter).irreversible).toBe(false)
    }
  })
  test('property: no playbook stops liquidations or withdrawals, by what it says and by what it touches', () => {
    for (const book of books) {
      expect(book.stops.filter((s) => ['liquidate', 'liquidate-collateral', 'withdraw'].includes(s))).toEqual([])
      // Pausing a contract or a market is what would.
      expect(book.changes.filter((c) => /Paused$|^marketStatus$|^maxMarketsPerAccount$/.test(c.parameter))).toEqual([])
    }
  })
  test('behavior: HALT is a tick cap of 0 in the market, and says that closing stops and where the mark price stays', () => {
    const halt = find(`halt:${eth}`)
    expect(halt.changes.map((c) => [c.parameter, c.from, c.to, c.undo.to])).toEqual([['maxTickCrossedWithinBlock', 250n, 0n, 250n]])
    expect(halt.stops).toEqual(['close', 'open'])
    expect(halt.changes[0]?.sideEffects.join(' ')).toMatch(/closing by trade is stopped too.*liquidation goes on.*mark price comes to stand where the pool does/)
    // The protocol's own arithmetic says the same: with spot and average equal, no index moves the mark price.
    for (const indexE18 of [1n, 900n, 5_000n]) expect(markPrice({ spotE18: 1_000n, marketTwapE18: 1_000n, indexE18, premiumMarketTwapE18: 1_000n, premiumIndexTwapE18: 1_000n })).toBe(1_000n)
  })
  test('behavior: RESTRICT narrows band and ticks, and says that Curie has no reduce-only', () => {
    const restrict = find(`restrict:${eth}`)
    expect(restrict.changes.map((c) => [c.parameter, c.to])).toEqual([['marketMaxPriceSpreadRatio', 50_000n], ['maxTickCrossedWithinBlock', 125n]])
    expect(restrict.notDone).toMatchObject([{ action: 'stop-increasing-risk', why: expect.stringContaining('no reduce-only') }])
    const all = find(`restrict:${PROTOCOL}`)
    expect(all.changes.filter((c) => c.parameter === 'depositCap').map((c) => c.to)).toEqual(collaterals.map((c) => c.held))
    expect(all.changes.filter((c) => c.parameter === 'distributionThreshold').map((c) => c.to)).toEqual([0n])
  })
  test('behavior: a depeg caps deposits at what is held and counts the collateral for less', () => {
    expect(find(`depeg:${weth}`).changes.map((c) => [c.parameter, c.to])).toEqual([['depositCap', 40n * 10n ** 18n], ['collateralRatio', 600_000n], ['distributionThreshold', 0n]])
  })
  test('behavior: a band of raw 0, which is 10 %, is narrowed to half of that', () => {
    const stored = curiePlaybooks({ ...moment, currentOf: (name) => (name === 'marketMaxPriceSpreadRatio' ? 0n : (values[name] ?? null)) })
    const changes = stored.flatMap((playbook) => playbook.changes).filter((c) => c.parameter === 'marketMaxPriceSpreadRatio')
    expect(changes[0]).toMatchObject({ from: 0n, to: 50_000n, undo: { to: 0n } })
  })
  test('behavior: an insolvent market leaves the irreversible pause to people', () => {
    const book = find(`insolvent-market:${eth}`)
    expect(book.changes.map((c) => [c.parameter, c.to])).toEqual([['maxTickCrossedWithinBlock', 0n], ['insuranceFundFeeRatio', 500_000n], ['distributionThreshold', 0n]])
    expect(book.notDone.map((n) => n.action)).toEqual(['settle-market'])
  })
  test('behavior: what is done already, or not known, is said and not done', () => {
    const done = curiePlaybooks({ ...moment, currentOf: (name) => (name === 'maxTickCrossedWithinBlock' ? 0n : name === 'depositCap' ? null : name === 'marketMaxPriceSpreadRatio' ? 10_000n : (values[name] ?? null)) })
    expect(find(`halt:${eth}`, done)).toMatchObject({ changes: [], notDone: [{ why: 'maxTickCrossedWithinBlock: trading is already stopped' }] })
    expect(find(`restrict:${eth}`, done).changes).toEqual([])
    expect(find(`depeg:${weth}`, done).notDone[0]?.why).toBe('the current value of depositCap is not known')
  })
  test('error: a playbook that stops liquidations, changes nothing or changes twice is refused', () => {
    const [change] = find(`halt:${eth}`).changes
    if (change === undefined) throw new Error('no change')
    expect(() => checkPlaybook({ id: 'x', changes: [{ ...change, stops: ['open', 'liquidate'] }] })).toThrow(InvariantError)
    expect(() => checkPlaybook({ id: 'x', changes: [{ ...change, to: change.from }] })).toThrow(/that it has/)
    expect(() => checkPlaybook({ id: 'x', changes: [change, change] })).toThrow(/two changes/)
    expect(() => curiePlaybookAdapter(moment).prepare('stop-collateral-deposits', { kind: 'collateral', id: '0x00', label: 'X' })).toThrow(/no collateral 0x00/)
  })
  test('behavior: liquidation rules and what a replay may count on', () => {
    expect(curieLiquidationRules(0.025).smallestShare).toBeCloseTo(0.0298, 5)
    expect(CURIE_STOPS.HALT).toContain('decrease')
    expect(CURIE_STOPS.RESTRICT).not.toContain('increase')
  })
})
