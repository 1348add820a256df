import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { BLOCK, LARGE, addressOf, chainAt, deployment, log, noChain, seed, services } from './support.ts'
import { createJob, farBehind } from '../../api/graphql/jobs.ts'
import { LIMITS } from '../../api/graphql/limits.ts'
import { startServer } from '../../api/graphql/server.ts'
import type { ApiServer } from '../../api/graphql/server.ts'
import { createPrisma } from '../../prisma/client.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import { WrongStateError } from '../../proposals/errors.ts'
import { startTestPostgres } from '../support/postgres.ts'
import type { TestPostgres } from '../support/postgres.ts'
import { bearer, steward } from '../support/signIn.ts'

type Answer = { data?: any; errors?: { message: string; path?: unknown; extensions: { code: string; facts?: Record<string, unknown>; logId?: string; stacktrace?: unknown } }[] } // oxlint-disable-line typescript/no-explicit-any

jest.setTimeout(30_000)

let postgres: TestPostgres
let prisma: PrismaClient
let server: ApiServer
const open: ApiServer[] = []

const ask = async (query: string, variables: Record<string, unknown> = {}, url = server.url, session: Record<string, string> = {}): Promise<Answer & { status: number; text: string }> => {
  const response = await fetch(`${url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json', ...session }, body: JSON.stringify({ query, variables }) })
  const text = await response.text()
  return { ...(JSON.parse(text) as Answer), status: response.status, text }
}
const start = async (options: Parameters<typeof startServer>[0]): Promise<ApiServer> => {
  const started = await startServer(options)
  open.push(started)
  return started
}
const base = { log, host: '127.0.0.1', port: 0 }

beforeAll(async () => {
  postgres = await startTestPostgres()
  prisma = createPrisma(await postgres.freshDatabase())
  await seed(prisma)
  server = await start({ ...services(prisma, noChain), ...base })
}, 90_000)

afterAll(async () => {
  await Promise.all(open.map((one) => one.close()))
  await prisma?.$disconnect()
  await postgres?.stop()
}, 30_000)

/** All pages of a connection, and how many there were. */
async function pages(field: string, args: string, first: number, pick = 'id'): Promise<{ ids: string[]; count: number; total: number }> {
  const ids: string[] = []
  let after: string | null = null
  for (let count = 1; count < 50; count++) {
    const { data, errors } = await ask(`query($after: String) { list: ${field}(first: ${first}, after: $after${args}) { totalCount nodes { ${pick} } pageInfo { hasNextPage endCursor } } }`, { after })
    expect(errors).toBeUndefined()
    ids.push(...data.list.nodes.map((node: { id: string }) => node.id))
    if (!data.list.pageInfo.hasNextPage) return { ids, count, total: data.list.totalCount }
    after = data.list.pageInfo.endCursor
  }
  throw new RangeError('the pages do not end')
}

describe('connections', () => {
  test.each([
    ['liquidations', '', 5],
    ['positions', '', 5],
    ['parameterChanges', '', 3],
    ['proposals', '', 3],
    ['accounts', ', orderBy: ID', 7],
    ['accounts', ', orderBy: MARGIN_RATIO', 7],
    ['accounts', ', orderBy: POSITION_VALUE', 7],
  ])('behavior: pages of 2 of %s%s hold every node once, in the order of one page', async (field, args, total) => {
    const small = await pages(field, args, 2)
    const whole = await pages(field, args, 200)
    expect(small).toEqual({ ids: whole.ids, count: Math.ceil(total / 2), total })
    expect(new Set(small.ids).size).toBe(total)
    expect(whole.count).toBe(1)
  })

  test('behavior: facts come newest first, and within a block by log index', async () => {
    const { data } = await ask('{ liquidations { nodes { block notional { raw } } } }')
    expect(data.liquidations.nodes.map((node: { block: string; notional: { raw: string } }) => [node.block, node.notional.raw])).toEqual([['502', '4'], ['501', '3'], ['501', '2'], ['500', '1'], ['500', '0']])
  })

  test('behavior: a page that ends between two facts of one block goes on with the second', async () => {
    const first = await ask('{ liquidations(first: 2) { nodes { notional { raw } } pageInfo { endCursor } } }')
    const next = await ask('query($after: String) { liquidations(first: 2, after: $after) { nodes { notional { raw } } } }', { after: first.data.liquidations.pageInfo.endCursor })
    expect(next.data.liquidations.nodes.map((node: { notional: { raw: string } }) => node.notional.raw)).toEqual(['2', '1'])
  })

  test('behavior: filters narrow the list and its total', async () => {
    const { data } = await ask(`{ none: liquidations(market: "vBTC") { totalCount nodes { id } } eth: liquidations(market: "vETH", account: "${addressOf(1)}") { totalCount } positions(market: "vBTC") { totalCount nodes { account } } applied: proposals(state: APPLIED) { nodes { id } } }`)
    expect(data).toEqual({ none: { totalCount: 0, nodes: [] }, eth: { totalCount: 5 }, positions: { totalCount: 1, nodes: [{ account: addressOf(3) }] }, applied: { nodes: [{ id: 'p0' }] } })
  })

  test.each([0, -1, 201, 2147483647])('error: refuses first: %d with one sentence', async (first) => {
    const { errors, text } = await ask(`{ accounts(first: ${first}) { totalCount } }`)
    expect(errors?.[0]).toMatchObject({ message: `Found first: ${first}, allowed is 1 to 200; ask for fewer and go on with \`after\``, extensions: { code: 'BAD_INPUT' } })
    expect(text).not.toContain('    at ')
  })

  test.each(['', 'x', 'eyJ9', Buffer.from('["proposals, newest first","1","2"]').toString('base64url'), Buffer.from('{"a":1}').toString('base64url'), Buffer.from('["accounts by ID",1]').toString('base64url')])('error: refuses the cursor "%s" of no such list', async (after) => {
    const { errors } = await ask('query($after: String) { accounts(orderBy: ID, after: $after) { totalCount } }', { after })
    expect(errors?.[0]?.extensions.code).toBe('BAD_INPUT')
    expect(errors?.[0]?.message).toContain('allowed is an endCursor of the list of accounts by ID; leave out `after` to start over')
  })
})

