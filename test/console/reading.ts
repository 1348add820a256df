/**
 * How a reader goes through a book of 100,000 accounts, and what each step takes. Waited: from the input event's own time to the end of the
 * first frame in which what was asked for is on the screen, the API's answer included where one is needed. Worked: processor time of the
 * page's main thread and of the process that the API runs in, which other work on the machine does not lengthen.
 */
import type { CDPSession, Page, Request } from 'playwright-core'
import type { Services } from '../../api/graphql/context.ts'
import { createRiskBooks } from '../../api/graphql/risk/book.ts'
import { forkDesk } from '../../api/graphql/risk/desk.ts'
import { startServer } from '../../api/graphql/server.ts'
import { createPrisma } from '../../prisma/client.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import { queryApi } from '../../cli/graphql.ts'
import { median, quantile, table } from '../benchmarks/report.ts'
import { seedLargeBook } from '../graphql/large-book.ts'
import { seedRisk } from '../graphql/risk-support.ts'
import { BLOCK, chainAt, log, seed, services, startGetters, stepTo } from '../graphql/support.ts'
import { startTestPostgres } from '../support/postgres.ts'
import { builtPages } from './built.ts'
import { settled } from './chromium.ts'

export const ACCOUNTS = 100_000

export type Row = { account: string; accountValue: { value: string } | null; marginRatio: number | null }

export type LargeBook = {
  readonly url: string
  readonly prisma: PrismaClient
  readonly served: Services
  /** Rows of `accountTable(args)`. */
  rowsOf(args: string): Promise<Row[]>
  close(): Promise<void>
}

/** `beside`: the desk stands in a process of its own, as `npm start` has it. */
export async function startLargeBook({ beside = false } = {}): Promise<LargeBook> {
  const pagesDir = await builtPages()
  const postgres = await startTestPostgres()
  const url = await postgres.freshDatabase()
  const [prisma, marginsPrisma] = [createPrisma(url), createPrisma(url)]
  await seed(prisma)
  await seedRisk(prisma)
  await seedLargeBook(prisma, ACCOUNTS)
  const getters = beside ? await startGetters() : null
  const desk = getters && forkDesk({ log, env: { DATABASE_URL: url, NETWORK: 'devnet', RPC_URL: getters.url, RPC_BATCH: '100' } })
  const served = services(prisma, chainAt(BLOCK.number + 1n, BLOCK.timestamp + 2n, () => null), { marginsPrisma, ...(desk && { risk: { books: createRiskBooks({ desk }) } }) })
  const api = await startServer({ ...served, log, host: '127.0.0.1', port: 0, pagesDir })
  const rowsOf = async (args: string): Promise<Row[]> => (await queryApi<{ accountTable: { rows: Row[] } }>(api.url, `{ accountTable(${args}) { rows { account accountValue { value } marginRatio } } }`)).accountTable.rows
  // Read once, as a server that runs has.
  await rowsOf('first: 1')
  return {
    url: api.url,
    prisma,
    served,
    rowsOf,
    close: async () => {
      await api.close()
      await desk?.close()
      getters?.close()
      await prisma.$disconnect()
      await marginsPrisma.$disconnect()
      await postgres.stop()
    },
  }
}

/** In the page: `expectNext(event, done)` begins to wait, `waited()` gives ms from the event to the frame in which `done` holds. */
function instruments(): void {
  const painted = (): Promise<number> =>
    new Promise((resolve) =>
      requestAnimationFrame(() => {
        // A message that is sent in a frame is read once it is drawn.
        const channel = new MessageChannel()
        channel.port1.onmessage = () => resolve(performance.now())
        channel.port2.postMessage(0)
      }),
    )
  const rowPx = 29
  const grid = (): HTMLElement => document.querySelector<HTMLElement>('[role="grid"]') as HTMLElement
  const rowAt = (index: number): HTMLElement | null => document.querySelector(`[role="row"][aria-rowindex="${index + 2}"]`)
  /** Every row that the window shows is there, with its figures of this block. */
  const full = (): boolean => {
    const { scrollTop, clientHeight } = grid()
    const count = Number(grid().getAttribute('aria-rowcount')) - 1
    const first = Math.floor(scrollTop / rowPx)
    const last = Math.min(count - 1, Math.ceil((scrollTop + clientHeight - 32) / rowPx) - 1)
    for (let index = first; index <= last; index++) {
      const row = rowAt(index)
      if (row === null || row.classList.contains('stale') || row.querySelector('.accounts-missing') !== null) return false
    }
    return true
  }
  let pending: Promise<number>
  const tools: Tools = {
    full,
    active: () => grid().getAttribute('aria-activedescendant'),
    top: () => rowAt(0)?.querySelector('a')?.getAttribute('title') ?? null,
    scrollTop: () => grid().scrollTop,
    rows: () => document.querySelectorAll('[role="row"]').length,
    expectNext: (type, done) => {
      pending = new Promise((resolve) =>
        addEventListener(type, (event) => void (async () => {
          let at = await painted()
          while (!done()) at = await painted()
          resolve(at - event.timeStamp)
        })(), { capture: true, once: true }),
      )
    },
    waited: () => pending,
  }
  Object.assign(globalThis, { tools })
}
/** What `readable` puts into the page, as `tools`. */
export type Tools = { full(): boolean; active(): string | null; top(): string | null; scrollTop(): number; rows(): number; expectNext(type: string, done: () => boolean): void; waited(): Promise<number> }
declare const tools: Tools

