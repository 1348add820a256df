/**
 * Lint of a set of parameter changes: what the contracts accept and people would regret. Pure. Every rule that finds something says so:
 * BLOCK stops a proposal, WARN has to be read. Rules: Curie's own, and those of any protocol.
 */
import { max, mulDiv } from '../../core/units.ts'
import type { Address, Call, Deployment, Protocol } from '../../protocols/adapter.ts'
import { directionOf, type BreakerLevel } from '../risk/index.ts'
import { modelOf } from './model.ts'
import './parameters/index.ts'
import { DEFAULT_POLICY, type Policy } from './policy.ts'

const RATIO_ONE = 1_000_000n
const PERCENT_E6 = 10_000n
const UINT24 = 2n ** 24n

/** One change, raw units of the parameter. */
export type LintChange = { readonly parameter: string; readonly subject: Address; readonly from: bigint; readonly to: bigint }

/** What is to be linted. */
export type LintProposal = {
  readonly changes: readonly LintChange[]
  /** The batch as it would be signed; null before it is built. */
  readonly calls: readonly Call[] | null
  /** Chain time of the block that its evidence stands on, s. */
  readonly evidenceSec: number
  /** Playbook that it comes from; null for any other. */
  readonly playbook: string | null
  /** Parameters that a person has confirmed by typing, as `parameter:subject`. */
  readonly confirmed: readonly string[]
  /** Outcome of its simulation; null while there is none. */
  readonly simulation: 'passed' | 'reverted' | null
  /** Changes of other batches that are open. */
  readonly openElsewhere: readonly Pick<LintChange, 'parameter' | 'subject'>[]
}

/** The world that it is to be signed in; null is unknown, and a rule that needs it says nothing. */
export type LintContext = {
  readonly protocol: Protocol
  readonly deployment: Deployment
  readonly currentOf: (parameter: string, subject: Address) => bigint | null
  /** Settlement decimals. */
  readonly fundCapacity: bigint | null
  readonly fundTarget: bigint | null
  /** Tokens of a collateral in the vault, and its volatility haircut. */
  readonly heldOf: (collateral: Address) => bigint | null
  readonly volatilityHaircutE6: (collateral: Address) => bigint | null
  readonly breakerOf: (subject: Address) => BreakerLevel
  readonly nowSec: number
  /** Evidence older than this is stale, s; 6 h where left out. */
  readonly evidenceTtlSec?: number
  readonly policy?: Policy
}

export type LintFinding = { readonly rule: string; readonly severity: 'BLOCK' | 'WARN'; readonly parameter: string | null; readonly subject: Address | null; readonly text: string }

type Found = { readonly severity: LintFinding['severity']; readonly text: string }
type Rule = { readonly rule: string; readonly parameters: readonly string[]; check(change: LintChange, world: World): Found | null }
/** A value after the batch: the batch's own where it sets it. */
type World = LintContext & { readonly after: (parameter: string, subject: Address) => bigint | null; readonly proposal: LintProposal; readonly root: Address }

const block = (text: string): Found => ({ severity: 'BLOCK', text })
const warn = (text: string): Found => ({ severity: 'WARN', text })
const percent = (e6: bigint): string => `${Number(e6) / 10_000} %`