const cursorOf = (...parts: string[]): string => Buffer.from(JSON.stringify(parts)).toString('base64url')

describe('input that no column holds', () => {
  test.each([
    ['liquidations', cursorOf('liquidations, newest first', '9223372036854775808', '0', '0x00')],
    ['liquidations', cursorOf('liquidations, newest first', '1', '2147483648', '0x00')],
    ['liquidations', cursorOf('liquidations, newest first', '-1', '0', '0x00')],
    ['liquidations', cursorOf('liquidations, newest first', '1', '0', '0x00\0')],
    ['positions', cursorOf('open positions', '0x\0')],
    ['proposals', cursorOf('proposals, newest first', '9999999999999999999', 'p1')],
    ['proposals', cursorOf('proposals, newest first', '1', 'p\0')],
    ['accounts', cursorOf('accounts by MARGIN_RATIO', '0', 'x', '0x00')],
    ['accounts', cursorOf('accounts by MARGIN_RATIO', '2', '0', '0x\0')],
  ])('error: %s refuses the cursor %s in one sentence', async (field, after) => {
    const { errors } = await ask(`query($after: String) { ${field}(after: $after) { nodes { id } } }`, { after })
    expect(errors?.[0]).toMatchObject({ message: expect.stringMatching(/^Found the cursor .*leave out `after` to start over$/), extensions: { code: 'BAD_INPUT' } })
  })

  test('behavior: the largest block and log index that a column holds are places in the order', async () => {
    const { data } = await ask('query($after: String) { liquidations(after: $after) { nodes { id } } }', { after: cursorOf('liquidations, newest first', (2n ** 63n - 1n).toString(), (2 ** 31 - 1).toString(), '') })
    expect(data.liquidations.nodes).toHaveLength(5)
  })

  test.each([
    ['query($id: ID!) { proposal(id: $id) { id } }', { id: 'p\0' }],
    ['query($id: ID!) { recommendation(id: $id) { id } }', { id: '\0' }],
    ['{ proposal(id: "p\\u0000") { id } }', {}],
    ['query($name: String!) { parameter(name: $name) { id } }', { name: 'mmRatio\0' }],
    ['mutation($input: DraftProposalInput!) { draftProposal(input: $input) { id } }', { input: { title: 'a\0b', changes: [] } }],
    ['mutation($input: DraftProposalInput!) { draftProposal(input: $input) { id } }', { input: { title: 'a', changes: [{ parameter: 'feeRatio\0', toRaw: '1' }] } }],
    ['mutation($id: ID!) { cancelProposal(id: $id) { id } }', { id: '\0' }],
  ])('error: a NUL in %s %j is refused in one sentence', async (query, variables) => {
    const { errors } = await ask(query, variables)
    expect(errors?.[0]).toMatchObject({ message: 'Found a NUL character in an argument, allowed is text without one; take it out', extensions: { code: 'BAD_INPUT' } })
  })
})

