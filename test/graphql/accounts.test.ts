import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import pg from 'pg'
import { startServer } from '../../api/graphql/server.ts'
import type { ApiServer } from '../../api/graphql/server.ts'
import { createMargins } from '../../api/graphql/margins.ts'
import { createPrisma } from '../../prisma/client.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import { curie } from '../../protocols/curie/index.ts'
import { startTestPostgres } from '../support/postgres.ts'
import type { TestPostgres } from '../support/postgres.ts'
import { seedLargeBook } from './large-book.ts'
import { BLOCK, addressOf, deployment, log, noChain, seed, services } from './support.ts'

jest.setTimeout(60_000)

let postgres: TestPostgres
let prisma: PrismaClient
let api: ApiServer
const ask = async (query: string, variables: object = {}) => (await (await fetch(`${api.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query, variables }) })).json()) as { data: any; errors?: { message: string; extensions: { code: string; path?: unknown } }[] } // oxlint-disable-line typescript/no-explicit-any
const rowsOf = async (args: string): Promise<string[]> => (await ask(`{ accountTable${args} { rows { account } } }`)).data.accountTable.rows.map(({ account }: { account: string }) => account)
const of = (...numbers: number[]): string[] => numbers.map(addressOf)

beforeAll(async () => {
  postgres = await startTestPostgres()
  prisma = createPrisma(await postgres.freshDatabase())
  await seed(prisma)
  // Account 1: pays 1,000 in, buys 2 ETH, adds a range.
  const at = (block: number, logIndex: number) => ({ blockNumber: BigInt(block), timestamp: 1_699_000_000n + BigInt(block), transactionHash: `0x${'00'.repeat(32)}`, logIndex })
  const [account, eth] = [addressOf(1), deployment.markets[0]!.baseToken.toLowerCase()]
  await prisma.collateralChange.create({ data: { id: 'deposit', accountId: account, token: deployment.settlementToken.address.toLowerCase(), kind: 'DEPOSIT', amount: '1000000000', ...at(400, 1) } })
  await prisma.collateralChange.create({ data: { id: 'withdrawal', accountId: account, token: deployment.collaterals[0]!.token.toLowerCase(), kind: 'WITHDRAW', amount: '5', ...at(401, 1) } })
  await prisma.positionChange.create({ data: { id: 'trade', accountId: account, marketId: eth, sizeDeltaE18: `${2n * 10n ** 18n}`, notionalDeltaE18: `${-3_800n * 10n ** 18n}`, feeE18: `${38n * 10n ** 17n}`, sizeAfterE18: `${2n * 10n ** 18n}`, openNotionalAfterE18: '0', realizedPnlE18: '0', ...at(402, 7) } })
  await prisma.collateralChange.create({ data: { id: 'out', accountId: account, token: deployment.settlementToken.address.toLowerCase(), kind: 'WITHDRAW', amount: '2500000', ...at(401, 2) } })
  // 2 WETH for 2,700 USDC, of which the fund keeps 81.
  await prisma.collateralLiquidation.create({ data: { id: 'sold', accountId: account, token: deployment.collaterals[0]!.token.toLowerCase(), liquidator: addressOf(9), amount: '2000000000000000000', repaid: '2619000000', insuranceFundFee: '81000000', discountRatioE6: 100_000, ...at(402, 8) } })
  await prisma.badDebt.create({ data: { id: 'bad', accountId: account, amount: '7', ...at(402, 9) } })
  api = await startServer({ ...services(prisma, noChain), log, host: '127.0.0.1', port: 0 })
}, 90_000)
afterAll(async () => {
  await api?.close()
  await prisma?.$disconnect()
  await postgres?.stop()
}, 30_000)

// Ratios: 3 is 100 / 1,000, 1 is 800 / 3,600, 4 and 5 are 900 / 1,800, 2 (short) is 1,100 / 1,800; 6 and 7 have no positions.
describe('the table of accounts', () => {
  test('behavior: every order has the riskiest first where no direction is named, and accounts without the figure last, both ways', async () => {
    expect(await rowsOf('')).toEqual(of(3, 1, 4, 5, 2, 6, 7))
    expect(await rowsOf('(direction: DESC)')).toEqual(of(2, 4, 5, 1, 3, 6, 7))
    // Distances less 6.25 % each; leverage is 1 / ratio.
    expect(await rowsOf('(orderBy: DISTANCE_TO_LIQUIDATION)')).toEqual(of(3, 1, 4, 5, 2, 6, 7))
    expect(await rowsOf('(orderBy: LEVERAGE)')).toEqual(of(3, 1, 4, 5, 2, 6, 7))
    // 6: 1,000 + 3 WETH · 1,500 · 70 %; 7 owes a millionth.
    expect(await rowsOf('(orderBy: ACCOUNT_VALUE)')).toEqual(of(6, 2, 4, 5, 1, 3, 7))
    expect(await rowsOf('(orderBy: ACCOUNT_VALUE, direction: ASC)')).toEqual(of(7, 3, 1, 4, 5, 2, 6))
    // 1 and 3 lost 200 and 900, 4 and 5 100, 2 won 100.
    expect(await rowsOf('(orderBy: UNREALIZED_PNL)')).toEqual(of(3, 1, 4, 5, 2, 6, 7))
    expect(await rowsOf('(orderBy: MAINTENANCE_MARGIN)')).toEqual(of(1, 2, 4, 5, 3, 6, 7))
    expect(await rowsOf('(orderBy: LIQUIDATIONS)')).toEqual(of(1, 2, 3, 4, 5, 6, 7))
    expect(await rowsOf('(orderBy: BAD_DEBT)')).toEqual(of(7, 1, 2, 3, 4, 5, 6))
    expect(await rowsOf('(orderBy: ID, direction: DESC)')).toEqual(of(7, 6, 5, 4, 3, 2, 1))
  })

  test('behavior: a row says what the account says, at one block', async () => {
    const { data, errors } = await ask(`{
      accountTable(first: 1, offset: 1) { totalCount block { number hash } rows { account accountValue { value } positionValue { value } maintenanceMargin { value } freeCollateral { value } unrealizedPnl { value } marginRatio distanceToLiquidation leverage tier liquidatable exactness positions { symbol size { value } } liquidationCount badDebt { value } unknownMargin } }
      last: accountTable(offset: 6) { rows { account accountValue { value } positionValue { value } leverage tier liquidatable positions { symbol } badDebt { raw } unknownMargin } }
    }`)
    expect(errors).toBeUndefined()
    expect(data.accountTable).toEqual({
      totalCount: 7, block: { number: '1000', hash: BLOCK.hash },
      rows: [{ account: addressOf(1), accountValue: { value: '800' }, positionValue: { value: '3600' }, maintenanceMargin: { value: '225' }, freeCollateral: { value: '420' }, unrealizedPnl: { value: '-200' }, marginRatio: 0.2222222222222222, distanceToLiquidation: 0.1597222222222222, leverage: 4.5, tier: 'HEALTHY', liquidatable: false, exactness: 'EXACT', positions: [{ symbol: 'vETH', size: { value: '2' } }], liquidationCount: 5, badDebt: { value: '0' }, unknownMargin: false }],
    })
    // Without positions there is no tier, and nothing that could be liquidated: not "no".
    expect(data.last.rows).toEqual([{ account: addressOf(7), accountValue: { value: '-0.000001' }, positionValue: null, leverage: null, tier: null, liquidatable: null, positions: [], badDebt: { raw: '1000000000000000000000000001' }, unknownMargin: false }])
  })

  test('behavior: a filter holds for what is counted and what is shown', async () => {
    const found = async (filter: string) => {
      const { data } = await ask(`{ accountTable(orderBy: ID, filter: {${filter}}) { totalCount rows { account } } }`)
      expect(data.accountTable.totalCount).toBe(data.accountTable.rows.length)
      return data.accountTable.rows.map(({ account }: { account: string }) => Number(account))
    }
    expect(await found('market: "vETH"')).toEqual([1, 2, 4, 5])
    expect(await found('market: "vETH", side: SHORT')).toEqual([2])
    expect(await found('side: LONG')).toEqual([1, 3, 4, 5])
    expect(await found('collateral: "weth"')).toEqual([6])
    expect(await found('withPositions: false')).toEqual([6, 7])
    expect(await found('minPositionValue: 1800')).toEqual([1, 2, 4, 5])
    expect(await found('liquidatable: true')).toEqual([])
    expect(await found('tiers: [HEALTHY]')).toEqual([1, 2, 3, 4, 5])
    expect(await found('unknownMargin: true')).toEqual([])
    expect(await found(`address: "${addressOf(3).toUpperCase().replace('0X', '0x')}"`)).toEqual([3])
    expect(await found('address: "0x00", market: "vBTC"')).toEqual([3])
  })

  test.each([
    ['filter: {address: "abc"}', ['filter', 'address'], /Found "abc" for the beginning of an address, allowed is 0x and up to 40/],
    ['filter: {market: "vDOGE"}', ['filter', 'market'], /Found market "vDOGE", allowed are vETH, vBTC, vOP/],
    ['filter: {collateral: "vETH"}', ['filter', 'collateral'], /Found collateral "vETH", allowed are WETH/],
    ['filter: {tiers: []}', ['filter', 'tiers'], /leave `tiers` out/],
    ['filter: {minPositionValue: -1}', ['filter', 'minPositionValue'], /Found minPositionValue: -1, allowed is 0 to 1e18/],
    ['offset: -1', ['offset'], /Found offset: -1, allowed is a row's number from 0/],
    ['first: 201', ['first'], /Found first: 201, allowed is 1 to 200/],
  ])('error: %s is refused with its place', async (args, path, sentence) => {
    const { errors } = await ask(`{ accountTable(${args}) { totalCount } }`)
    expect(errors).toEqual([expect.objectContaining({ message: expect.stringMatching(sentence), extensions: expect.objectContaining({ code: 'BAD_INPUT', path }) })])
  })

  test('behavior: a table that is read at its block stays as it was when a step comes, and one that is no longer kept is NOT_FOUND', async () => {
    const before = await ask('{ accountTable { block { hash } rows { account accountValue { value } } } }')
    const hash = `0x${'cd'.repeat(32)}`
    await prisma.$transaction([
      prisma.account.update({ where: { id: addressOf(1) }, data: { settlementBalance: '300000000' } }),
      prisma.checkpoint.create({ data: { blockNumber: 1001n, blockHash: hash, blockTimestamp: BLOCK.timestamp + 2n, rowCount: 1 } }),
      prisma.replayStatus.update({ where: { id: 1 }, data: { blockNumber: 1001n } }),
    ])
    try {
      const { data } = await ask(`{ now: accountTable { block { hash } rows { account accountValue { value } } } then: accountTable(block: "${BLOCK.hash}") { block { hash } rows { account accountValue { value } } } }`)
      expect(data.then).toEqual(before.data.accountTable)
      // 100 left of 800: ratio 100 / 3,600.
      expect([data.now.block.hash, data.now.rows[0]]).toEqual([hash, { account: addressOf(1), accountValue: { value: '100' } }])
      const { errors } = await ask(`{ accountTable(block: "0x${'ee'.repeat(32)}") { totalCount } }`)
      expect(errors).toEqual([expect.objectContaining({ message: `There is no kept table of block 0x${'ee'.repeat(32)}; ask without \`block\` for the newest one`, extensions: expect.objectContaining({ code: 'NOT_FOUND' }) })])
    } finally {
      await prisma.$transaction([
        prisma.account.update({ where: { id: addressOf(1) }, data: { settlementBalance: '1000000000' } }),
        prisma.checkpoint.delete({ where: { blockNumber: 1001n } }),
        prisma.replayStatus.update({ where: { id: 1 }, data: { blockNumber: 1000n } }),
      ])
    }
  })

  test('behavior: the list by cursors has the same orders, filters and counts, and cursors made before there were directions go on', async () => {
    const ids: string[] = []
    let after: string | null = null
    do {
      const { data, errors }: Awaited<ReturnType<typeof ask>> = await ask('query($after: String) { accounts(first: 2, after: $after, orderBy: ACCOUNT_VALUE, direction: ASC, filter: { withPositions: true }) { totalCount nodes { id } pageInfo { hasNextPage endCursor } } }', { after })
      expect(errors).toBeUndefined()
      expect(data.accounts.totalCount).toBe(5)
      ids.push(...data.accounts.nodes.map(({ id }: { id: string }) => id))
      after = data.accounts.pageInfo.hasNextPage ? data.accounts.pageInfo.endCursor : null
    } while (after !== null)
    expect(ids).toEqual(of(3, 1, 4, 5, 2))
    // As they were before: group, rank as it is sorted upwards, id. 1 is worth 3,600, the largest.
    const old = Buffer.from(JSON.stringify(['accounts by POSITION_VALUE', '0', String(-3_600n * 10n ** 18n), addressOf(1)])).toString('base64url')
    const { data } = await ask('query($old: String) { accounts(orderBy: POSITION_VALUE, after: $old) { nodes { id } } }', { old })
    expect(data.accounts.nodes.map(({ id }: { id: string }) => id)).toEqual(of(2, 4, 5, 3, 6, 7))
    const byId = Buffer.from(JSON.stringify(['accounts by ID', addressOf(5)])).toString('base64url')
    expect((await ask('query($byId: String) { accounts(orderBy: ID, after: $byId) { nodes { id } } }', { byId })).data.accounts.nodes).toEqual(of(6, 7).map((id) => ({ id })))
  })

  test('behavior: the whole list is a CSV with its units, and a refusal is the API’s own sentence', async () => {
    const answer = await fetch(`${api.url}/export/accounts.csv?orderBy=ACCOUNT_VALUE&filter=${encodeURIComponent('{"market":"vETH"}')}`)
    expect([answer.status, answer.headers.get('content-type'), answer.headers.get('content-disposition')]).toEqual([200, 'text/csv; charset=utf-8', 'attachment; filename="accounts-block-1000.csv"'])
    const [head, first, ...rest] = (await answer.text()).trimEnd().split('\r\n')
    expect(head).toMatch(/^account,account value \(quote\),position value \(quote\),.*margin ratio \(fraction\)/)
    expect(first).toBe(`${addressOf(2)},1100,1800,112.5,820,100,0.611111111111111111,0.548611111111111111,1.6363636363636365,HEALTHY,false,vETH -1,0,0,false,1000,2023-11-14T22:13:20.000Z`)
    expect(rest).toHaveLength(3)
    const refused = await fetch(`${api.url}/export/accounts.csv?orderBy=BEAUTY`)
    expect([refused.status, (await refused.json() as { errors: { message: string }[] }).errors[0]?.message]).toEqual([400, expect.stringContaining('Value "BEAUTY" does not exist in "AccountOrder" enum')])
    expect((await fetch(`${api.url}/export/accounts.csv?filter=x`)).status).toBe(400)
  })
})

