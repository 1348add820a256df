/** `report`: one Markdown file for a governance forum, and its charts beside it. The same answers of the API give the same bytes. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { BadInputError } from '../../core/errors.ts'
import type { ReportJointQuery, ReportMarketQuery, ReportQuery, StressAnswerFragment, StressSizeQuery } from '../generated/analysis.ts'
import { ladderChart, stressChart, volatilityChart, type Chart } from './charts.ts'
import { feeText, gapText, quantileText, runwayText, simulate } from './fund.ts'
import { duration, figures, money, number, percent, plural, sentence, short, signedPercent, time, UNKNOWN, words } from './format.ts'
import { sinceText, triggersText, unknownTriggers } from './health.ts'
import { printJson, type Command } from './io.ts'
import { backlogText } from './queue.ts'
import { asksForChange } from './recommend.ts'
import { known, type Block, type Provenance } from './standing.ts'
import { isLong, runStress } from './stress.ts'

/** Everything that a report says stands in these answers. */
export type ReportAnswers = {
  readonly base: ReportQuery
  readonly stress: StressAnswerFragment
  readonly markets: readonly { readonly answer: ReportMarketQuery; /** Why a field is null, by its name. */ readonly faults: Readonly<Record<string, string>> }[]
  readonly joint: ReportJointQuery | null
}

export type Report = { readonly markdown: string; readonly charts: Readonly<Record<string, Chart>> }

/** Markets in detail: more lines than these cannot be told apart in one chart. */
const DETAILED = 5
const CHANGES = [-0.5, -0.4, -0.3, -0.25, -0.2, -0.15, -0.1, -0.05, 0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5]
/** Rungs of the table; the chart shows all. */
const SHOWN = new Set([-0.5, -0.3, -0.2, -0.1, -0.05, 0.05, 0.1, 0.2, 0.3, 0.5])
const CHARTED_SCENARIOS = 12
/** Longest post that Discourse takes as it is set up. */
const POST_CHARACTERS = 32_000
/** A statistic without enough to stand on is said to be unknown; the rest of the report is not lost with it. */
const UNKNOWABLE = new Set(['SAMPLE_TOO_SMALL', 'MODEL_FIT', 'NOT_MEASURED'])