/** For `before` of a visit. */
export async function readable(page: Page): Promise<void> {
  // tsx names functions by a helper that the page does not have.
  await page.addInitScript('globalThis.__name ??= (named) => named')
  await page.addInitScript(instruments)
}

/** Until the table stands in full. */
export async function opened(page: Page): Promise<void> {
  await page.waitForFunction(() => document.querySelector('[role="grid"]') !== null && tools.full())
  await page.evaluate(() => document.fonts.ready)
}

/** Of each time, ms. */
export type Step = { readonly name: string; readonly waitedMs: readonly number[]; readonly pageMs: readonly number[]; readonly apiMs: readonly number[]; readonly mostRows: number }

/** Order, head of its column, and whether it rises first. */
const ORDERS = [
  ['ACCOUNT_VALUE', 'Account value', false], ['LEVERAGE', 'Leverage', false], ['UNREALIZED_PNL', 'Unrealised PnL', true], ['POSITION_VALUE', 'Position value', false],
  ['FREE_COLLATERAL', 'Free collateral', true], ['DISTANCE_TO_LIQUIDATION', 'Distance', true], ['MARGIN_RATIO', 'Margin ratio', true], ['LIQUIDATIONS', 'Liquidations', false],
] as const

/** Wheel, keys, both ends, any place, and every order either way. What comes first in an order is held to the API's own answer. */
export async function measureReading(page: Page, book: LargeBook): Promise<Step[]> {
  await opened(page)
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('Performance.enable', { timeDomain: 'threadTicks' })
  const step = (name: string, times: number, prepare: (i: number) => Promise<void>, act: (i: number) => Promise<unknown>): Promise<Step> => measure(page, cdp, name, times, prepare, act)
  const grid = page.getByRole('grid', { name: 'Accounts' })
  const box = (await grid.boundingBox())!
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2)

  const moved = () => page.evaluate(() => {
    const from = tools.scrollTop()
    tools.expectNext('wheel', () => tools.scrollTop() !== from && tools.full())
  })
  const wheel = await step('wheel, half a screen', 30, moved, () => page.mouse.wheel(0, 300))

  const pressed = () => page.evaluate(() => {
    const from = tools.active()
    tools.expectNext('keydown', () => tools.active() !== from && document.getElementById(tools.active() ?? '') !== null && tools.full())
  })
  await grid.focus()
  await page.keyboard.press('Home')
  const pages = await step('Page Down', 20, pressed, () => page.keyboard.press('PageDown'))
  const ends = await step('End and Home', 10, pressed, (i) => page.keyboard.press(i % 2 === 0 ? 'End' : 'Home'))

  // As the bar is dragged: anywhere, to rows that nobody has read yet.
  const dragged = (i: number) => page.evaluate((to) => {
    tools.expectNext('scroll', () => tools.full())
    document.querySelector('[role="grid"]')!.scrollTop = to
  }, ((i * 37 + 11) % 100) * 28_000)
  const drags = await step('to any unread place', 20, dragged, async () => {})

  // The other way round each time: every one is another order.
  await page.keyboard.press('Home')
  const turns = ORDERS.flatMap(([order, head, isRising]) => (isRising ? ['ASC', 'DESC'] : ['DESC', 'ASC']).map((direction) => ({ order, head, direction })))
  const firsts: string[] = []
  for (const { order, direction } of turns) firsts.push((await book.rowsOf(`first: 1, orderBy: ${order}, direction: ${direction}`))[0]!.account)
  const sorted = (i: number) => page.evaluate((first) => tools.expectNext('click', () => document.querySelector('[role="grid"]')?.getAttribute('aria-busy') === 'false' && tools.top() === first && tools.full()), firsts[i] as string)
  const sorts = await step('sorting, either way', turns.length, sorted, (i) => page.getByRole('columnheader', { name: new RegExp(`^${turns[i]!.head}`) }).getByRole('button').click())
  return [wheel, pages, ends, drags, sorts]
}

