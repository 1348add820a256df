/** The commands of analysis against a real API over a small book whose figures are worked out by hand. */
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startServer, type ApiServer } from '../../api/graphql/server.ts'
import type { Services } from '../../api/graphql/context.ts'
import { ANALYSIS } from '../../cli/analysis/index.ts'
import { apiUrl, helpOf, operationIn, runCommand, type Io } from '../../cli/analysis/io.ts'
import { buildReport, type ReportAnswers } from '../../cli/analysis/report.ts'
import { PROJECT } from '../../cli/options.ts'
import { createPrisma, type PrismaClient } from '../../prisma/client.ts'
import { seedRisk } from '../graphql/risk-support.ts'
import { addressOf, BLOCK, deployment, log, noChain, seed, services } from '../graphql/support.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'

let postgres: TestPostgres
let prisma: PrismaClient
let server: ApiServer
let shared: Services

type Ran = { readonly out: string; readonly err: string }

/** Runs a command as the process would, at a terminal of `width` columns. `onErr` hears what goes to stderr. */
async function run(line: readonly string[], { width = null, onErr = () => {}, signal = new AbortController().signal }: { width?: number | null; onErr?: (text: string) => void; signal?: AbortSignal } = {}): Promise<Ran> {
  const [name, ...args] = line
  const ran = { out: '', err: '' }
  const io: Io = {
    out: (text) => void (ran.out += text),
    err: (text) => {
      ran.err += text
      onErr(text)
    },
    width,
    bold: (text) => text,
    signal,
  }
  await runCommand(ANALYSIS.find((one) => one.name === name)!, [...args, '--url', server.url], io)
  return ran
}