describe('amounts', () => {
  test('behavior: raw integers and their decimal text are exact beyond what a float holds', async () => {
    const { data } = await ask(`{ markets { symbol openInterestLong { raw decimals value } marketPrice { value } indexPrice { value } } account(id: "${addressOf(7)}") { settlementBalance { raw value } badDebt { value } } insuranceFund { capacity { raw value } wallet { value } vault { value } inflow { raw } } collaterals { symbol totalBalance { value } } }`)
    expect(data.markets[0]).toEqual({ symbol: 'vETH', openInterestLong: { raw: LARGE, decimals: 18, value: '1000000000.000000000000000001' }, marketPrice: { value: '1999.999999999999999999' }, indexPrice: { value: '2000.000000000000000001' } })
    expect(data.account).toEqual({ settlementBalance: { raw: '-1', value: '-0.000001' }, badDebt: { value: '1000000000.000000000000000001' } })
    // 1.5 in the wallet − 0.500000000000000001 in the vault.
    expect(data.insuranceFund).toEqual({ capacity: { raw: '999999999999999999', value: '0.999999999999999999' }, wallet: { value: '1.5' }, vault: { value: '-0.500000000000000001' }, inflow: { raw: LARGE } })
    expect(data.collaterals).toEqual([{ symbol: 'WETH', totalBalance: { value: '3.000000000000000001' } }])
  })

  test('behavior: parameters carry their unit, bounds and history', async () => {
    const { data } = await ask('{ parameter(name: "marketMaxPriceSpreadRatio", subject: "vETH") { display unit raw subjectLabel settable bounds { min max } history(first: 2) { totalCount nodes { oldDisplay newDisplay block } } } mm: parameter(name: "mmRatio") { display settable advisory subjectLabel } }')
    expect(data.parameter).toMatchObject({ display: '10 %', unit: '%', raw: '100000', subjectLabel: 'vETH', settable: true, bounds: { min: '0', max: '16777215' }, history: { totalCount: 3, nodes: [{ oldDisplay: '6.25 %', newDisplay: '10 %', block: '602' }, { oldDisplay: '6.25 %', newDisplay: '6.25 %', block: '601' }] } })
    expect(data.mm).toMatchObject({ display: '6.25 %', settable: false, subjectLabel: 'protocol' })
    expect(data.mm.advisory).toContain('ClearingHouseConfig')
  })

  test('behavior: a parameter change without a known value before says null, not zero', async () => {
    const { data } = await ask('{ parameterChanges(name: "marketMaxPriceSpreadRatio", subject: "vETH") { nodes { oldRaw oldDisplay newRaw } } }')
    expect(data.parameterChanges.nodes.at(-1)).toEqual({ oldRaw: null, oldDisplay: null, newRaw: '62500' })
  })

  test('behavior: prices are the last ones, oldest first', async () => {
    const { data } = await ask('{ market(id: "veth") { prices(last: 2) { price { value } } } }')
    expect(data.market.prices.map((point: { price: { value: string } }) => point.price.value)).toEqual(['1995', '2000'])
  })

  test('behavior: prices of the pool are those after its last trades, oldest first', async () => {
    const [eth] = await prisma.market.findMany({ where: { symbol: 'vETH' } })
    const trade = (n: number, sqrtPriceAfterX96: string | null) => ({ id: `pool-price-${n}`, accountId: addressOf(1), marketId: eth!.id, sizeDeltaE18: '0', notionalDeltaE18: '0', feeE18: '0', sizeAfterE18: '0', openNotionalAfterE18: '0', realizedPnlE18: '0', sqrtPriceAfterX96, blockNumber: BigInt(990 + n), timestamp: 1_699_999_900n + BigInt(n), transactionHash: `0x${'cd'.repeat(32)}`, logIndex: 0 })
    // 2 · 2^96 and 3 · 2^96: prices of 4 and 9 to the wei.
    await prisma.positionChange.createMany({ data: [trade(1, `${2n * 2n ** 96n}`), trade(2, null), trade(3, `${3n * 2n ** 96n}`)] })
    const { data } = await ask('{ market(id: "vETH") { poolPrices(last: 2) { timestamp price { value } } } }')
    await prisma.positionChange.deleteMany({ where: { id: { startsWith: 'pool-price-' } } })
    expect(data.market.poolPrices).toEqual([{ timestamp: '1699999901', price: { value: '4' } }, { timestamp: '1699999903', price: { value: '9' } }])
  })
})

