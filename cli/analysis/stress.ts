import { BadInputError } from '../../core/errors.ts'
import type { Severity, StartStressMutation, StressInput, StressQuery, StressRunQuery, StressSizeQuery } from '../generated/analysis.ts'
import { money, number, percent, plural, sentence, signedPercent, UNKNOWN, words } from './format.ts'
import { numberIn, numberOf, printJson, type Ask, type Command, type Given, type Io } from './io.ts'
import { follow } from './runs.ts'
import { footer, known } from './standing.ts'
import { item, renderFacts, renderTable } from './table.ts'

/** Accounts times scenarios from which a run goes to the background: about a second of work. */
const BACKGROUND_FROM = 1_000_000
const SEVERITIES: Readonly<Record<string, Severity>> = { base: 'BASE', severe: 'SEVERE', day: 'DAY' }

/** `ETH=-0.3` → a name and its move. */
function moveOf(text: string): { name: string; value: number } {
  const [, name, value] = /^([^=]+)=(.+)$/.exec(text) ?? []
  if (name === undefined || value === undefined) throw new BadInputError(`Found --shock "${text}", allowed is SYMBOL=FRACTION, such as ETH=-0.3 for a fall of 30 %; write it so`)
  return { name, value: numberOf(`--shock ${name}=`, value, -0.99, 10) }
}

export function stressInput(given: Given, symbols: readonly string[]): StressInput {
  const regimes = given.texts('regime')
  const severities = given.texts('severity').map((text) => {
    const severity = SEVERITIES[text.toLowerCase()]
    if (severity === undefined) throw new BadInputError(`Found --severity "${text}", allowed are ${Object.keys(SEVERITIES).join(', ')}; choose one of those`)
    return severity
  })
  const moves = given.texts('shock').map(moveOf)
  const twice = moves.find(({ name }, i) => moves.findIndex((other) => other.name === name) !== i)
  if (twice !== undefined) throw new BadInputError(`Found --shock ${twice.name} twice, allowed is one per symbol: together they make one scenario; leave one out`)
  const volumeFactor = numberIn(given, 'volume', 0.001, 10)
  const persistence = numberIn(given, 'persistence', 0, 1)
  const worst = numberIn(given, 'worst', 0, 50, 'whole')
  // ETH is all that follows its price, vETH and WETH: a shock that left the collateral where it is would look too mild.
  const symbolsOf = (name: string): readonly string[] => {
    const called = (...names: readonly string[]): string[] => symbols.filter((one) => names.some((each) => each.toLowerCase() === one.toLowerCase()))
    const exact = called(name)
    const family = exact.length > 0 ? exact : called(`v${name}`, `w${name}`)
    // One that is named itself has a move of its own.
    return family.length === 0 ? [name] : family.filter((one) => exact.length > 0 || !moves.some((move) => move.name.toLowerCase() === one.toLowerCase()))
  }
  const others = moves.find(({ name }) => name === 'others')
  const shocked = moves.length > 0 || volumeFactor !== undefined
  const id = [...moves.map(({ name, value }) => `${name}-${value < 0 ? 'down' : 'up'}-${Math.abs(value * 100).toFixed(2).replace(/\.?0+$/, '').replace('.', 'p')}`), ...(volumeFactor === undefined ? [] : ['thin'])].join('-').replace(/[^A-Za-z0-9-]/g, '').slice(0, 64)
  return {
    ...(regimes.length > 0 ? { regimes: [...regimes] } : {}),
    ...(severities.length > 0 ? { severities } : {}),
    ...(shocked
      ? { shocks: [{ id, moves: moves.filter((move) => move !== others).flatMap(({ name, value }) => symbolsOf(name).map((symbol) => ({ name: symbol, value }))), ...(others === undefined ? {} : { others: others.value }), ...(volumeFactor === undefined ? {} : { volumeFactor }) }] }
      : {}),
    ...(worst === undefined ? {} : { worst }),
    ...(persistence === undefined ? {} : { persistence }),
    ...(given.on('no-cascade') ? { cascade: false } : {}),
  }
}

/** Whether a stress test is work for the background. */
export function isLong(size: StressSizeQuery, input: StressInput): boolean {
  const regimes = input.regimes?.length ?? (input.shocks === undefined ? size.stressRegimes.length : 0)
  return size.accounts.totalCount * (regimes * (input.severities?.length ?? 1) + (input.shocks?.length ?? 0)) > BACKGROUND_FROM
}

/** At once, or as a background run with progress on stderr. */
export async function runStress(input: StressInput, background: boolean, ask: Ask, io: Io): Promise<StressQuery> {
  if (!background) return ask.one<StressQuery>('stress', 'Stress', { input })
  const { startRiskRun: started } = await ask.still<StartStressMutation>('stress', 'StartStress', { input })
  const { status, riskRun } = await follow('Stress test', started, () => ask.one<StressRunQuery>('stress', 'StressRun', { id: started.id }), (one) => one.riskRun, { ask, io })
  return { status, stressTest: riskRun?.stress ?? null }
}

