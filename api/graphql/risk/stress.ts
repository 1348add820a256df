/** The whole book under scenarios. `runStress` is the one place where the book is revalued: an engine over arrays takes its place there. */
import { shockFrom } from '../../recommendations/context.ts'
import { accountUnder, ownScenario, stressScenario, stressScenarios, type Severity as ModelSeverity, type StressAccount, type StressScenario } from '../../risk/index.ts'
import type { Context } from '../context.ts'
import type { Maybe, QueryStressRegimesArgs, QueryStressTestArgs, Severity, StressInput } from '../generated/resolvers.ts'
import { atField, numbers, provenance, UserInputError, wholeWithin, type Answer } from './answer.ts'
import type { RiskBook } from './book.ts'

export const STRESS = { model: 'stress', version: '1', source: 'api/risk/stress.ts and fund.ts: hourly candles of public exchanges 2020–2025, synthetic regimes; risk models §10, §14 and appendix E' } as const

const MODEL_SEVERITY = { BASE: 'base', SEVERE: 'severe', DAY: 'day' } as const satisfies Record<Severity, ModelSeverity>
export const severityOf = (severity: Severity): ModelSeverity => MODEL_SEVERITY[severity]
const MAX_SCENARIOS = 200
/** Accounts times scenarios that a request may wait for; more belongs into a run. */
const MAX_INLINE = 2_000_000

const APPROXIMATIONS = [
  'the index price stands for the mark price, and ranges are revalued as if the market followed it',
  'funding that is not settled and fees that makers have not collected are left out',
  'liquidations do not move prices further: closing costs what the square-root law says of each position alone',
  'an oracle freeze and an outage are carried by the price gap that they end in',
]

export type Asked = { readonly scenario: StressScenario; readonly severity: Severity | null }

/** The scenarios that an input names. Throws UserInputError with the path of the field at fault. */
export function scenariosOf(input: StressInput | null | undefined, symbols: readonly string[], path = 'input'): readonly Asked[] {
  const severities = [...new Set(input?.severities ?? (['SEVERE'] as const))]
  if (severities.length === 0) throw new UserInputError(`${path}.severities: found none, allowed are BASE, SEVERE and DAY; name at least one`, `${path}.severities`)
  const shocks = input?.shocks ?? []
  const own = shocks.map((shock, i): Asked => {
    const at = `${path}.shocks.${i}`
    const seen = new Set<string>()
    for (const { name } of shock.moves ?? []) {
      if (seen.has(name)) throw new UserInputError(`${at}.moves: found ${name.slice(0, 60)} twice, allowed is each once; leave one out`, `${at}.moves`)
      seen.add(name)
    }
    const { others, volumeFactor, oracleFreezeSec, outageSec } = shock
    const scenario = atField(at, () =>
      ownScenario(
        { id: shock.id, moves: Object.fromEntries((shock.moves ?? []).map((m) => [m.name, m.value])), ...(others == null ? {} : { others }), ...(volumeFactor == null ? {} : { volumeFactor }), ...(oracleFreezeSec == null ? {} : { oracleFreezeSec }), ...(outageSec == null ? {} : { outageSec }) },
        symbols,
      ),
    )
    return { scenario, severity: null }
  })
  const regimes = input?.regimes ?? null
  const named = severities.flatMap((severity) => {
    if (regimes !== null) return regimes.map((id, i): Asked => ({ scenario: at(`${path}.regimes.${i}`, () => stressScenario(id, severityOf(severity))), severity }))
    return own.length > 0 ? [] : stressScenarios(severityOf(severity)).map((scenario): Asked => ({ scenario, severity }))
  })
  const all = [...named, ...own]
  if (all.length === 0 || all.length > MAX_SCENARIOS) throw new UserInputError(`${path}: found ${all.length} scenarios, allowed are 1 to ${MAX_SCENARIOS}; name regimes or shocks`, path)
  return all
}

/** A fault of the whole argument, whatever field the model names. */
const at = <T>(path: string, compute: () => T): T => {
  try {
    return compute()
  } catch (error) {
    if (error instanceof Error && (error as { code?: string }).code === 'BAD_INPUT') throw new UserInputError(error.message, path)
    throw error
  }
}

export type StressRow = Omit<Answer<'StressResult'>, 'severity' | 'source' | 'title' | 'moves'>