const ask = async (query: string): Promise<any> => ((await (await fetch(`${server.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query }) })).json()) as { data: unknown }).data // oxlint-disable-line typescript/no-explicit-any

/** Cells of the line that begins with a word. */
const cells = (out: string, start: string): string[] => out.split('\n').find((line) => line.trimStart().startsWith(start))?.trim().split(/ {2,}/) ?? []

beforeAll(async () => {
  postgres = await startTestPostgres()
  prisma = createPrisma(await postgres.freshDatabase())
  await seed(prisma)
  await seedRisk(prisma)
  // Two full days of the vETH feed, 2023-11-12 and 13: squared returns of 0.0025 are 5 % a day.
  const feedId = deployment.markets[0]!.chainlinkFeed.toLowerCase()
  for (const timestamp of [1_699_747_200n, 1_699_833_600n]) await prisma.priceStats.create({ data: { id: `day:${timestamp}`, interval: 'day', timestamp, feedId, priceE18: '2000', highE18: '2010', lowE18: '1990', squaredReturnE18: '2500000000000000', samples: 288n } })
  shared = services(prisma, noChain)
  server = await startServer({ ...shared, log, host: '127.0.0.1', port: 0 })
}, 400_000)
afterAll(async () => {
  await shared?.risk.runs.stop()
  await server?.close()
  await prisma?.$disconnect()
  await postgres?.stop()
})

describe('stress', () => {
  test('behavior: a shock of one’s own is one scenario, with the figures of hand arithmetic', async () => {
    const { out, err } = await run(['stress', '--shock', 'vBTC=-0.2', '--worst', '2'])
    // Account 3 holds 1 vBTC, bought for 1,900 with 1,000 of cash; at 800 it is worth 1000 + 800 − 1900 = −100, its notional is 800, and it needs 6.25 % of that: 50.
    expect(cells(out, `vBTC-down-20  ${addressOf(3)}`)).toEqual(['vBTC-down-20', addressOf(3), '−100.00', '50.00', '800.00', expect.any(String)])
    const [id, due, notional, badDebt, fundUsed] = cells(out, 'vBTC-down-20')
    expect([id, due, notional, fundUsed]).toEqual(['vBTC-down-20', '1', '800.00', '50.00'])
    expect(Number(badDebt)).toBeGreaterThanOrEqual(100)
    expect(out).toContain('vBTC −20.0 %')
    expect(out).toContain('Insurance fund  50.00 USD')
    expect(out).toContain('Assumed\n- ')
    expect(out).toContain(`block ${BLOCK.number} of 2023-11-14 22:13:20 UTC`)
    expect(err).toBe('')
  })

  test('behavior: ETH is the market and the collateral alike, and regimes are listed worst first', async () => {
    const own = JSON.parse((await run(['stress', '--shock', 'ETH=-0.3', '--shock', 'others=-0.1', '--json'])).out)
    const moves = Object.fromEntries(own.stressTest.scenarios[0].moves.map(({ name, value }: { name: string; value: number }) => [name, value]))
    expect(moves).toMatchObject({ vETH: -0.3, WETH: -0.3, vBTC: -0.1 })

    const two = JSON.parse((await run(['stress', '--regime', 'covid-2020-03-12', '--regime', 'stable-depeg', '--severity', 'base', '--severity', 'day', '--no-cascade', '--json'])).out)
    expect(two.stressTest.scenarios.map(({ id }: { id: string }) => id).filter((id: string) => id.startsWith('covid'))).toHaveLength(2)
    const debts = two.stressTest.scenarios.map(({ badDebt }: { badDebt: number }) => badDebt)
    expect(debts).toEqual([...debts].sort((a: number, b: number) => b - a))
    expect(two.stressTest.scenarios[0].cascade).toBeNull()
  })

  test('behavior: --json is the API’s own answer, with its provenance, and nothing else', async () => {
    const { out } = await run(['stress', '--shock', 'vBTC=-0.2', '--no-cascade', '--json'])
    const direct = await ask('{ stressTest(input: { shocks: [{ id: "vBTC-down-20", moves: [{ name: "vBTC", value: -0.2 }] }], cascade: false }) { provenance { model block { number } } accounts fund scenarios { badDebt worstAccounts { account shortfall } } } }')
    expect(JSON.parse(out).stressTest).toMatchObject(direct.stressTest)
    expect(JSON.parse(out).stressTest.provenance.inputsDigest).toMatch(/^[0-9a-f]{64}$/)
  })

  test('behavior: a background run tells its progress on stderr and prints the same table', async () => {
    const { out, err } = await run(['stress', '--shock', 'vBTC=-0.2', '--background'])
    const { out: direct } = await run(['stress', '--shock', 'vBTC=-0.2'])
    expect(cells(out, 'vBTC-down-20')).toEqual(cells(direct, 'vBTC-down-20'))
    expect(err).toMatch(/^Stress test: .*\n/)
    expect(err).toContain('Stress test: 100 %')
  })

  test('behavior: Ctrl-C cancels the run in the API', async () => {
    const interruption = new AbortController()
    const interrupted = run(['fund', '--simulate', '--paths', '1000000', '--hours', '168'], { signal: interruption.signal, onErr: () => interruption.abort() })
    await expect(interrupted).rejects.toMatchObject({ code: 'INTERRUPTED', message: expect.stringContaining('was cancelled') })
    const newest = await prisma.riskRun.findFirst({ where: { kind: 'FUND' }, orderBy: { startedAt: 'desc' } })
    expect(newest?.state).toBe('CANCELLED')
  })

  test('behavior: a terminal too narrow for every column leaves out those that it can do without, and says which; narrower still, each row is a block', async () => {
    const { out: narrow } = await run(['stress', '--shock', 'vBTC=-0.2'], { width: 80 })
    expect(narrow).toContain('Left out for want of width: ')
    expect(Math.max(...narrow.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
    const { out: tiny } = await run(['stress', '--shock', 'vBTC=-0.2'], { width: 40 })
    expect(tiny).toMatch(/^Scenario +vBTC-down-20$/m)
    expect(tiny).toMatch(/^Bad debt USD +\d/m)
  })

  test('error: what cannot be is refused in one sentence that names the flag', async () => {
    const refused = async (...line: string[]): Promise<string> => {
      const error = await run(['stress', ...line]).catch((caught: unknown) => caught)
      expect(error).toMatchObject({ code: 'BAD_INPUT' })
      const { message } = error as Error
      expect(message).not.toContain('\n')
      return message
    }
    expect(await refused('--regime', 'covid-2030')).toMatch(/^--regime: found covid-2030|^--regime: .*covid-2030.*allowed/)
    expect(await refused('--severity', 'mild')).toBe('Found --severity "mild", allowed are base, severe, day; choose one of those')
    expect(await refused('--shock', 'ETH')).toBe('Found --shock "ETH", allowed is SYMBOL=FRACTION, such as ETH=-0.3 for a fall of 30 %; write it so')
    expect(await refused('--shock', 'ETH=-30')).toBe('Found --shock ETH= "-30", allowed is a number from -0.99 to 10; choose one of those')
    expect(await refused('--shock', 'DOGE=-0.3')).toMatch(/^--shock DOGE: .*allowed/)
    expect(await refused('--worst', 'many')).toBe('Found --worst "many", allowed is a whole number from 0 to 50; choose one of those')
    expect(await refused('--regimes', 'all')).toMatch(/^Found unknown option '--regimes', allowed are --regime ID, /)
    expect(await refused('covid-2020-03-12')).toMatch(/^Found unexpected argument/)
  })
})

describe('recommendations, queue, breakers, oracles, fund', () => {
  test('behavior: recommendations stand by urgency, with current, recommended, the sentence, the block and its age', async () => {
    const { out } = await run(['recommend'])
    // 62,500 of a million is 6.25 %.
    const [maintenance, band] = [cells(out, '90'), cells(out, '80')]
    expect(maintenance).toEqual(['90', 'Maintenance margin', 'protocol', '6.25 % → 7 %', 'advisory'])
    expect(band).toEqual(['80', 'Price band', 'vETH', '10 % → 6.25 %', 'setter'])
    expect(out.indexOf('90  Maintenance')).toBeLessThan(out.indexOf('80  Price band'))
    expect(out).toContain('  The 99 % move of 15 minutes is 4.1 %, and the band is 10 %.')
    expect(out).toContain('  Advisory: needs an upgrade.')
    expect(out).toMatch(/2 recommendations, computed on devnet, block 1000 of 2023-11-14 22:13:20 UTC, (?:\d+ \w+ old|age\s+unknown)/)
    const json = JSON.parse((await run(['recommend', '--settable', '--json'])).out)
    expect(json.recommendations).toMatchObject([{ parameter: 'marketMaxPriceSpreadRatio', currentRaw: '100000', recommendedRaw: '62500', inputsDigest: 'cc'.repeat(32) }])
  })

  test('behavior: held ones are named apart, and their number', async () => {
    const id = `1000-aaaa:mmRatio:${(await prisma.protocol.findFirstOrThrow()).id}`
    await prisma.recommendation.update({ where: { id }, data: { direction: 'HOLD', recommended: '62500' } })
    const { out } = await run(['recommend'])
    await prisma.recommendation.update({ where: { id }, data: { direction: 'TIGHTEN', recommended: '70000' } })
    expect(out).toContain('Held (1)\n')
    expect(cells(out.slice(out.indexOf('Held')), 'Maintenance margin')).toEqual(['Maintenance margin', 'protocol', '6.25 %'])
  })

  test('error: an id that there is not is refused', async () => {
    await expect(run(['recompute', 'none'])).rejects.toMatchObject({ code: 'BAD_INPUT', message: expect.stringContaining('Found no recommendation none') })
    await expect(run(['recompute'])).rejects.toMatchObject({ code: 'BAD_INPUT', message: expect.stringContaining('Found no id') })
  })

  test('behavior: the queue says distance, tier and notional, and the backlog against the capacity', async () => {
    const { out } = await run(['queue', '--capacity', '500'])
    // Account 3 at 1,000: worth 100, needs 62.5 of 1,000 of notional: (100 − 62.5) / 1000 = 3.75 %, and 100 / 62.5 is above 1.2.
    expect(cells(out, addressOf(3))).toEqual([addressOf(3), '+3.75 %', 'healthy', '1,000', '0', '100.00', '62.50', 'vBTC long'])
    expect(out).toContain('1 account within 5 % of gross notional of its requirement')
    expect(out).toMatch(/Capacity +500\.00 USD an hour/)
    expect(out).toMatch(/Backlog +none/)
    expect(out).toMatch(/Due now +nothing/)
  })

  test('behavior: what nobody knows is "unknown", never 0', async () => {
    const { out: oracles } = await run(['oracles'])
    // Collateral alone has no market to compare its feed with.
    expect(cells(oracles, 'WETH')).toContain('unknown')
    const { out: fund } = await run(['fund'])
    expect(fund).toMatch(/Simulated shortfall +unknown: no simulation is stored/)
    expect(fund).toMatch(/Runway +unknown: nothing was simulated/)
    // 50,000,000 of six decimals in the wallet, nothing in the vault.
    expect(fund).toMatch(/^Fund +50\.00 USD \(wallet 50\.00, vault 0\)$/m)
  })

  test('error: before the breakers have observed a block there is a sentence, not an empty table', async () => {
    await expect(run(['breakers'])).rejects.toMatchObject({ code: 'NOT_INDEXED' })
    expect(JSON.parse((await run(['breakers', '--json'])).out)).toMatchObject({ circuitBreakers: null })
  })

  test('behavior: every command explains itself with its flags and an example', async () => {
    for (const command of ANALYSIS) {
      const help = helpOf(command)
      for (const flag of Object.keys(command.flags)) expect(help).toContain(`--${flag}`)
      expect(help).toContain(`npm run bulwark -- ${command.name}`)
      expect(readFileSync(join(PROJECT, 'README.md'), 'utf8')).toContain(`bulwark -- ${command.name}`)
      expect((await run([command.name, '--help'])).out).toBe(help)
    }
  })
})

describe('report', () => {
  let folder: string
  beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'bulwark-report-'))))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  /** What the server's own job does at each block. */
  const observe = async (): Promise<void> => void (await shared.risk.breakers.observe())

  test('behavior: the same answers give the same bytes, and every chart that the text shows is there', async () => {
    await observe()
    const answers = JSON.parse((await run(['report', '--json', '--out', join(folder, 'x.md')])).out) as ReportAnswers
    expect(existsSync(join(folder, 'x.md'))).toBe(false)
    const [one, two] = [buildReport(answers, 'x'), buildReport(structuredClone(answers), 'x')]
    expect(two).toEqual(one)

    const { err } = await run(['report', '--out', join(folder, 'risk.md')])
    expect(err).toMatch(/risk\.md: [\d,]+ characters, 3 charts in risk\//)
    const markdown = readFileSync(join(folder, 'risk.md'), 'utf8')
    const shown = [...markdown.matchAll(/!\[[^\]]+\]\(([^)]+)\)/g)].map(([, address]) => address!)
    expect(shown).toEqual(['risk/stress.svg', 'risk/ladder.svg', 'risk/volatility.svg'])
    for (const address of shown) expect(existsSync(join(folder, address))).toBe(true)
  })

  test('behavior: it says block, hash and time, the fund, stress, recommendations with evidence, how to compute them again, and the digests', async () => {
    await observe()
    await run(['report', '--out', join(folder, 'risk.md'), '--images', 'https://example.org/charts/'])
    const markdown = readFileSync(join(folder, 'risk.md'), 'utf8')
    expect(markdown).toContain(`block 1000 (\`${BLOCK.hash}\`, 2023-11-14 22:13:20 UTC)`)
    expect(markdown).toContain('| Fund | 50.00 USD |')
    expect(markdown).toMatch(/\| covid-2020-03-12 \| \d+ \|/)
    expect(markdown).toContain('| 80 | Price band | vETH | 10 % | **6.25 %** | setter |')
    expect(markdown).toContain('### Price band of vETH: 10 % → 6.25 %')
    expect(markdown).toContain('- 99 % move of 15 minutes: **0.0412345678** (PriceUpdate of the last 30 days)')
    expect(markdown).toContain('npm run bulwark -- recompute 1000-aaaa:marketMaxPriceSpreadRatio:0x')
    expect(markdown).toContain('cc'.repeat(32))
    expect(markdown).toMatch(/\| stress \| stress \d+ \| 1000 \| `[0-9a-f]{64}` \|/)
    expect(markdown).toContain('(https://example.org/charts/stress.svg)')
    expect(markdown).toMatch(/## Unknown\n\n- /)
    expect(markdown).toMatch(/## Assumed\n\n- /)
    // Each row of a table has as many cells as its head.
    for (const block of markdown.split('\n\n').filter((text) => text.startsWith('|'))) {
      const widths = block.trim().split('\n').map((row) => row.replaceAll('\\|', '').split('|').length)
      expect(new Set(widths).size).toBe(1)
    }
  })

  test('behavior: charts name their axes with units, carry title and description, stand on white and hold nothing that runs', async () => {
    await observe()
    await run(['report', '--out', join(folder, 'risk.md')])
    const svg = (name: string): string => readFileSync(join(folder, 'risk', `${name}.svg`), 'utf8')
    for (const name of ['stress', 'ladder', 'volatility']) {
      expect(svg(name)).toMatch(/^<svg [^>]*role="img" aria-labelledby="title desc">\n<title id="title">[^<]+<\/title>\n<desc id="desc">[^<]+<\/desc>/)
      expect(svg(name)).toMatch(/<rect [^>]*fill="#ffffff"/)
      expect(svg(name)).not.toMatch(/<script|<style|href=|onload|zr\d/)
    }
    expect(svg('stress')).toContain('Bad debt, USD')
    expect(svg('ladder')).toContain('Liquidatable notional, USD')
    expect(svg('volatility')).toContain('Realised volatility, % a year')
    for (const day of ['11-12', '11-13']) expect(svg('volatility')).toContain(`>${day}</text>`)
    expect(svg('stress')).toContain('>covid-2020-03-12</text>')
  })

  test('behavior: text of the API never becomes markup', async () => {
    await observe()
    const answers = JSON.parse((await run(['report', '--json'])).out) as ReportAnswers
    const recommendations = answers.base.recommendations.map((one) => ({ ...one, subjectLabel: 'v|<img src=x onerror=alert(1)>', reason: 'see @everyone **now**\n# Heading' }))
    const { markdown } = buildReport({ ...answers, base: { ...answers.base, recommendations } }, 'x')
    expect(markdown).not.toContain('<img')
    expect(markdown).not.toContain('@everyone')
    expect(markdown).not.toMatch(/^# Heading/m)
    expect(markdown).toContain('\\*\\*now\\*\\*')
  })

  test('error: a name that is no Markdown file, a folder that is not there and a market that is not there are refused', async () => {
    await expect(run(['report', '--out', join(folder, 'report.txt')])).rejects.toMatchObject({ code: 'BAD_INPUT', message: expect.stringContaining('ends with .md') })
    await expect(run(['report', '--market', 'vDOGE'])).rejects.toMatchObject({ code: 'BAD_INPUT', message: expect.stringContaining('allowed are vETH, vBTC') })
    await expect(run(['report', '--images', 'charts'])).rejects.toMatchObject({ code: 'BAD_INPUT' })
  })
})

describe('the process', () => {
  const bulwark = (args: readonly string[], env: Record<string, string> = {}): Promise<{ code: number; stdout: string; stderr: string }> =>
    new Promise((resolve) => {
      execFile(process.execPath, ['--import', 'tsx', 'cli/main.ts', ...args], { cwd: PROJECT, env: { ...process.env, NODE_OPTIONS: '', ...env } }, (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }))
    })

  test('behavior: exits with 2 and one sentence where the command line is wrong, with 1 where the API is out of reach', async () => {
    const [wrong, away] = await Promise.all([bulwark(['stress', '--severity', 'mild', '--url', server.url]), bulwark(['queue', '--url', 'http://127.0.0.1:1'])])
    expect(wrong).toEqual({ code: 2, stdout: '', stderr: 'Found --severity "mild", allowed are base, severe, day; choose one of those\n' })
    expect(away).toEqual({ code: 1, stdout: '', stderr: 'API: no answer at http://127.0.0.1:1; see whether it runs (npm start)\n' })
  })

  test('behavior: a pipe gets no colours', async () => {
    const { code, stdout } = await bulwark(['queue', '--url', `${server.url}/graphql`])
    expect(code).toBe(0)
    expect(stdout).toContain(addressOf(3))
    expect(stdout).not.toContain('\u001b')
  })
})

describe('addresses and documents', () => {
  test('behavior: the address may end with the path of GraphQL', () => {
    expect(apiUrl('http://127.0.0.1:4000/graphql')).toBe('http://127.0.0.1:4000')
    expect(apiUrl('https://risk.example/base/')).toBe('https://risk.example/base')
    expect(() => apiUrl('127.0.0.1:4000')).toThrow('allowed is an address that begins with http:// or https://')
  })

  test('behavior: an operation is sent with the fragments that it spreads, and those alone', () => {
    const document = 'query A {\n  x { ...F }\n}\n\nquery B {\n  y\n}\n\nfragment F on X {\n  z { ...G }\n}\n\nfragment G on Z { w }\n\nfragment H on Z { w }\n'
    const sent = operationIn(document, 'A')
    expect(sent).toMatch(/query A[\s\S]*fragment F[\s\S]*fragment G/)
    expect(sent).not.toContain('query B')
    expect(sent).not.toContain('fragment H')
  })
})