describe('an account', () => {
  test('behavior: what moves it to liquidation is each market alone, and all prices together', async () => {
    const { data } = await ask(`{ account(id: "${addressOf(1)}") { moves(changes: [-0.5, 0, 0.1]) { market { symbol } liquidationChange bankruptcyChange unknown points { change accountValue { value } maintenanceMargin { value } } } } none: account(id: "${addressOf(6)}") { moves { unknown } } }`)
    // 800 + 3,600 c against 225 (1 + c): c = −575 / 3,375; 0 at −800 / 3,600. It has no other collateral, so that all prices are the one.
    const points = [[-0.5, '-1000', '112.5'], [0, '800', '225'], [0.1, '1160', '247.5']].map(([change, accountValue, maintenanceMargin]) => ({ change, accountValue: { value: accountValue }, maintenanceMargin: { value: maintenanceMargin } }))
    const move = { liquidationChange: expect.closeTo(-575 / 3_375, 12), bankruptcyChange: expect.closeTo(-800 / 3_600, 12), unknown: null, points }
    expect(data.account.moves).toEqual([{ market: { symbol: 'vETH' }, ...move }, { market: null, ...move }])
    expect(data.none.moves).toEqual([])
    const { errors } = await ask(`{ account(id: "${addressOf(1)}") { moves(changes: [0, -1]) { unknown } } }`)
    expect(errors?.[0]).toMatchObject({ message: 'Found a change of -1, allowed is a fraction above −1 and at most 100 (0.05 is 5 %); correct it', extensions: { path: ['changes', 1] } })
  })

  test('behavior: its history is all that happened to it, newest first, by kind where one is named, page by page', async () => {
    const all = `history(first: 200) { totalCount nodes { kind market { symbol } size { value } notional { value } price { value } fee { value } amount { value } token settled { value decimals } block } }`
    const { data, errors } = await ask(`{ account(id: "${addressOf(1)}") { ${all} } }`)
    expect(errors).toBeUndefined()
    const { totalCount, nodes } = data.account.history
    expect(totalCount).toBe(11)
    expect(nodes.map(({ kind, block }: { kind: string; block: string }) => `${kind} ${block}`)).toEqual([...['502', '501', '501', '500', '500'].map((block) => `LIQUIDATION ${block}`), 'BAD_DEBT 402', 'COLLATERAL_LIQUIDATION 402', 'TRADE 402', 'WITHDRAWAL 401', 'WITHDRAWAL 401', 'DEPOSIT 400'])
    const none = { market: null, size: null, notional: null, price: null, fee: null, amount: null, token: null, settled: null }
    const settled = (value: string) => ({ value, decimals: 6 })
    expect(nodes.slice(5)).toEqual([
      { ...none, kind: 'BAD_DEBT', amount: { value: '0.000007' }, token: deployment.settlementToken.symbol, settled: settled('0.000007'), block: '402' },
      { ...none, kind: 'COLLATERAL_LIQUIDATION', fee: { value: '81' }, amount: { value: '2' }, token: 'WETH', settled: settled('2700'), block: '402' },
      { ...none, kind: 'TRADE', market: { symbol: 'vETH' }, size: { value: '2' }, notional: { value: '-3800' }, price: { value: '1900' }, fee: { value: '3.8' }, block: '402' },
      { ...none, kind: 'WITHDRAWAL', amount: { value: '2.5' }, token: deployment.settlementToken.symbol, settled: settled('-2.5'), block: '401' },
      { ...none, kind: 'WITHDRAWAL', amount: { value: '0.000000000000000005' }, token: 'WETH', block: '401' },
      { ...none, kind: 'DEPOSIT', amount: { value: '1000' }, token: deployment.settlementToken.symbol, settled: settled('1000'), block: '400' },
    ])
    const kinds: string[] = []
    let after: string | null = null
    do {
      const page: Awaited<ReturnType<typeof ask>> = await ask(`query($after: String) { account(id: "${addressOf(1)}") { history(first: 2, after: $after, kinds: [DEPOSIT, TRADE, LIQUIDATION]) { totalCount nodes { kind } pageInfo { hasNextPage endCursor } } } }`, { after })
      expect(page.data.account.history.totalCount).toBe(7)
      kinds.push(...page.data.account.history.nodes.map(({ kind }: { kind: string }) => kind))
      after = page.data.account.history.pageInfo.hasNextPage ? page.data.account.history.pageInfo.endCursor : null
    } while (after !== null)
    expect(kinds).toEqual([...Array<string>(5).fill('LIQUIDATION'), 'TRADE', 'DEPOSIT'])
  })
})