describe('recommendations and proposals', () => {
  test('behavior: a parameter tells what each run that is kept says of it, newest first, those that held it with their reason', async () => {
    const [band] = await prisma.recommendation.findMany({ where: { runId: '990-bbbb' } })
    const run = await prisma.recommendationRun.findUniqueOrThrow({ where: { id: '990-bbbb' } })
    // One that held it, and one of a block that is not served yet.
    for (const [block, more] of [[980n, { direction: 'HOLD', recommended: band!.current, urgency: 0, reason: 'Held: the deadband' }], [2000n, {}]] as const) {
      await prisma.recommendationRun.create({ data: { ...run, inputs: {}, id: `${block}-cccc`, blockNumber: block } })
      await prisma.recommendation.create({ data: { ...band!, inputs: {}, evidence: [], adjustments: [], id: `${block}-cccc:band`, runId: `${block}-cccc`, ...more } })
    }
    const told = async (after: string | null) => (await ask('query($after: String) { parameter(name: "marketMaxPriceSpreadRatio", subject: "vETH") { recommendations(first: 2, after: $after) { nodes { direction currentDisplay recommendedDisplay reason block { number } } pageInfo { hasNextPage endCursor } totalCount } } }', { after })).data.parameter.recommendations
    const first = await told(null)
    const second = await told(first.pageInfo.endCursor)
    await prisma.recommendationRun.deleteMany({ where: { id: { endsWith: '-cccc' } } })
    expect(first).toMatchObject({ nodes: [{ direction: 'TIGHTEN', recommendedDisplay: '6.25 %', block: { number: '1000' } }, { direction: 'TIGHTEN', block: { number: '990' } }], pageInfo: { hasNextPage: true }, totalCount: 3 })
    expect(second).toMatchObject({ nodes: [{ direction: 'HOLD', currentDisplay: '10 %', recommendedDisplay: '10 %', reason: 'Held: the deadband', block: { number: '980' } }], pageInfo: { hasNextPage: false } })
  })

  test('behavior: recommendations are those of the latest run, most urgent first', async () => {
    const { data } = await ask('{ recommendations { id urgency settable title evidence { label value } adjustments { step why } block { number } } settable: recommendations(settableOnly: true) { currentDisplay recommendedDisplay currentRaw } }')
    expect(data.recommendations.map((one: { urgency: number }) => one.urgency)).toEqual([90, 80])
    expect(data.recommendations[0].block.number).toBe('1000')
    expect(data.settable).toEqual([{ currentDisplay: '10 %', recommendedDisplay: '6.25 %', currentRaw: '100000' }])
  })

  test('behavior: equally urgent ones come by parameter and then subject, as the one to act on first is chosen', async () => {
    const rows = await prisma.recommendation.findMany({ where: { runId: '1000-aaaa' } })
    const mm = rows.find((row) => row.parameter === 'mmRatio')!
    await prisma.recommendation.update({ where: { id: mm.id }, data: { urgency: 80, confidence: 0.9 } })
    const { data } = await ask('{ recommendations { parameter urgency confidence } }')
    await prisma.recommendation.update({ where: { id: mm.id }, data: { urgency: 90, confidence: 0.8 } })
    expect(data.recommendations).toEqual([{ parameter: 'marketMaxPriceSpreadRatio', urgency: 80, confidence: 0.8 }, { parameter: 'mmRatio', urgency: 80, confidence: 0.9 }])
  })

  test('behavior: a proposal shows its changes, its simulation and its history', async () => {
    const { data } = await ask('{ proposal(id: "p1") { state threshold changes { title fromDisplay toDisplay toRaw } calls { data } simulation { success gasUsed parameters { beforeRaw afterRaw } } signatures { signer } events { toState note } draftedAt { number } } }')
    expect(data.proposal).toMatchObject({ state: 'AWAITING_SIGNATURES', threshold: 2, changes: [{ title: 'Price band', fromDisplay: '10 %', toDisplay: '6.25 %', toRaw: '62500' }], calls: [{ data: '0x1234' }], simulation: { success: true, gasUsed: '123456', parameters: [{ beforeRaw: '100000', afterRaw: '62500' }] }, signatures: [{ signer: addressOf(50) }], events: [{ toState: 'DRAFT', note: 'Drafted' }], draftedAt: { number: '900' } })
  })

  test('behavior: a draft hands the whole intent on and answers what was stored', async () => {
    const drafted: unknown[] = []
    const api = await start({ ...services(prisma, noChain, { proposals: { draft: async (input) => { drafted.push(input); return { id: 'p2' } as never } } }), ...base })
    const { data, errors } = await ask('mutation($input: DraftProposalInput!) { draftProposal(input: $input) { id state } }', { input: { title: 'Narrow the band', recommendationIds: ['a', 'a'], changes: [{ parameter: 'marketMaxPriceSpreadRatio', subject: 'vETH', toRaw: '62500' }] } }, api.url, await bearer(api.url, steward))
    expect(errors).toBeUndefined()
    expect(data.draftProposal).toEqual({ id: 'p2', state: 'AWAITING_SIGNATURES' })
    expect(drafted).toEqual([{ title: 'Narrow the band', recommendationIds: ['a'], changes: [{ parameter: 'marketMaxPriceSpreadRatio', subject: 'vETH', to: 62_500n, confirm: null }], desired: null, validForSec: null, playbook: null, by: steward.address.toLowerCase() }])
  })
})