/** Curie v2.6.0. Source: risk models, Appendix C; each limit is one that the contract does not hold. */
const CURIE_RULES: readonly Rule[] = [
  {
    rule: 'no-setter', parameters: ['imRatio', 'mmRatio'],
    check: (c) => block(`${c.parameter} has no setter on the deployed contracts; it takes an upgrade, which is not a parameter change`),
  },
  {
    rule: 'buffer-wraps', parameters: ['mmRatioBuffer'],
    check: (c, w) => {
      const mm = w.after('mmRatio', w.root) ?? 62_500n
      if (c.to <= RATIO_ONE - mm) return null
      const sum = (c.to + mm) % UINT24
      return block(`found a buffer of ${c.to}, allowed is up to ${RATIO_ONE - mm} (100 % less the maintenance margin); the contract adds in 24 bits and would compute ${sum}`)
    },
  },
  {
    rule: 'irreversible', parameters: ['marketStatus'],
    check: (c, w) => (w.proposal.confirmed.includes(`${c.parameter}:${c.subject}`) ? warn('pausing a market cannot be undone and stops its liquidation') : block('pausing a market cannot be undone and stops its liquidation; type the market’s name to confirm')),
  },
  {
    rule: 'funding-cap', parameters: ['maxFundingRate'],
    check: (c) => (c.to === 0n ? warn('0 stops funding: the pool no longer follows the index') : c.to > 20n * PERCENT_E6 ? warn(`found ${percent(c.to)} a day, usual is up to 20 %; the contract checks nothing`) : null),
  },
  {
    rule: 'price-band', parameters: ['marketMaxPriceSpreadRatio'],
    check: (c) => (c.to === 0n ? warn('0 means 10 %, not "no spread"') : c.to < PERCENT_E6 ? warn(`found a band of ${percent(c.to)}, below 1 % a feed's own deviation stops trades`) : c.to > 20n * PERCENT_E6 ? warn(`found a band of ${percent(c.to)}, above 20 % it protects nobody`) : null),
  },
  {
    rule: 'tick-cap', parameters: ['maxTickCrossedWithinBlock'],
    check: (c, w) => (c.to === 0n ? (w.proposal.playbook === null ? block('a tick cap of 0 stops every trade, closing too; it belongs to a breaker’s playbook') : null) : c.to > 500n ? warn(`found ${c.to} ticks, above 500 one block may move the price by more than 5.1 %`) : null),
  },
  {
    rule: 'penalty-eats-equity', parameters: ['liquidationPenaltyRatio'],
    check: (c, w) => {
      const mm = w.after('mmRatio', w.root)
      if (mm === null || 2n * c.to <= mm) return null
      return c.to >= mm ? block(`found a penalty of ${percent(c.to)}, at or above the maintenance margin of ${percent(mm)} every liquidation leaves bad debt; allowed is less`) : warn(`found a penalty of ${percent(c.to)}, above half of the maintenance margin (${percent(mm)}) it eats most of the equity that is left`)
    },
  },
  {
    rule: 'no-room-for-volatility', parameters: ['collateralRatio', 'discountRatio'],
    check: (c, w) => {
      const [ratio, discount, haircut] = [w.after('collateralRatio', c.subject), w.after('discountRatio', c.subject), w.volatilityHaircutE6(c.subject)]
      if (ratio === null || discount === null || haircut === null || ratio + discount <= RATIO_ONE - haircut) return null
      return warn(`collateral ratio ${percent(ratio)} and discount ${percent(discount)} leave less than the volatility haircut of ${percent(haircut)}: a liquidation may not pay the debt`)
    },
  },
  {
    rule: 'debt-threshold', parameters: ['debtThreshold', 'whitelistedDebtThreshold'],
    check: (c, w) => {
      if (c.to === 0n && c.parameter === 'debtThreshold') return block('0 is refused by the contract, and would call every debt')
      // An account's 0 is the general one.
      const to = c.to === 0n ? w.after('debtThreshold', w.root) : c.to
      return to !== null && w.fundCapacity !== null && to > w.fundCapacity ? warn(`found ${to}, the insurance fund can pay ${w.fundCapacity}: one account may owe more than that`) : null
    },
  },
  {
    rule: 'threshold-below-target', parameters: ['distributionThreshold'],
    check: (c, w) => (c.to !== 0n && w.fundTarget !== null && c.to < w.fundTarget ? warn(`found ${c.to}, the fund's target is ${w.fundTarget}: what is below the target would be paid out`) : null),
  },
  {
    rule: 'interval', parameters: ['twapInterval', 'markPriceMarketTwapInterval', 'markPricePremiumInterval'],
    check: (c) => (c.to < 60n || c.to > 3_600n ? warn(`found ${c.to} s, usual is 60 s to 3600 s: shorter is cheap to move, longer lags and may outrun the pool's observations`) : null),
  },
  {
    rule: 'cap-below-held', parameters: ['depositCap'],
    check: (c, w) => {
      const held = w.heldOf(c.subject)
      return held !== null && c.to < held ? warn(`found a cap of ${c.to} below the ${held} that are held: every deposit reverts until enough is withdrawn`) : null
    },
  },
  {
    rule: 'stops-liquidation', parameters: ['clearingHousePaused', 'vaultPaused'],
    check: (c, w) => (c.to !== 1n ? null : w.proposal.confirmed.includes(`${c.parameter}:${c.subject}`) ? warn(`${c.parameter} stops liquidation while it lasts`) : block(`${c.parameter} stops liquidation while it lasts; a tick cap of 0 stops trades alone, or type the contract's name to confirm`)),
  },
]