export const stress: Command = {
  name: 'stress',
  about: 'the whole book under falls of history and shocks of your own, worst first',
  flags: {
    regime: { type: 'string', multiple: true, value: 'ID', about: 'a scenario of the library, such as covid-2020-03-12 (default: all)' },
    severity: { type: 'string', multiple: true, value: 'base|severe|day', about: 'of history: worst hour from its open, from its high, or high of 24 hours to low (default: severe)' },
    shock: { type: 'string', multiple: true, value: 'ETH=-0.3', about: 'a price change, signed fraction; ETH is vETH and WETH, others all the rest; all of them together are one scenario' },
    volume: { type: 'string', value: 'FACTOR', about: 'daily volume that is left in your own scenario, 1 as usual' },
    worst: { type: 'string', value: 'N', about: 'accounts listed per scenario, 0 to 50 (default: 5 with --json, none in the table)' },
    persistence: { type: 'string', value: 'SHARE', about: "of a forced trade's price impact that still stands at the next one, 0 to 1 (default: 1, an upper bound)" },
    'no-cascade': { type: 'boolean', about: 'the first round alone: liquidations move no prices' },
    background: { type: 'boolean', about: 'as a background run of the API, with progress, even where the book is small' },
  },
  examples: ['--regime covid-2020-03-12', '--shock ETH=-0.3 --shock BTC=-0.2 --worst 5', '--severity base --severity severe --json'],
  run: async (given, ask, io) => {
    const size = await ask.one<StressSizeQuery>('stress', 'StressSize')
    const input = stressInput(given, [...size.markets, ...size.collaterals].map(({ symbol }) => symbol))
    const answer = await runStress(input, given.on('background') || isLong(size, input), ask, io)
    if (given.on('json')) return printJson(io, answer)
    io.out(stressText(answer, given.text('worst') !== undefined, io))
  },
}

type Scenario = NonNullable<StressQuery['stressTest']>['scenarios'][number]

/** Blank where no cascade was asked for. */
const cascadeMoney = (one: Scenario, of: 'badDebt' | 'uncovered'): string => (one.cascade !== null ? money(one.cascade[of]) : one.cascadeUnknown !== null ? UNKNOWN : '')

function stressText({ status, stressTest }: StressQuery, listed: boolean, { width, bold }: { readonly width: number | null; readonly bold: (text: string) => string }): string {
  const test = known(stressTest)
  const several = new Set(test.scenarios.map(({ severity }) => severity)).size > 1
  // With an unknown fund nothing is known of what it pays.
  const paid = (value: number | null): string => (value === null ? UNKNOWN : money(value))
  const cascaded = test.scenarios.some(({ cascade, cascadeUnknown }) => cascade !== null || cascadeUnknown !== null)
  const scenarios = renderTable(
    [
      { head: 'Scenario', of: (one) => one.id },
      ...(several ? [{ head: 'Severity', of: (one: Scenario) => (one.severity === null ? 'own' : words(one.severity)), optional: true }] : []),
      { head: 'Accounts\ndue', right: true, of: (one) => number(one.liquidatableAccounts) },
      { head: 'Notional\nUSD', right: true, of: (one) => money(one.liquidatableNotional) },
      { head: 'Bad debt\nUSD', right: true, of: (one) => money(one.badDebt) },
      { head: 'Fund used\nUSD', right: true, of: (one) => paid(one.fundUsed) },
      { head: 'Uncovered\nUSD', right: true, of: (one) => paid(one.uncovered) },
      ...(cascaded
        ? [
            { head: 'After cascade:\nbad debt USD', right: true, optional: true, of: (one: Scenario) => cascadeMoney(one, 'badDebt') },
            { head: '\nuncovered USD', right: true, optional: true, of: (one: Scenario) => (test.fund === null ? UNKNOWN : cascadeMoney(one, 'uncovered')) },
          ]
        : []),
    ],
    test.scenarios,
    {
      width,
      bold,
      notes: (one) => [
        ...(test.scenarios.length > 6 ? [] : [`${one.title}: ${one.moves.map(({ name, value }) => `${name} ${signedPercent(value)}`).join(', ')}`]),
        ...(one.cascadeUnknown === null ? [] : [`Cascade unknown: ${sentence(one.cascadeUnknown.message)}`]),
        ...(one.cascade === null || one.cascade.settled ? [] : [`The cascade had not settled after ${one.cascade.rounds} rounds: its figures are a lower bound.`]),
      ],
    },
  )
  const worst = test.scenarios.flatMap((one) => one.worstAccounts.map((account) => ({ ...account, scenario: one.id })))
  const accounts = !listed || worst.length === 0
    ? ''
    : `\n${bold('Worst accounts')}\n${renderTable(
        [
          { head: 'Scenario', of: (one) => one.scenario },
          { head: 'Account', of: (one) => one.account },
          { head: 'Value USD', right: true, of: (one) => money(one.value) },
          { head: 'Requirement USD', right: true, of: (one) => money(one.requirement) },
          { head: 'Notional USD', right: true, of: (one) => money(one.gross) },
          { head: 'Bad debt USD', right: true, of: (one) => money(one.shortfall) },
        ],
        worst,
        { width, bold },
      )}`
  const assumed = [...test.approximations, ...test.unknown.map(({ message }) => message)].map((one) => item(sentence(one), width)).join('')
  const book = renderFacts([['Book', `${plural(test.accounts, 'account')}, open interest ${money(test.openInterest)} USD`], ['Insurance fund', test.fund === null ? UNKNOWN : `${money(test.fund)} USD (${percent(test.openInterest > 0 ? test.fund / test.openInterest : null, 1)} of open interest)`]], width)
  return `${scenarios}${accounts}\n${book}\n${bold('Assumed')}\n${assumed}\n${footer(status, test.provenance, width)}`
}