export const report: Command = {
  name: 'report',
  about: 'a Markdown report with SVG charts for a governance forum',
  flags: {
    out: { type: 'string', value: 'FILE.md', about: 'where to (default: report.md); charts go into a folder of that name beside it' },
    images: { type: 'string', value: 'URL', about: 'where the charts will be published; links are relative where left out, which a forum post cannot follow' },
    market: { type: 'string', multiple: true, value: 'SYMBOL', about: `markets in detail (default: the ${DETAILED} with the most open interest)` },
    simulate: { type: 'boolean', about: 'simulate the fund first, in the background of the API: its quantile and runway need one' },
    settable: { type: 'boolean', about: 'only recommendations that a setter of the protocol can carry out' },
  },
  examples: ['--out report.md', '--out report.md --images https://example.org/risk/report', '--market vETH --settable'],
  run: async (given, ask, io) => {
    const out = resolve(given.text('out') ?? 'report.md')
    if (extname(out) !== '.md') throw new BadInputError(`Found --out ${out}, allowed is a name that ends with .md; charts go into a folder of the same name without it`)
    const base = given.text('images')
    if (base !== undefined && (!URL.canParse(base) || !['http:', 'https:'].includes(new URL(base).protocol))) throw new BadInputError(`Found --images "${base}", allowed is an address that begins with https:// or http://; give the folder that the charts will be in`)
    if (given.on('simulate')) await simulate({}, ask, io)
    const long = isLong(await ask.one<StressSizeQuery>('stress', 'StressSize'), {})
    const first = await ask.one<ReportQuery>('report', 'Report', { inline: !long, settableOnly: given.on('settable') })
    known(first.status.indexed)
    const stress = first.stressTest ?? known((await runStress({ worst: 0 }, true, ask, io)).stressTest)
    const chosen = marketsOf(first, given.texts('market'))
    const markets: ReportAnswers['markets'][number][] = []
    for (const [i, { id, symbol }] of chosen.entries()) {
      io.err(`Statistics of ${symbol} (${i + 1} of ${chosen.length})\n`)
      const { data, faults } = await ask.partly<ReportMarketQuery>('report', 'ReportMarket', { market: id, changes: CHANGES }, UNKNOWABLE)
      markets.push({ answer: data, faults })
    }
    const joint = chosen.length > 1 ? await ask.one<ReportJointQuery>('report', 'ReportJoint', { market: chosen[0]!.id, changes: CHANGES }) : null
    const answers: ReportAnswers = { base: first, stress, markets, joint }
    if (given.on('json')) return printJson(io, answers)

    const folder = basename(out, '.md')
    const { markdown, charts } = buildReport(answers, base === undefined ? folder : base.replace(/\/+$/, ''))
    try {
      mkdirSync(join(dirname(out), folder), { recursive: true })
      writeFileSync(out, markdown)
      for (const [name, { svg }] of Object.entries(charts)) writeFileSync(join(dirname(out), folder, `${name}.svg`), svg)
    } catch (error) {
      throw new BadInputError(`Found no way to write ${out} (${(error as { code?: string }).code ?? 'unknown'}), allowed is a file in a folder that there is and that you may write; choose another --out`)
    }
    io.err(`${out}: ${number(markdown.length)} characters, ${plural(Object.keys(charts).length, 'chart')} in ${folder}/${markdown.length > POST_CHARACTERS ? `; Discourse takes ${number(POST_CHARACTERS)} in a post as it is set up: post the recommendations as a reply, or take --settable` : ''}\n`)
    if (base === undefined) io.err(`For a forum, publish ${folder}/ and give its address with --images, or upload the charts into the post where the forum takes SVG\n`)
  },
}

/** Open interest is in base: at the index price, USD; a market without a price comes last. */
const interestOf = (one: ReportQuery['markets'][number]): number => (Number(one.openInterestLong.value) + Number(one.openInterestShort.value)) * Number(one.indexPrice?.value ?? 0)

function marketsOf({ markets }: ReportQuery, asked: readonly string[]): readonly ReportQuery['markets'][number][] {
  const unknown = asked.find((name) => !markets.some(({ id, symbol }) => [id, symbol.toLowerCase()].includes(name.toLowerCase())))
  if (unknown !== undefined) throw new BadInputError(`Found --market ${unknown}, allowed are ${markets.map(({ symbol }) => symbol).join(', ')}; choose among these`)
  if (asked.length > DETAILED) throw new BadInputError(`Found ${asked.length} markets, allowed are ${DETAILED} in one report; write a second one`)
  if (asked.length > 0) return markets.filter(({ id, symbol }) => asked.some((name) => [id, symbol.toLowerCase()].includes(name.toLowerCase())))
  return markets.toSorted((a, b) => interestOf(b) - interestOf(a) || (a.id < b.id ? -1 : 1)).slice(0, DETAILED)
}

// ── Markdown ──

