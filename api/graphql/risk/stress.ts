/** The whole book under scenarios, and the cascades of liquidations that they set off. */
import { setImmediate as breath } from 'node:timers/promises'
import type { StressProgress } from '../../engine/pool.ts'
import { assumedBetas, type RunContext } from '../../recommendations/context.ts'
import {
  accountsUnder, ownScenario, stressScenario, stressScenarios,
  type AccountBook, type BookFigures, type BookScenario, type CascadeStress, type Severity as ModelSeverity, type StressScenario,
} from '../../risk/index.ts'
import type { Context } from '../context.ts'
import type { Maybe, QueryStressRegimesArgs, QueryStressTestArgs, Severity, StressInput } from '../generated/resolvers.ts'
import { atField, notMeasured, numbers, provenance, UserInputError, wholeWithin, within, type Answer, type UnknownAnswer } from './answer.ts'
import type { BookFacts, DeskBook } from './book.ts'
import { bookScenarioOf, type Engine } from './engine.ts'

export const STRESS = { model: 'stress', version: '3', source: 'api/risk/stress.ts and engine.ts: hourly candles of public exchanges 2020–2025, synthetic regimes; risk models §10, §14 and appendix E' } as const

const MODEL_SEVERITY = { BASE: 'base', SEVERE: 'severe', DAY: 'day' } as const satisfies Record<Severity, ModelSeverity>
export const severityOf = (severity: Severity): ModelSeverity => MODEL_SEVERITY[severity]
const MAX_SCENARIOS = 200
/** Accounts times scenarios that a request may wait for; more belongs into a run. */
const MAX_INLINE = 50_000_000