/** First paint and last figure of the overview, ms from the address's own start; of a new block, ms from its step to the last answer. */
export type Overview = { readonly paintMs: number; readonly filledMs: number }

/** Of the overview over a page of its own: until nothing of it loads. */
export async function measureOverview(page: Page, url: string): Promise<Overview> {
  await page.goto(url)
  await settled(page)
  return page.evaluate(() => ({ paintMs: performance.getEntriesByName('first-contentful-paint')[0]!.startTime, filledMs: performance.now() }))
}

/** The mirror steps to the next block, which touches nothing: ms until every question that the open overview asks of it is answered. */
export async function measureStep(page: Page, { prisma, served }: LargeBook): Promise<number> {
  const head = await prisma.checkpoint.findFirstOrThrow({ orderBy: { blockNumber: 'desc' } })
  await stepTo(prisma, head.blockNumber + 1n, head.blockTimestamp + 2n)
  const asked = new Set<object>()
  let [startedMs, lastMs] = [performance.now(), 0]
  const isQuestion = (request: Request): boolean => new URL(request.url()).pathname === '/graphql'
  page.on('request', (request) => isQuestion(request) && asked.add(request))
  const answered = (request: Request): void => {
    if (!asked.delete(request)) return
    lastMs = performance.now() - startedMs
  }
  page.on('requestfinished', answered).on('requestfailed', answered)
  startedMs = performance.now()
  await served.risk.events.look()
  while (lastMs === 0 || asked.size > 0 || performance.now() - startedMs - lastMs < QUIET_MS) await new Promise((resolve) => setTimeout(resolve, 50))
  page.removeAllListeners()
  return lastMs
}
/** The overview asks for what follows from an answer at once: after such a silence nothing is left. */
const QUIET_MS = 3_000

/** Processor time of the page's main thread since it was opened, ms. */
async function pageCpuMs(cdp: CDPSession): Promise<number> {
  const { metrics } = await cdp.send('Performance.getMetrics')
  return 1000 * metrics.find(({ name }) => name === 'ThreadTime')!.value
}

async function measure(page: Page, cdp: CDPSession, name: string, times: number, prepare: (i: number) => Promise<void>, act: (i: number) => Promise<unknown>): Promise<Step> {
  const [waitedMs, pageMs, apiMs]: [number[], number[], number[]] = [[], [], []]
  let mostRows = 0
  for (let i = 0; i < times; i++) {
    await prepare(i)
    const [before, cpu] = [await pageCpuMs(cdp), process.cpuUsage()]
    await act(i)
    waitedMs.push(await page.evaluate(() => tools.waited()))
    const { user, system } = process.cpuUsage(cpu)
    apiMs.push((user + system) / 1000)
    pageMs.push((await pageCpuMs(cdp)) - before)
    mostRows = Math.max(mostRows, await page.evaluate(() => tools.rows()))
  }
  return { name, waitedMs, pageMs, apiMs, mostRows }
}

/** Median of what a step works, page and API together. */
export const workedMs = ({ pageMs, apiMs }: Step): number => median(pageMs.map((ms, i) => ms + (apiMs[i] as number)))

export const stepsText = (steps: readonly Step[]): string =>
  table(
    ['ms from event to drawn frame', 'times', 'half', '9 of 10', 'worst', 'of it worked: page', 'API'],
    steps.map(({ name, waitedMs, pageMs, apiMs }) => [name, waitedMs.length, ...[quantile(waitedMs, 0.5), quantile(waitedMs, 0.9), Math.max(...waitedMs), median(pageMs), median(apiMs)].map((ms) => ms.toFixed(0))]),
  )