/** Text of the API inside Markdown: nothing in it becomes markup, a mention or a new row. */
const plain = (text: string): string => text.replace(/[\\`*_[\]<>|#@~]/g, (character) => (character === '<' ? '&lt;' : character === '@' ? '&#64;' : `\\${character}`)).replace(/\s+/g, ' ')

const table = (heads: readonly string[], rows: readonly (readonly string[])[], right: readonly number[] = []): string =>
  `| ${heads.join(' | ')} |\n|${heads.map((_, i) => (right.includes(i) ? ' ---: ' : ' --- ')).join('|')}|\n${rows.map((row) => `| ${row.join(' | ')} |\n`).join('')}`

const columns = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const code = (text: string): string => `\`${text.replaceAll('`', '')}\``
const command = (text: string): string => code(`npm run bulwark -- ${text}`)
const image = (chart: Chart, address: string): string => `![${plain(`${chart.title}. ${chart.description}`)}](${address.replaceAll(' ', '%20')})\n`
const at = (block: Block): string => `block ${block.number} (${code(block.hash)}, ${time(block.timestamp)})`

export function buildReport({ base, stress, markets, joint }: ReportAnswers, images: string): Report {
  const { status, protocol, circuitBreakers, insuranceFund, liquidationQueue, oracleHealth, recommendations } = base
  const block = known(status.indexed)
  // null before the first block that they observe.
  const breakers = circuitBreakers === null ? null : [circuitBreakers.protocol, ...circuitBreakers.markets]
  const target = known(insuranceFund?.target)
  const queue = known(liquidationQueue)
  const oracles = known(oracleHealth)
  const changes = recommendations.filter(asksForChange)
  const held = recommendations.filter((one) => !asksForChange(one))
  const raised = breakers?.filter(({ level }) => level !== 'NORMAL')
  const [worst] = stress.scenarios
  const [urgent] = changes

  const worstText = worst === undefined ? 'no scenario was run' : `${worst.title} leaves ${money(worst.badDebt)} USD of bad debt, ${worst.uncovered === null ? 'how much of it the fund pays is unknown' : worst.uncovered > 0 ? `${money(worst.uncovered)} USD of it beyond the fund` : 'all of it within the fund'}${worst.cascade === null ? '' : `; after the liquidation cascade ${money(worst.cascade.badDebt)} USD at most`}`
  const charts = chartsOf(stress, markets, joint)
  const picture = (name: string): string => image(charts[name]!, `${images}/${name}.svg`)

  const parts: string[] = []
  const section = (title: string, ...body: readonly string[]): void => void parts.push(`## ${title}\n\n${body.filter((one) => one !== '').join('\n')}`)

  parts.push(`# Risk report: ${plain(protocol?.name ?? 'protocol')} on ${plain(status.network)}, block ${block.number}

As of ${at(block)}, chain ${status.chainId}. ${status.ageSec === null ? 'The age of these figures is unknown: the chain did not answer.' : `These figures were ${duration(status.ageSec)} old when they were asked for.`} Money is in USD (settlement tokens); a loss is positive, a price change is signed.
`)

  section(
    'Summary',
    `- **Breakers:** ${raised === undefined ? 'unknown, no block was observed yet' : raised.length === 0 ? 'all are NORMAL' : raised.map((one) => `${plain(one.label)} is ${one.level}`).join(', ')}.
- **Insurance fund:** ${money(target.fund)} against a target of ${money(target.target)}, ${gapText(target)}; runway ${runwayText(target)}.
- **Worst of ${plural(stress.scenarios.length, 'stress scenario')}:** ${plain(worstText)}.
- **Liquidation:** ${queue.dueAccounts === 0 ? 'nothing is due' : `${plural(queue.dueAccounts, 'account')} due for ${money(queue.dueNotional)}`}, ${plural(queue.entryCount, 'account')} within 5 % of gross notional of the requirement; backlog ${backlogText(queue)}.
- **Recommendations:** ${changes.length} of ${recommendations.length} parameters ask for a change${urgent === undefined ? '' : `; most urgent: ${plain(urgent.title)} of ${plain(urgent.subjectLabel)}, ${plain(urgent.currentDisplay)} → ${plain(urgent.recommendedDisplay)} (urgency ${urgent.urgency} of 100)`}.
`,
    protocol === null ? '' : `The book: ${plural(protocol.marketCount, 'market')}, ${plural(protocol.accountCount, 'account')}, ${plural(protocol.openPositionCount, 'open position')}, ${plural(protocol.liquidationCount, 'liquidation')} so far, open interest ${money(stress.openInterest)} USD.\n`,
  )

  section(
    'Circuit breakers',
    breakers === null ? 'unknown: they have observed no block yet.\n' : table(
      ['Subject', 'Level', 'Since', 'Raised by', 'Asks for'],
      breakers.map((one) => [plain(one.label), `${one.level}${one.latched ? ' (latched: a person lifts it)' : ''}`, sinceText(one), plain(triggersText(one)), one.asks.length === 0 ? 'nothing' : plain(one.asks.map(({ action, why }) => `${words(action)}: ${why}`).join('; '))]),
    ),
    oracles.feeds.every((feed) => feed.status === 'OK')
      ? `All ${oracles.feeds.length} price feeds are within their heartbeat and deviation limit.\n`
      : table(['Feed of', 'Status', 'Age', 'Heartbeat', 'Off the market', 'Why'], oracles.feeds.filter((feed) => feed.status !== 'OK').map((feed) => [plain(feed.symbols.join(', ')), feed.status, duration(feed.ageSec), duration(feed.heartbeatSec), signedPercent(feed.deviation, 2), plain(feed.flags.map(({ text }) => text).join('; '))])),
  )

  section(
    'Insurance fund',
    table(
      ['Figure', 'Value'],
      [
        ['Fund', `${money(target.fund)} USD`],
        ['Target', `${money(target.target)} USD, decided by ${plain(target.binding)}`],
        ['Against target', gapText(target)],
        ['Cover-1, cover-2', `${money(target.cover1)}, ${money(target.cover2)} USD (${plain(target.scenario)})`],
        ['Worst quarter of scenarios, mean', `${money(target.scenarioShortfall)} USD`],
        ['Share of open interest', `${money(target.openInterestTerm)} USD`],
        ['Simulated shortfall', plain(quantileText(target))],
        ['Runway', plain(runwayText(target))],
        ['Fees of the last 30 days', `${money(target.feesPerDay)} USD a day`],
        ['Fee that fills it', plain(feeText(target))],
      ],
    ),
  )

  section(
    'Stress',
    picture('stress'),
    table(
      ['Scenario', 'Accounts liquidatable', 'Notional USD', 'Bad debt USD', 'Fund used USD', 'Uncovered USD', 'Bad debt after the cascade USD', 'Uncovered then USD', 'Prices'],
      stress.scenarios.map((one) => [plain(one.id), number(one.liquidatableAccounts), money(one.liquidatableNotional), money(one.badDebt), stress.fund === null ? UNKNOWN : money(one.fundUsed), stress.fund === null ? UNKNOWN : money(one.uncovered), money(one.cascade?.badDebt), stress.fund === null ? UNKNOWN : money(one.cascade?.uncovered), plain(one.moves.map(({ name, value }) => `${name} ${signedPercent(value)}`).join(', '))]),
      columns(1, 7),
    ),
    `The first figures are those of the first round. The cascade lets what is liquidated move prices until nothing further falls due, with no price recovering in between: an upper bound. To compute it again: ${command('stress')}. A market outside BTC and ETH gets the worse of the two times its measured beta, at least 1.\n`,
  )

  const rungs = new Map(markets.flatMap(({ answer }) => (answer.liquidationLadder === null ? [] : [[answer.liquidationLadder.market.symbol, answer.liquidationLadder] as const])))
  section(
    'Liquidation',
    `${queue.dueAccounts === 0 ? 'Nothing is due now.' : `Due now: ${plural(queue.dueAccounts, 'account')} with ${money(queue.dueNotional)} USD, of which nothing hinders ${money(queue.takeableNotional)} USD.`} Liquidators can take ${money(queue.capacityPerHour)} USD an hour; backlog ${backlogText(queue)}. Accounts: ${queue.tiers.filter((one) => one.accounts > 0).map((one) => `${number(one.accounts)} ${words(one.tier)}`).join(', ')}.\n`,
    queue.entries.length === 0 ? '' : table(['Nearest accounts', 'Distance', 'Tier', 'Notional USD', 'Due USD'], queue.entries.map((one) => [code(one.account), signedPercent(one.distance, 2), words(one.tier), money(one.gross), money(one.dueNotional)]), [1, 3, 4]),
    charts['ladder'] === undefined ? '' : picture('ladder'),
    rungs.size === 0
      ? ''
      : table(
          ['Price change', ...[...rungs.keys(), ...(joint?.liquidationLadder == null ? [] : [`${joint.liquidationLadder.market.symbol}, all others by beta`])].map((symbol) => `${plain(symbol)}: notional / bad debt, USD`)],
          CHANGES.filter((change) => SHOWN.has(change)).map((change) => [signedPercent(change, 0), ...[...rungs.values(), ...(joint?.liquidationLadder == null ? [] : [joint.liquidationLadder])].map((ladder) => rungText(ladder, change))]),
          columns(1, 6),
        ),
  )

  section('Volatility and its backtest', charts['volatility'] === undefined ? '' : picture('volatility'), volatilityTable(markets), backtestTable(markets))

  section(
    'Recommendations',
    changes.length === 0
      ? 'No parameter asks for a change.\n'
      : table(['Urgency', 'Parameter', 'Of', 'Current', 'Recommended', 'Set by'], changes.map((one) => [String(one.urgency), plain(one.title), plain(one.subjectLabel), plain(one.currentDisplay), `**${plain(one.recommendedDisplay)}**`, one.settable ? 'setter' : 'advisory']), [0]),
    ...changes.map((one) => recommendationText(one)),
    held.length === 0 ? '' : `Held (${held.length}): ${held.map((one) => `${plain(one.title)} of ${plain(one.subjectLabel)} stays at ${plain(one.currentDisplay)}`).join('; ')}.\n`,
  )

  section('Unknown', list(unknownsOf({ base, stress, markets, joint })))
  section('Assumed', list(assumedIn(stress, markets)))
  section(
    'Provenance',
    'The same inputs under the same model and version give the same bytes; each digest is SHA-256 over the canonical inputs.\n',
    table(
      ['Figures', 'Model', 'Block', 'Inputs (SHA-256)'],
      provenances({ base, stress, markets, joint }).map(([name, one]) => [plain(name), `${plain(one.model)} ${plain(one.version)}`, one.block.number, code(one.inputsDigest)]),
    ),
    blocksOf({ base, stress, markets, joint }, block),
  )
  return { markdown: parts.join('\n'), charts }
}

type Ladder = NonNullable<ReportMarketQuery['liquidationLadder']>
const near = (ladder: Ladder, change: number): Ladder['rungs'][number] | undefined => ladder.rungs.find((rung) => Math.abs(rung.change - change) < 1e-9)
const rungText = (ladder: Ladder, change: number): string => {
  const rung = near(ladder, change)
  return rung === undefined ? UNKNOWN : `${money(rung.notional)} / ${money(rung.badDebt)}`
}

const list = (lines: readonly string[]): string => `${lines.length === 0 ? '- nothing' : lines.map((one) => `- ${plain(sentence(one))}`).join('\n')}\n`

function recommendationText(one: ReportQuery['recommendations'][number]): string {
  const evidence = one.evidence.map(({ label, value, unit, source }) => `- ${plain(label)}: **${plain(value)}**${unit === '' || value.endsWith(unit) ? '' : ` ${plain(unit)}`} (${plain(source)})`).join('\n')
  const steps = one.adjustments.map(({ step, from, to, why }) => `- ${plain(step)}: ${plain(from)} → ${plain(to)}, ${plain(why)}`).join('\n')
  return `### ${plain(one.title)} of ${plain(one.subjectLabel)}: ${plain(one.currentDisplay)} → ${plain(one.recommendedDisplay)}

${plain(sentence(one.reason))}${one.advisory === null ? '' : ` ${plain(sentence(one.advisory))}`} Urgency ${one.urgency} of 100, confidence ${percent(one.confidence, 0)}.

<details><summary>Evidence</summary>

${evidence}
${steps === '' ? '' : `\nFrom the model's value to the recommendation:\n\n${steps}\n`}
Model ${plain(one.model)} ${plain(one.modelVersion)} on block ${one.block.number}, inputs ${code(one.inputsDigest)}. To compute it again: ${command(`recompute ${one.id}`)}

</details>
`
}

type MarketAnswer = ReportAnswers['markets'][number]
const symbolOf = ({ answer }: MarketAnswer): string => answer.market?.symbol ?? UNKNOWN
const forecastOf = ({ answer }: MarketAnswer, side: 'DOWN' | 'UP') => answer.volatility?.forecasts.find((one) => one.model === 'FHS_EWMA' && one.side === side)

const volatilityTable = (markets: readonly MarketAnswer[]): string =>
  table(
    ['Market', 'Volatility now, a year', 'Over the window, a year', 'GARCH(1,1), a year', '99 % expected shortfall of 1 h: long', 'short', 'Bars with a price'],
    markets.map((one) => {
      const { volatility } = one.answer
      return [
        plain(symbolOf(one)),
        percent(volatility?.ewma?.nowPerYear, 1),
        percent(volatility?.ewma?.longRunPerYear, 1),
        percent(volatility?.garch?.nowPerYear, 1),
        percent(forecastOf(one, 'DOWN')?.expectedShortfall),
        percent(forecastOf(one, 'UP')?.expectedShortfall),
        volatility == null ? UNKNOWN : `${number(volatility.sample.bars - volatility.sample.gapBars)} of ${number(volatility.sample.bars)} of ${duration(volatility.sample.barSec)}`,
      ]
    }),
    columns(1, 5),
  )

const backtestTable = (markets: readonly MarketAnswer[]): string =>
  table(
    ['Backtest', 'Forecast', 'Exceeded, of', 'Expected', 'Kupiec p', 'Christoffersen p', 'Expected shortfall Z', 'Verdict at 5 %'],
    markets.map((one) => {
      const { backtest } = one.answer
      if (backtest == null) return [plain(symbolOf(one)), UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, plain(one.faults['backtest'] ?? UNKNOWN)]
      return [plain(symbolOf(one)), forecastName(backtest), `${number(backtest.exceptions)} of ${number(backtest.observations)}`, number(backtest.expected, 1), figures(backtest.coverage.pValue), figures(backtest.conditional.pValue), figures(backtest.shortfallZ), verdictOf(backtest)]
    }),
    columns(2, 6),
  )

type Backtest = NonNullable<ReportMarketQuery['backtest']>
const forecastName = (one: Backtest): string => `${percent(one.level, 1)} VaR of a ${one.side === 'DOWN' ? 'long' : 'short'} over ${duration(one.sample.barSec)}, ${one.model.replace('_', ' with ')}`
const rejectedBy = (one: Backtest): readonly string[] => [...(one.coverage.rejected ? ['frequency'] : []), ...(one.independence.rejected ? ['independence'] : []), ...(one.shortfallRejected ? ['depth of losses'] : [])]
const verdictOf = (one: Backtest): string => (rejectedBy(one).length > 0 ? `rejected by ${rejectedBy(one).join(', ')}` : one.conditional.rejected ? 'rejected by conditional coverage' : 'not rejected')

// ── Charts ──

function chartsOf(stress: StressAnswerFragment, markets: readonly MarketAnswer[], joint: ReportJointQuery | null): Readonly<Record<string, Chart>> {
  const worst = stress.scenarios.slice(0, CHARTED_SCENARIOS)
  const fund = stress.fund
  const [first] = worst
  const charts: Record<string, Chart> = {
    stress: stressChart(
      worst.map((one) => ({ label: one.id, fundUsed: one.fundUsed ?? one.badDebt, uncovered: one.uncovered ?? 0, cascade: one.cascade?.badDebt ?? null })),
      fund,
      first === undefined ? 'No scenario was run.' : `Horizontal bars of the ${worst.length} worst scenarios. The worst, ${first.id}, leaves ${money(first.badDebt)} USD${first.cascade === null ? '' : `, and ${money(first.cascade.badDebt)} USD at most once its liquidations have moved prices`}; the fund holds ${fund === null ? UNKNOWN : `${money(fund)} USD`}.`,
    ),
  }
  const ladders = markets.flatMap(({ answer }) => (answer.liquidationLadder === null ? [] : [answer.liquidationLadder]))
  if (ladders.length > 0) {
    const together = joint?.liquidationLadder ?? null
    const fall = (ladder: Ladder): string => {
      const rung = near(ladder, -0.3)
      return rung === undefined ? UNKNOWN : `${money(rung.notional)} USD liquidatable and ${money(rung.badDebt)} USD of bad debt`
    }
    charts['ladder'] = ladderChart(
      [...ladders.map((one) => ({ label: one.market.symbol, rungs: one.rungs })), ...(together === null ? [] : [{ label: `${together.market.symbol}, all others by beta`, rungs: together.rungs }])],
      ladders[0]!.fund,
      `Lines over price changes from −50 % to +50 %. A fall of 30 % sets off: ${[...ladders.map((one) => `${one.market.symbol} ${fall(one)}`), ...(together === null ? [] : [`${together.market.symbol} with all others by beta ${fall(together)}`])].join('; ')}.`,
    )
  }
  const [tested] = markets.flatMap(({ answer }) => (answer.backtest == null ? [] : [answer.backtest]))
  if (tested !== undefined || markets.some(({ answer }) => (answer.market?.oracle?.stats.nodes.length ?? 0) > 0)) {
    charts['volatility'] = volatilityChart(
      markets.map((one) => ({
        label: symbolOf(one),
        days: (one.answer.market?.oracle?.stats.nodes ?? []).map(({ timestamp, realizedVolatilityAnnualised }) => ({ timestampSec: Number(timestamp), perYear: realizedVolatilityAnnualised })),
        exceptions: one.answer.backtest?.exceptions ?? null,
        expected: one.answer.backtest?.expected ?? null,
        rejected: one.answer.backtest != null && verdictOf(one.answer.backtest).startsWith('rejected'),
      })),
      tested === undefined ? 'forecast' : forecastName(tested),
      `Above, realised volatility of each day; below, bars in which the forecast was exceeded: ${markets.map((one) => `${symbolOf(one)} ${one.answer.backtest == null ? UNKNOWN : `${one.answer.backtest.exceptions}, expected ${number(one.answer.backtest.expected, 1)}`}`).join('; ')}.`,
    )
  }
  return charts
}

// ── What is not known, what is assumed, what it stands on ──

function unknownsOf({ base, stress, markets, joint }: ReportAnswers): string[] {
  const { status, circuitBreakers, insuranceFund, liquidationQueue, oracleHealth } = base
  const breakers = circuitBreakers === null ? [] : [circuitBreakers.protocol, ...circuitBreakers.markets]
  // Subjects that lack the same triggers are named together.
  const lacking = grouped(breakers.map((one) => [unknownTriggers(one).map(words).join(', '), one.label] as const).filter(([names]) => names !== ''))
  return [
    ...status.parts.filter(({ health }) => health !== 'UP').map(({ name, detail }) => `${name}: ${detail}`),
    ...(circuitBreakers === null ? ['circuit breakers: they have observed no block yet'] : []),
    ...(stress.fund === null ? ['the insurance fund: what it pays of a loss is unknown'] : []),
    ...(insuranceFund?.target?.simulation === null ? [`the fund's simulated shortfall and its runway: ${quantileText(insuranceFund.target).replace('unknown: ', '')}`] : []),
    ...stress.unknown.map(({ message }) => `stress: ${message}`),
    ...grouped(stress.scenarios.flatMap((one) => (one.cascadeUnknown === null ? [] : [[one.cascadeUnknown.message, one.id] as const]))).map(([message, ids]) => `cascade of ${ids.join(', ')}: ${message}`),
    ...(liquidationQueue?.unknown ?? []).map(({ message }) => `tiers and deficits: ${message}`),
    ...(joint?.liquidationLadder?.unknown ?? []).map(({ message }) => `prices that move together: ${message}`),
    ...(liquidationQueue?.velocity === null ? ['how fast accounts are being liquidated: there is no open interest'] : []),
    ...lacking.map(([names, labels]) => `breaker of ${labels.join(', ')}: ${names} ${names.includes(',') ? 'have' : 'has'} no value, so there is no alarm from there and no proof of calm`),
    ...(oracleHealth?.feeds ?? []).filter(({ deviation }) => deviation === null).map(({ symbols }) => `deviation of the feed of ${symbols.join(', ')}: there is nothing to compare it with`),
    ...markets.flatMap((one) => [
      ...(one.answer.volatility?.unknown ?? []).map(({ what, message }) => `${symbolOf(one)}, ${message.startsWith(what) ? message : `${what}: ${message}`}`),
      ...Object.entries(one.faults).map(([field, message]) => `${symbolOf(one)}, ${field}: ${message}`),
    ]),
  ]
}

/** Second halves by their first, in the order of their first coming. */
function grouped(pairs: readonly (readonly [string, string])[]): [string, string[]][] {
  const groups = new Map<string, string[]>()
  for (const [key, value] of pairs) {
    const group = groups.get(key) ?? []
    if (!group.includes(value)) group.push(value)
    groups.set(key, group)
  }
  return [...groups]
}

function assumedIn(stress: StressAnswerFragment, markets: readonly MarketAnswer[]): string[] {
  return [
    ...stress.approximations.map((one) => `stress: ${one}`),
    'ladder: nobody is liquidated on the way to a price',
    'liquidation capacity: what the pools take every 10 minutes for at most the keeper’s share of the penalty',
    'volatility: the last 30 days stand for what comes; gaps stay gaps',
    ...grouped(markets.flatMap((one) => [...(forecastOf(one, 'DOWN')?.warnings ?? []), ...(one.answer.backtest?.warnings ?? [])].map((warning) => [warning, symbolOf(one)] as const))).map(([warning, symbols]) => `${symbols.join(', ')}: ${warning}`),
  ]
}

function provenances({ base, stress, markets, joint }: ReportAnswers): [string, Provenance][] {
  const found: [string, Provenance | undefined][] = [
    ['circuit breakers', base.circuitBreakers?.provenance],
    ['oracle health', base.oracleHealth?.provenance],
    ['insurance fund', base.insuranceFund?.target?.provenance],
    ['stress', stress.provenance],
    ['liquidation queue', base.liquidationQueue?.provenance],
    ...markets.flatMap((one): [string, Provenance | undefined][] => [
      [`ladder of ${symbolOf(one)}`, one.answer.liquidationLadder?.provenance],
      [`volatility of ${symbolOf(one)}`, one.answer.volatility?.provenance],
      [`backtest of ${symbolOf(one)}`, one.answer.backtest?.provenance],
    ]),
    ['ladder, all others by beta', joint?.liquidationLadder?.provenance],
  ]
  return found.filter((one): one is [string, Provenance] => one[1] !== undefined)
}

/** The API answers on the newest block; statistics are asked for after the rest. */
function blocksOf(answers: ReportAnswers, block: Block): string {
  const later = [...new Set(provenances(answers).map(([, one]) => one.block.number))].filter((one) => one !== block.number)
  const run = answers.base.recommendations[0]?.block
  return [
    later.length === 0 ? 'All of these stand on one block.' : `Figures of other blocks than ${block.number} say so in the table: the chain went on while the report was written.`,
    ...(run === undefined ? [] : [`Recommendations were computed on block ${run.number} (${code(short(run.hash))}).`]),
  ].join(' ').concat('\n')
}