describe('a book of many accounts', () => {
  let url: string
  let many: PrismaClient
  beforeAll(async () => {
    url = await postgres.freshDatabase()
    many = createPrisma(url)
    await seed(many)
    await seedLargeBook(many, 3_000)
  })
  afterAll(() => many?.$disconnect())

  const step = async (work: (client: pg.Client) => Promise<unknown>): Promise<void> => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    try {
      await client.query('BEGIN')
      await work(client)
      await client.query('COMMIT')
    } finally {
      await client.end()
    }
  }

  test('behavior: after a step, what the undo log names is read again, and every figure is that of a book read anew', async () => {
    const margins = () => createMargins({ prisma: many, protocol: curie, deployment, log })
    const block = async () => {
      const { blockNumber, blockHash, blockTimestamp } = await many.checkpoint.findFirstOrThrow({ orderBy: { blockNumber: 'desc' } })
      return { number: blockNumber, hash: blockHash, timestamp: blockTimestamp }
    }
    const db = () => Promise.reject(new Error('nobody reads beside the service'))
    const kept = margins()
    const before = await (await kept.at(await block(), db)).standings()
    const [one, other] = [before.ids[100] as string, before.ids[2_000] as string]
    // One pays in, one closes; a new one comes. Of a fourth nothing is logged, as no step of the mirror would leave it.
    const fourth = before.ids[50] as string
    await step(async (client) => {
      await client.query('UPDATE "Account" SET "settlementBalance" = "settlementBalance" + 1000000 WHERE "id" IN ($1, $2)', [one, fourth])
      await client.query('UPDATE "Position" SET "sizeE18" = 0, "rawSizeE18" = 0, "openNotionalE18" = 0 WHERE "accountId" = $1', [other])
      await client.query('UPDATE "Account" SET "openPositionCount" = 0 WHERE "id" = $1', [other])
      await client.query(`INSERT INTO "Account" SELECT (jsonb_populate_record(a, jsonb_build_object('id', $1::text, 'openPositionCount', 0))).* FROM "Account" a WHERE "id" = $2`, [addressOf(9_999), one])
      await client.query(`INSERT INTO "UndoLog" SELECT 1001, e, i FROM (VALUES ('Account', $1), ('Position', $2 || '4a'), ('Account', $3)) AS u(e, i)`, [one, other, addressOf(9_999)])
      await client.query(`INSERT INTO "Checkpoint" ("blockNumber", "blockHash", "blockTimestamp", "rowCount") VALUES (1001, '0x' || repeat('cd', 32), 1700000002, 4)`)
      await client.query('UPDATE "ReplayStatus" SET "blockNumber" = 1001')
    })
    const after = await kept.at(await block(), db)
    const anew = await margins().at(await block(), db)
    const figure = (book: typeof after, id: string) => book.healths([id])[0]?.accountValueE18
    expect(figure(after, one)).toBe(figure(anew, one))
    expect([after.exposed(other), anew.exposed(other), after.exposedIds.length]).toEqual([undefined, undefined, anew.exposedIds.length])
    expect((await after.standings()).ids).toEqual((await anew.standings()).ids)
    expect(figure(anew, fourth)! - figure(after, fourth)!).toBe(10n ** 18n)
  })

  test('behavior: every order is the one that comparing exact figures gives', async () => {
    const block = await many.checkpoint.findFirstOrThrow({ orderBy: { blockNumber: 'desc' } })
    const book = await createMargins({ prisma: many, protocol: curie, deployment, log }).at({ number: block.blockNumber, hash: block.blockHash, timestamp: block.blockTimestamp }, async () => many)
    const standings = await book.standings()
    const healths = book.healths(book.exposedIds)
    const exact = { MARGIN_RATIO: 'marginRatioE18', UNREALIZED_PNL: 'unrealizedPnlE18', FREE_COLLATERAL: 'freeCollateralImE18', ACCOUNT_VALUE: 'accountValueE18' } as const
    for (const [order, name] of Object.entries(exact) as [keyof typeof exact, (typeof exact)[keyof typeof exact]][]) {
      const figures = new Map(book.exposedIds.map((id, i) => [id, healths[i]?.[name] as bigint]))
      for (const [direction, sign] of [['ASC', 1n], ['DESC', -1n]] as const) {
        const ids = [...standings.list(order, direction, { withPositions: true })].map((place) => standings.ids[place] as string)
        const expected = [...figures.keys()].toSorted((a, b) => {
          const difference = (figures.get(a)! - figures.get(b)!) * sign
          return difference === 0n ? (a < b ? -1 : 1) : difference < 0n ? -1 : 1
        })
        expect(ids).toEqual(expected)
      }
    }
  })
})