describe('errors', () => {
  test('error: ours arrive with their sentence, code and facts', async () => {
    const api = await start({ ...services(prisma, noChain, { proposals: { cancel: async () => { throw new WrongStateError({ id: 'p0', found: 'APPLIED', allowed: [], action: 'cancel' }) } } }), ...base })
    const { errors } = await ask('mutation { cancelProposal(id: "p0") { id } }', {}, api.url, await bearer(api.url, steward))
    expect(errors?.[0]).toMatchObject({ message: 'Found proposal p0 in state APPLIED, to cancel no state allows it; look at its history, or draft a new one', extensions: { code: 'WRONG_STATE', facts: { found: 'APPLIED' } } })
    expect(Object.keys(errors![0]!.extensions).toSorted()).toEqual(['code', 'facts'])
  })

  test('error: anything unknown is masked, with the log id alone', async () => {
    const secret = 'postgresql://user:hunter2@db'
    const api = await start({ ...services(prisma, noChain, { proposals: { cancel: async () => { throw new TypeError(`cannot read ${secret}`) } } }), ...base })
    const { errors, text } = await ask('mutation { cancelProposal(id: "p0") { id } }', {}, api.url, await bearer(api.url, steward))
    expect(errors?.[0]?.message).toBe(`Internal error; the server's log has it under ${errors?.[0]?.extensions.logId}`)
    expect(errors?.[0]?.extensions.code).toBe('INTERNAL')
    expect(text).not.toMatch(/hunter2|TypeError|stack| at /)
  })

  test.each([
    ['{ liquidations(market: "vDOGE") { totalCount } }', 'Found market "vDOGE", allowed are vETH, vBTC, vOP and their base token addresses; take one of these'],
    ['{ account(id: "0x12") { id } }', 'Found "0x12" for an account, allowed is 0x and 40 hexadecimal digits; check that it was copied whole'],
    ['{ parameter(name: "feeRatio") { id } }', 'Found no subject for feeRatio, which every market has; name one with `subject`'],
    ['mutation { draftProposal(input: {title: "x", changes: [{parameter: "feeRatio", toRaw: "1.5"}]}) { id } }', 'Found "1.5" for BigInt, allowed is a whole number as decimal text of at most 78 digits; send for example "1000000"'],
    ['{ market(id: "vETH") { prices(last: 2001) { timestamp } } }', 'Found last: 2001, allowed is 1 to 2000; ask for fewer and go on with `after`'],
  ])('error: %s is answered with one sentence', async (query, sentence) => {
    const { errors, text } = await ask(query)
    expect(errors?.[0]?.message).toContain(sentence)
    expect(errors?.[0]?.message).not.toContain('\n')
    expect(text).not.toContain('stacktrace')
  })

  test('behavior: what does not exist is null', async () => {
    const { data } = await ask(`{ account(id: "${addressOf(999)}") { id } market(id: "vDOGE") { id } proposal(id: "nope") { id } recommendation(id: "nope") { id } }`)
    expect(data).toEqual({ account: null, market: null, proposal: null, recommendation: null })
  })

  test('error: a query that is too deep, too large or too long is refused before it runs', async () => {
    const large = await ask('{ accounts(first: 200) { nodes { positions { market { parameters { history(first: 200) { nodes { id } } } } } } } }')
    expect(large).toMatchObject({ status: 400, errors: [{ extensions: { code: 'QUERY_TOO_LARGE' } }] })
    const deep = await ask(`{ positions(first: 1) { nodes { market { parameters { history(first: 1) { nodes { id } } } } } } }`, {}, (await start({ ...services(prisma, noChain), ...base, limits: { ...LIMITS, maxDepth: 6 } })).url)
    expect(deep).toMatchObject({ status: 400, errors: [{ message: 'Found a query 7 levels deep, allowed is 6; ask for the inner part in a query of its own', extensions: { code: 'QUERY_TOO_DEEP' } }] })
    const long = await ask(`{ ${Array.from({ length: LIMITS.maxTokens }, (_, index) => `a${index}: __typename`).join(' ')} }`)
    expect(long).toMatchObject({ status: 400, errors: [{ extensions: { code: 'GRAPHQL_PARSE_FAILED' } }] })
  })

  test('error: a body that is no JSON, and a page that is none, are answered in a sentence', async () => {
    const bad = await fetch(`${server.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{bad' })
    expect([bad.status, await bad.text()]).toEqual([400, expect.stringContaining('Found a body that is no JSON object')])
    const none = await fetch(`${server.url}/nope`)
    expect([none.status, await none.text()]).toEqual([404, expect.stringContaining('allowed are / for the console and /graphql for queries')])
  })

  test('error: a request under a foreign host name is refused, and no other origin is let in', async () => {
    const { request } = await import('node:http')
    const status = await new Promise<number>((resolve, reject) => request(`${server.url}/graphql?query={__typename}`, { headers: { host: 'rebound.example' } }, (response) => { response.resume(); resolve(response.statusCode ?? 0) }).once('error', reject).end())
    expect(status).toBe(403)
    const preflight = await fetch(`${server.url}/graphql`, { method: 'OPTIONS', headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' } })
    expect(preflight.headers.get('access-control-allow-origin')).toBeNull()
  })

  test('error: a taken port is named', async () => {
    await expect(startServer({ ...services(prisma, noChain), ...base, port: server.port })).rejects.toThrow(`Found port ${server.port} of 127.0.0.1 taken, allowed is a free one; stop what listens there or set API_PORT`)
  })
})

describe('status', () => {
  const STATUS = '{ status { network chainId indexed { number hash timestamp } ageSec lagBlocks health parts { name health detail } } }'
  const partsOf = (answer: Answer) => Object.fromEntries(answer.data.status.parts.map((part: { name: string; health: string }) => [part.name, part.health]))

  test('behavior: with the chain down, the last indexed block is served, its age is unknown and the chain is named', async () => {
    await prisma.mirrorStatus.update({ where: { id: 1 }, data: { updatedAt: new Date() } })
    const api = await start({ ...services(prisma, noChain), ...base })
    const answer = await ask(STATUS, {}, api.url)
    expect(answer.data.status).toMatchObject({ network: 'devnet', chainId: 31337, indexed: { number: '1000', hash: BLOCK.hash, timestamp: '1700000000' }, ageSec: null, lagBlocks: null, health: 'DOWN' })
    expect(partsOf(answer)).toMatchObject({ chain: 'DOWN', database: 'UP', mirror: 'UP', 'graph-node': 'UP', api: 'UP' })
    const page = await ask('{ markets { indexPrice { value } markPrice { value } } accounts { nodes { margin { marginRatio } } } }', {}, api.url)
    expect(page.errors).toBeUndefined()
    // Margins ask the mirror's rows alone: vBTC's long of account 3 is worth 1,000, bought at 1,900, with 1,000 USDC.
    expect(page.data.markets[0]).toEqual({ indexPrice: { value: '2000.000000000000000001' }, markPrice: { value: '1800' } })
    expect(page.data.accounts.nodes[0]).toEqual({ margin: { marginRatio: 0.1 } })
    await new Promise((resolve) => setTimeout(resolve, 1100))
    expect(partsOf(await ask(STATUS, {}, api.url))).toMatchObject({ margin: 'UP' })
  })

  test('behavior: age and lag are counted from the chain head, in chain time', async () => {
    await prisma.mirrorStatus.update({ where: { id: 1 }, data: { updatedAt: new Date() } })
    const api = await start({ ...services(prisma, chainAt(1003n, BLOCK.timestamp + 6n, () => null)), ...base })
    const { data } = await ask(STATUS, {}, api.url)
    expect(data.status).toMatchObject({ ageSec: 6, lagBlocks: 3, health: 'UP' })
  })

  test('behavior: another chain behind the RPC is said to be wrong', async () => {
    const chain = { ...chainAt(1003n, BLOCK.timestamp, () => null), client: { getChainId: async () => 10 } as never }
    const api = await start({ ...services(prisma, chain), ...base })
    const { data } = await ask(STATUS, {}, api.url)
    expect(data.status.parts[0]).toEqual({ name: 'chain', health: 'DOWN', detail: `Found chain id 10, devnet has ${deployment.chainId}; point RPC_URL at devnet.` })
  })

  test('behavior: a silent mirror is down, and a fault of graph-node that it names is graph-node’s', async () => {
    await prisma.mirrorStatus.update({ where: { id: 1 }, data: { updatedAt: new Date(Date.now() - 60_000) } })
    const silent = await start({ ...services(prisma, noChain), ...base })
    expect(partsOf(await ask(STATUS, {}, silent.url))).toMatchObject({ mirror: 'DOWN', 'graph-node': 'DEGRADED' })
    await prisma.mirrorStatus.update({ where: { id: 1 }, data: { updatedAt: new Date(), state: 'WAITING', error: 'graph-node: it does not answer; start it', errorPart: 'graph-node' } })
    const waiting = await start({ ...services(prisma, noChain), ...base })
    expect(partsOf(await ask(STATUS, {}, waiting.url))).toMatchObject({ mirror: 'DEGRADED', 'graph-node': 'DOWN' })
    await prisma.mirrorStatus.update({ where: { id: 1 }, data: { updatedAt: new Date(), state: 'FOLLOWING', error: null, errorPart: null } })
  })

  test('behavior: a job that fails is degraded until it works again', async () => {
    let works = false
    const job = createJob({ name: 'recommendations', gapMs: 20, log, run: async () => { if (!works) throw new TypeError('inner words'); return 'It ran' } })
    job.trigger()
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(job.health()).toMatchObject({ health: 'DEGRADED' })
    expect(job.health().detail).not.toContain('inner words')
    works = true
    await new Promise((resolve) => setTimeout(resolve, 80))
    expect(job.health()).toMatchObject({ health: 'UP' })
    await job.stop()
  })

  test('behavior: a job waits while the mirror is more than 300 blocks behind, says so, and goes on by itself', async () => {
    let chainBlock = 1301n
    let runs = 0
    const job = createJob({ name: 'recommendations', gapMs: 20, log, run: async () => farBehind({ indexedBlock: 1000n, chainBlock }) ?? `Run ${++runs}` })
    job.trigger()
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(job.health()).toEqual({ health: 'DEGRADED', detail: 'It waits while the mirror is 301 blocks behind the chain, and goes on by itself from 300.' })
    expect(runs).toBe(0)
    chainBlock = 1300n
    await new Promise((resolve) => setTimeout(resolve, 80))
    expect(job.health()).toMatchObject({ health: 'UP', detail: expect.stringContaining('Run 1') })
    expect(runs).toBe(1)
    await job.stop()
  })

  test('behavior: how far behind is counted from block 0 before the first step, and unknown before the chain is known', () => {
    expect(farBehind(null)).toBeNull()
    expect(farBehind({ indexedBlock: null, chainBlock: null })).toBeNull()
    expect(farBehind({ indexedBlock: null, chainBlock: 301n })?.waits).toContain('301 blocks')
    // After the chain was put back, the mirror may stand above it.
    expect(farBehind({ indexedBlock: 900n, chainBlock: 10n })).toBeNull()
  })

  test('behavior: before the first step it serves: lists are empty, single things null, and the status says what is missing', async () => {
    const empty = createPrisma(await postgres.freshDatabase())
    const api = await start({ ...services(empty, chainAt(5n, BLOCK.timestamp, () => null)), ...base })
    const page = '(first: 2) { totalCount nodes { id } pageInfo { hasNextPage endCursor } }'
    const { data, errors } = await ask(`{ protocol { id } markets { id } collaterals { id } parameters { id } recommendations { id } insuranceFund { id } accounts${page} byId: accounts(orderBy: ID) { totalCount nodes { id } } positions${page} liquidations${page} collateralLiquidations${page} parameterChanges${page} proposals${page} ${STATUS.slice(1, -1)} }`, {}, api.url)
    expect(errors).toBeUndefined()
    const { status, ...rest } = data
    const none = { totalCount: 0, nodes: [], pageInfo: { hasNextPage: false, endCursor: null } }
    expect(rest).toEqual({ protocol: null, markets: [], collaterals: [], parameters: [], recommendations: [], insuranceFund: null, accounts: none, byId: { totalCount: 0, nodes: [] }, positions: none, liquidations: none, collateralLiquidations: none, parameterChanges: none, proposals: none })
    expect(status).toMatchObject({ indexed: null, ageSec: null, lagBlocks: null, health: 'DEGRADED' })
    expect(status.parts.filter((part: { health: string }) => part.health !== 'UP').map((part: { detail: string }) => part.detail)).toEqual(['Not known before the mirror has asked it.', 'It has not started yet; wait for its first step.'])
    expect((await fetch(`${api.url}/healthz`)).status).toBe(200)
    await empty.$disconnect()
  })

  test('behavior: with the database away it still answers, names it, keeps the last block, and comes back', async () => {
    const name = new URL(await postgres.freshDatabase()).pathname.slice(1)
    const url = postgres.url(name)
    const own = createPrisma(url)
    await seed(own)
    let now = Date.now()
    const api = await start({ ...services(own, noChain, { now: () => now }), ...base })
    expect(partsOf(await ask(STATUS, {}, api.url))).toMatchObject({ database: 'UP' })
    await prisma.$executeRawUnsafe(`ALTER DATABASE "${name}" ALLOW_CONNECTIONS false`)
    await prisma.$executeRawUnsafe(`SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '${name}'`)
    now += 5000
    const away = await ask(STATUS, {}, api.url)
    expect(away.errors).toBeUndefined()
    expect(away.data.status.indexed.number).toBe('1000')
    expect(partsOf(away)).toMatchObject({ database: 'DOWN', api: 'UP' })
    expect((await fetch(`${api.url}/healthz`)).status).toBe(200)
    const ready = await fetch(`${api.url}/readyz`)
    expect([ready.status, await ready.json()]).toEqual([503, { ready: false, reason: 'The database does not answer; start it or check DATABASE_URL.' }])
    expect(await (await fetch(`${api.url}/metrics`)).text()).toContain('bulwark_part_health{part="database",health="DOWN"} 1')
    const rows = await ask('{ markets { id } }', {}, api.url)
    expect(rows.errors?.[0]).toMatchObject({ message: 'database: it does not answer; see Query.status and ask again in a few seconds', extensions: { code: 'UNAVAILABLE' } })
    expect(rows.text).not.toMatch(/prisma|stack/i)
    await prisma.$executeRawUnsafe(`ALTER DATABASE "${name}" ALLOW_CONNECTIONS true`)
    now += 5000
    expect(partsOf(await ask(STATUS, {}, api.url))).toMatchObject({ database: 'UP' })
    expect((await ask('{ markets { symbol } }', {}, api.url)).data.markets).toHaveLength(3)
    await own.$disconnect()
  }, 30_000)
})

describe('one request', () => {
  test('behavior: answers that fail before their snapshot has begun leave no connection behind', async () => {
    const own = createPrisma(await postgres.freshDatabase())
    const api = await start({ ...services(own, noChain), ...base })
    const failed = await Promise.all(Array.from({ length: 25 }, () => ask('{ accounts(first: 0) { nodes { id } } markets { symbol } }', {}, api.url)))
    expect(failed.every((one) => one.errors?.[0]?.extensions.code === 'BAD_INPUT')).toBe(true)
    // A snapshot that stays open would be idle in its transaction until its 20 s are over.
    const held = await own.$queryRawUnsafe<{ count: bigint }[]>(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'`)
    expect(held[0]?.count).toBe(0n)
    expect((await ask('{ markets { symbol } }', {}, api.url)).errors).toBeUndefined()
    await own.$disconnect()
  })

  test('behavior: a context that is closed before it has read opens nothing', async () => {
    let transactions = 0
    const counting = new Proxy(prisma, { get: (target, name) => { if (name === '$transaction') transactions++; return Reflect.get(target, name) as unknown } })
    const { createContext } = await import('../../api/graphql/context.ts')
    const context = createContext(services(counting, noChain))
    await context.close()
    await expect(context.db()).rejects.toThrow('Found a read after the answer went out')
    expect(transactions).toBe(0)
  })

  test('behavior: all its figures are of one block, even while the mirror steps', async () => {
    const api = await start({ ...services(prisma, noChain), ...base })
    // The first field reads the checkpoint and opens the snapshot; the second reads after the step.
    const chain = services(prisma, noChain)
    const { createContext } = await import('../../api/graphql/context.ts')
    const context = createContext(chain)
    expect((await context.indexed())?.number).toBe(1000n)
    await prisma.$transaction([
      prisma.protocol.updateMany({ data: { accountCount: 8 } }),
      prisma.checkpoint.create({ data: { blockNumber: 1001n, blockHash: BLOCK.hash, blockTimestamp: BLOCK.timestamp + 2n, rowCount: 1 } }),
    ])
    expect((await (await context.db()).protocol.findFirstOrThrow()).accountCount).toBe(7)
    await context.close()
    expect((await ask('{ protocol { accountCount } status { indexed { number } } }', {}, api.url)).data).toEqual({ protocol: { accountCount: 8 }, status: { indexed: { number: '1001' } } })
    await prisma.checkpoint.delete({ where: { blockNumber: 1001n } })
    await prisma.protocol.updateMany({ data: { accountCount: 7 } })
  })
})

describe('the depth of a market', () => {
  test('error: a move that is none is refused in a sentence', async () => {
    for (const move of [0, 1, -0.5, 0.0000001]) {
      const { errors } = await ask(`{ market(id: "vETH") { depth(move: ${move}) { move } } }`)
      expect(errors?.[0]).toMatchObject({ message: `Found move: ${move}, allowed is above 0 and below 1 (0.02 is 2 %); choose one in that range`, extensions: { code: 'BAD_INPUT' } })
    }
  })
})