/** Which changes of a batch, and of others, concern one market. */
const sameMarket = (world: World, a: Address, b: Address): boolean => a === b && world.deployment.markets.some((m) => m.baseToken.toLowerCase() === a.toLowerCase())

function genericFindings(world: World): LintFinding[] {
  const { proposal, nowSec, evidenceTtlSec = 6 * 3_600, policy = DEFAULT_POLICY } = world
  const out: LintFinding[] = []
  const add = (rule: string, found: Found, change?: LintChange): void => void out.push({ rule, ...found, parameter: change?.parameter ?? null, subject: change?.subject ?? null })
  const age = nowSec - proposal.evidenceSec
  if (age > evidenceTtlSec) add('stale-evidence', block(`the evidence is ${age} s old, allowed are ${evidenceTtlSec} s; draft it again`))
  if (proposal.simulation === 'reverted') add('simulation-reverts', block('the batch reverts when simulated; read the simulation'))
  for (const call of proposal.calls ?? []) {
    // Decoding tries the deployed ABI, selector and width: what it cannot read is not in it.
    if (world.protocol.catalog.decodeChange(world.deployment, call) === null) add('not-in-deployed-abi', block(`a call to ${call.to} with ${call.data.slice(0, 10)} is no parameter change of the deployed contracts; remove it`))
  }
  for (const change of proposal.changes) {
    const rule = policy.parameters[change.parameter]
    const model = modelOf(change.parameter)
    const zeroIs = world.protocol.catalog.specs.find(({ name }) => name === change.parameter)?.zeroIs ?? null
    const switched = zeroIs !== null && (change.from === 0n || change.to === 0n)
    const direction = model === undefined || switched ? null : directionOf(change.from, change.to, model.tightWay)
    // A switch and a playbook are turned whole.
    if (rule !== undefined && proposal.playbook === null && change.from !== 0n && change.to !== 0n) {
      const limit = max(mulDiv(change.from, BigInt(Math.round((direction === 'LOOSEN' ? rule.loosenRel : rule.tightenRel) * 1e6)), RATIO_ONE), BigInt(rule.stepFloor))
      const step = change.to > change.from ? change.to - change.from : change.from - change.to
      if (step > limit) add('step-too-large', block(`found a step of ${step}, the policy allows ${limit} at a time; go there in several`), change)
    }
    const level = world.breakerOf(change.subject)
    if (direction === 'LOOSEN' && level !== 'NORMAL') add('loosens-under-alarm', warn(`it loosens while the breaker is in ${level}; wait until it is NORMAL`), change)
    for (const other of proposal.openElsewhere) {
      if (sameMarket(world, change.subject, other.subject)) add('split-batches', warn(`${other.parameter} of the same market is in another open batch: between the two the market has neither the old nor the new setting`), change)
    }
  }
  return out
}

/**
 * Everything that the rules find in a proposal: BLOCK first, then in the order of the changes.
 *
 * Values that the batch itself sets count as set. Rules that need what is not known say nothing. Nothing is dropped.
 * Source: risk models, Appendix C (Curie and generic rules).
 */
export function lint(proposal: LintProposal, context: LintContext): readonly LintFinding[] {
  const set = new Map(proposal.changes.map((c) => [`${c.parameter}:${c.subject}`, c.to]))
  const world: World = {
    ...context,
    proposal,
    root: context.deployment.contracts.clearingHouse,
    after: (parameter, subject) => set.get(`${parameter}:${subject}`) ?? context.currentOf(parameter, subject),
  }
  const own = proposal.changes.flatMap((change) =>
    CURIE_RULES.flatMap((rule): LintFinding[] => {
      const found = rule.parameters.includes(change.parameter) ? rule.check(change, world) : null
      return found === null ? [] : [{ rule: rule.rule, ...found, parameter: change.parameter, subject: change.subject }]
    }),
  )
  const all = [...own, ...genericFindings(world)]
  return [...all.filter((f) => f.severity === 'BLOCK'), ...all.filter((f) => f.severity === 'WARN')]
}