/** One scenario over the book, object per account. Worst accounts by what they leave behind. */
export function runStress(book: RiskBook, accounts: readonly StressAccount[], scenario: StressScenario, worst: number): StressRow {
  const shock = shockFrom(book.context, scenario)
  const row = { liquidatableAccounts: 0, liquidatableNotional: 0, badDebt: 0, cover1: 0, cover2: 0 }
  const losses: { account: string; value: number; gross: number; requirement: number; shortfall: number }[] = []
  for (const account of accounts) {
    const { value, gross, cost } = accountUnder(account, shock)
    const requirement = account.maintenanceMargin * gross
    const due = gross > 0 && value < requirement
    if (due) {
      row.liquidatableAccounts++
      row.liquidatableNotional += gross
    }
    const shortfall = Math.max(0, due ? cost - value : -value)
    if (shortfall <= 0) continue
    row.badDebt += shortfall
    if (shortfall > row.cover1) [row.cover1, row.cover2] = [shortfall, row.cover1]
    else if (shortfall > row.cover2) row.cover2 = shortfall
    losses.push({ account: account.id, value, gross, requirement, shortfall })
  }
  row.cover2 += row.cover1
  losses.sort((a, b) => b.shortfall - a.shortfall || (a.account < b.account ? -1 : 1))
  const fundUsed = Math.min(Math.max(0, book.context.fundCapacity ?? 0), row.badDebt)
  return { id: scenario.id, ...row, fundUsed, uncovered: row.badDebt - fundUsed, worstAccounts: losses.slice(0, worst) }
}

/** Each market's and collateral's change, by symbol. */
function movesOf(book: RiskBook, scenario: StressScenario): { name: string; value: number }[] {
  const { changeOf } = shockFrom(book.context, scenario)
  return [...book.inputs.markets, ...book.inputs.collaterals].map(({ id, symbol }) => ({ name: symbol, value: changeOf(id) }))
}

export const symbolsIn = ({ inputs }: RiskBook): string[] => [...new Set([...inputs.markets, ...inputs.collaterals].map((one) => one.symbol))]

/** Answer out of rows, worst first. */
export function stressAnswer(book: RiskBook, asked: readonly Asked[], rows: readonly StressRow[], args: unknown): Answer<'StressTest'> {
  return {
    provenance: provenance(STRESS, book.block, book.digest, args),
    accounts: book.stressAccounts().length,
    openInterest: book.context.openInterest,
    fund: book.context.fundCapacity,
    scenarios: rows
      .map((row, i) => ({ ...row, title: (asked[i] as Asked).scenario.title, source: (asked[i] as Asked).scenario.source, severity: (asked[i] as Asked).severity, moves: movesOf(book, (asked[i] as Asked).scenario) }))
      .sort((a, b) => b.badDebt - a.badDebt || b.liquidatableNotional - a.liquidatableNotional || (a.id < b.id ? -1 : 1)),
    approximations: APPROXIMATIONS,
  }
}

export const worstOf = (input: StressInput | null | undefined, path = 'input'): number => wholeWithin(`${path}.worst`, input?.worst ?? 5, 0, 50, 'accounts listed per scenario')

export async function resolveStress(_: unknown, { input }: QueryStressTestArgs, context: Context): Promise<Maybe<Answer<'StressTest'>>> {
  const book = await context.riskBook()
  if (book === null) return null
  const asked = scenariosOf(input, symbolsIn(book))
  const worst = worstOf(input)
  const accounts = book.stressAccounts()
  if (accounts.length * asked.length > MAX_INLINE) throw new UserInputError(`input: found ${accounts.length} accounts under ${asked.length} scenarios, allowed are ${MAX_INLINE} in one request; use startRiskRun`, 'input')
  return stressAnswer(book, asked, asked.map(({ scenario }) => runStress(book, accounts, scenario, worst)), { input })
}

export function resolveRegimes(_: unknown, args: QueryStressRegimesArgs): Answer<'StressRegime'>[] {
  const severity = args.severity ?? 'SEVERE'
  return stressScenarios(severityOf(severity)).map(({ id, title, source, shock, volumeFactor, oracleFreezeSec, outageSec }) => ({ id, title, source, severity, moves: numbers(shock), volumeFactor, oracleFreezeSec, outageSec }))
}