const APPROXIMATIONS = [
  'the index price stands for the mark price, and ranges are revalued as if the market followed it',
  'funding that is not settled and fees that makers have not collected are left out',
  'in the first round liquidations move no price: closing costs what the square-root law says of each position alone, and at least the penalty; the cascade is an upper bound of what follows',
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

/** What a stress test computes. Plain data: it may be computed anywhere. */
export type StressTask = { readonly asked: readonly Asked[]; readonly worst: number; /** Share of a forced trade's impact that stays; null for no cascade. */ readonly persistence: number | null; readonly args: unknown }

type StressOutcome = Answer<'StressCascade'>

/** Accounts that leave something behind, the largest loss first. */
function worstAccounts(book: AccountBook, scenario: BookScenario, figures: BookFigures, count: number, pushed?: CascadeStress['pushed']): Answer<'StressedAccount'>[] {
  if (count === 0 || figures.accountsInLoss === 0) return []
  const { value, recoverable, gross, requirement, loss } = accountsUnder(book, scenario, pushed)
  const losers: number[] = []
  loss.forEach((amount, a) => amount > 0 && losers.push(a))
  const id = (a: number): string => book.ids[a] as string
  losers.sort((a, b) => (loss[b] as number) - (loss[a] as number) || (id(a) < id(b) ? -1 : 1))
  return losers.slice(0, count).map((a) => ({ account: id(a), value: value[a] as number, recoverable: recoverable[a] as number, gross: gross[a] as number, requirement: requirement[a] as number, shortfall: loss[a] as number }))
}

const figuresOf = ({ liquidatable, liquidatableNotional, liquidatedNotional, shortfall, cover1, cover2 }: BookFigures, fund: number | null) => {
  const fundUsed = fund === null ? null : Math.min(Math.max(0, fund), shortfall)
  return { liquidatableAccounts: liquidatable, liquidatableNotional, liquidatedNotional, badDebt: shortfall, fundUsed, uncovered: fundUsed === null ? null : shortfall - fundUsed, cover1, cover2 }
}

/** Where a cascade has come to rest, or why that is unknown: how far forced trades move a market whose volume nobody measured is no number. */
function settledOf(book: AccountBook, context: RunContext, scenario: BookScenario, result: CascadeStress, worst: number): { readonly cascade: StressOutcome | null; readonly cascadeUnknown: UnknownAnswer | null } {
  const symbols = new Map([...context.inputs.markets, ...context.inputs.collaterals].map(({ id, symbol }) => [id, symbol]))
  const blind = result.taken.filter(({ longs, shorts }, i) => longs + shorts > 0 && book.assets[i]?.impact === null).map(({ asset }) => symbols.get(asset) ?? asset)
  if (blind.length > 0) return { cascade: null, cascadeUnknown: notMeasured('cascade', `Found liquidations in ${blind.join(', ')} without a measured volume and volatility, needed are both to say how far they move the price; wait for trades, or read the first round alone`) }
  const pushes = new Map(result.pushed.map((push) => [push.asset, push]))
  return {
    cascade: {
      ...figuresOf(result, context.fundCapacity),
      rounds: result.rounds,
      settled: result.settled,
      prices: context.markets.map(({ input }) => {
        const { down = 0, up = 0 } = pushes.get(input.id) ?? {}
        const move = scenario.changeOf(input.id)
        return { name: input.symbol, move, low: move - (1 + move) * down, high: move + (1 + move) * up }
      }),
      worstAccounts: worstAccounts(book, scenario, result, worst, result.pushed),
    },
    cascadeUnknown: null,
  }
}

/** Each market's and collateral's change, by symbol. */
const movesOf = ({ inputs }: RunContext, { changeOf }: BookScenario): { name: string; value: number }[] => [...inputs.markets, ...inputs.collaterals].map(({ id, symbol }) => ({ name: symbol, value: changeOf(id) }))

export const symbolsIn = ({ inputs }: BookFacts): string[] => [...new Set([...inputs.markets, ...inputs.collaterals].map((one) => one.symbol))]

/** Every account under every scenario, worst first. `report` hears the share that is done. Throws SampleTooSmallError, and the signal's reason. */
export async function computeStress(book: DeskBook, engine: Engine, { asked, worst, persistence, args }: StressTask, { signal, report = () => {} }: { readonly signal?: AbortSignal; readonly report?: (share: number) => void } = {}): Promise<Answer<'StressTest'>> {
  const { context } = book
  const scenarios = asked.map(({ scenario }) => bookScenarioOf(context, scenario))
  return engine.withBook(book, async (accounts, pool) => {
    let told = 0
    // Nobody knows how many rounds there will be: what the last one settled is done, of the round under way half.
    const onProgress = ({ scenarios: open, done, of }: StressProgress): void => {
      told = Math.max(told, (scenarios.length - open * (1 - (persistence === null ? 1 : 0.5) * (of === 0 ? 1 : done / of))) / scenarios.length)
      report(told)
    }
    const options = { onProgress, ...(signal === undefined ? {} : { signal }) }
    const cascades = persistence === null ? null : await pool.cascade(accounts, scenarios, { persistence, ...options })
    const plain: readonly BookFigures[] = cascades?.map((one) => one.before) ?? (await pool.stress(accounts, scenarios, options))
    const rows: Answer<'StressResult'>[] = []
    for (const [i, { scenario, severity }] of asked.entries()) {
      // The lists of the worst are made here, and others have questions too.
      await breath()
      signal?.throwIfAborted()
      const [first, moved, cascade] = [plain[i] as BookFigures, scenarios[i] as BookScenario, cascades?.[i]]
      rows.push({
        id: scenario.id,
        title: scenario.title,
        source: scenario.source,
        severity,
        moves: movesOf(context, moved),
        ...figuresOf(first, context.fundCapacity),
        worstAccounts: worstAccounts(accounts, moved, first, worst),
        ...(cascade === undefined ? { cascade: null, cascadeUnknown: null } : settledOf(accounts, context, moved, cascade, worst)),
      })
    }
    report(1)
    const blind = context.markets.filter((facts) => accounts.assets[accounts.indexOf.get(facts.input.id) as number]?.impact === null)
    return {
      provenance: provenance(STRESS, book.block, book.digest, args),
      accounts: book.accountCount,
      openInterest: context.openInterest,
      fund: context.fundCapacity,
      scenarios: rows.sort((a, b) => b.badDebt - a.badDebt || b.liquidatableNotional - a.liquidatableNotional || (a.id < b.id ? -1 : 1)),
      unknown: [...blind.map(({ input }) => notMeasured(`impact in ${input.symbol}`, `Found no volume or volatility of ${input.symbol} to measure its impact by; closing there is charged the policy's most, ${context.policy.fund.maxImpact * 100} %`)), ...assumedBetas(context).map(({ symbol, why }) => notMeasured(`beta of ${symbol}`, `Found no beta of ${symbol} to measure its move by, for ${why}; wait for more history, or give its move in a shock of your own`))],
      approximations: APPROXIMATIONS,
    }
  })
}

export const worstOf = (input: StressInput | null | undefined, path = 'input'): number => wholeWithin(`${path}.worst`, input?.worst ?? 5, 0, 50, 'accounts listed per scenario')

/** Checks an input wholly. Throws UserInputError with the path of the field at fault. */
export const stressTask = (book: BookFacts, input: StressInput | null | undefined, path = 'input'): StressTask => ({
  asked: scenariosOf(input, symbolsIn(book), path),
  worst: worstOf(input, path),
  persistence: input?.cascade === false ? null : within(`${path}.persistence`, input?.persistence ?? 1, 0, 1, '1 lets no price recover between two forced trades'),
  args: { input },
})

export async function resolveStress(_: unknown, { input }: QueryStressTestArgs, context: Context): Promise<Maybe<Answer<'StressTest'>>> {
  const book = await context.riskBook()
  if (book === null) return null
  const task = stressTask(book, input)
  const accounts = book.accountCount
  if (accounts * task.asked.length > MAX_INLINE) throw new UserInputError(`input: found ${accounts} accounts under ${task.asked.length} scenarios, allowed are ${MAX_INLINE} in one request; use startRiskRun`, 'input')
  return book.ask('stress', task)
}

export function resolveRegimes(_: unknown, args: QueryStressRegimesArgs): Answer<'StressRegime'>[] {
  const severity = args.severity ?? 'SEVERE'
  return stressScenarios(severityOf(severity)).map(({ id, title, source, shock, volumeFactor, oracleFreezeSec, outageSec }) => ({ id, title, source, severity, moves: numbers(shock), volumeFactor, oracleFreezeSec, outageSec }))
}
