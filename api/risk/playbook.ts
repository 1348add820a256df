/**
 * Playbooks: for every breaker level and every named emergency the changes that people would sign, prepared before they are needed.
 *
 * What is to be done is said in words of no protocol; an adapter turns each word into parameter changes, or says why the protocol cannot.
 * Every change names what it stops and how it is taken back. No playbook stops liquidations: checkPlaybook refuses one that would.
 */
import { InvariantError } from '../../core/errors.ts'
import { BREAKER_LEVELS, intentsOf, type BreakerAction, type BreakerLevel } from './breaker.ts'

/** What a change may stop. */
export type Activity = 'open' | 'close' | 'add-liquidity' | 'remove-liquidity' | 'deposit' | 'withdraw' | 'distribute' | 'liquidate' | 'liquidate-collateral'

/** What no playbook stops. */
const PROTECTED: readonly Activity[] = ['liquidate', 'liquidate-collateral', 'withdraw']

/** What emergencies ask for beyond what a level does. */
export type EmergencyAction = BreakerAction | 'lower-collateral-value' | 'raise-fund-share' | 'replace-feed' | 'settle-market'

export const EMERGENCIES = ['frozen-feed', 'depeg', 'insolvent-market'] as const
export type Emergency = (typeof EMERGENCIES)[number]

/** Whom a playbook is for. */
export type PlaybookSubject = { readonly kind: 'protocol' | 'market' | 'collateral'; readonly id: string; readonly label: string }

/** One parameter change, raw units of the parameter. */
export type PreparedChange = {
  readonly parameter: string
  readonly subject: string
  readonly subjectLabel: string
  readonly from: bigint
  readonly to: bigint
  readonly why: string
  readonly sideEffects: readonly string[]
  readonly stops: readonly Activity[]
  readonly undo: { readonly to: bigint; readonly how: string }
}

/** An action that the protocol has no change for, or that people alone may decide. */
export type NotDone = { readonly action: EmergencyAction; readonly subjectLabel: string; readonly why: string }

export type Prepared = { readonly changes: readonly PreparedChange[]; readonly notDone: readonly NotDone[] }

/** A protocol's answer to an action on a subject. Pure. */
export type PlaybookAdapter = { prepare(action: EmergencyAction, subject: PlaybookSubject): Prepared }

export type PlaybookTrigger = { readonly kind: 'level'; readonly level: Exclude<BreakerLevel, 'NORMAL'> } | { readonly kind: 'emergency'; readonly emergency: Emergency }

export type Playbook = Prepared & {
  /** `restrict:0x…` or `depeg:0x…`; stable. */
  readonly id: string
  readonly trigger: PlaybookTrigger
  readonly subject: PlaybookSubject
  readonly title: string
  /** When to use it. */
  readonly when: string
  /** All that its changes stop, each once. */
  readonly stops: readonly Activity[]
}

/** Actions that concern one market; the others concern the protocol or its collaterals. */
const MARKET_ACTIONS: readonly BreakerAction[] = ['narrow-price-band', 'stop-increasing-risk', 'stop-trading']

const EMERGENCY_PLANS: Readonly<Record<Emergency, { readonly when: string; readonly market: readonly EmergencyAction[]; readonly collateral: readonly EmergencyAction[]; readonly protocol: readonly EmergencyAction[] }>> = {
  'frozen-feed': { when: 'the feed keeps its last price, timed out, or fell back', market: ['stop-trading', 'replace-feed'], collateral: ['stop-collateral-deposits', 'replace-feed'], protocol: ['hold-loosening', 'keep-fund'] },
  depeg: { when: 'the token trades below its peg and its collateral value is not what it sells for', market: [], collateral: ['stop-collateral-deposits', 'lower-collateral-value'], protocol: ['hold-loosening', 'keep-fund'] },
  'insolvent-market': { when: 'the market owes more than its accounts and the fund can pay', market: ['stop-trading', 'raise-fund-share', 'settle-market'], collateral: [], protocol: ['hold-loosening', 'keep-fund'] },
}

/** Throws InvariantError for a playbook that stops what must go on, changes nothing where it says so, or changes one parameter twice. */
export function checkPlaybook(playbook: Pick<Playbook, 'id' | 'changes'>): void {
  const seen = new Set<string>()
  for (const change of playbook.changes) {
    const stopped = change.stops.filter((activity) => PROTECTED.includes(activity))
    if (stopped.length > 0) throw new InvariantError(`${playbook.id}: found ${change.parameter} stopping ${stopped.join(', ')}, allowed is a change that leaves these alone; prepare another one`)
    if (change.from === change.to) throw new InvariantError(`${playbook.id}: found ${change.parameter} set to the ${change.to} that it has, allowed is a change; leave it out`)
    const key = `${change.parameter}:${change.subject}`
    if (seen.has(key)) throw new InvariantError(`${playbook.id}: found two changes of ${change.parameter} of ${change.subject}, allowed is one; merge them`)
    seen.add(key)
  }
}

/** Two actions may ask for the same change; the first is kept. */
function merged(parts: readonly Prepared[]): Prepared {
  const changes = new Map<string, PreparedChange>()
  for (const change of parts.flatMap((p) => p.changes)) {
    const key = `${change.parameter}:${change.subject}`
    if (!changes.has(key)) changes.set(key, change)
  }
  return { changes: [...changes.values()], notDone: parts.flatMap((p) => p.notDone) }
}

/**
 * Every playbook of a protocol as it stands: each level for the protocol and for each market, each emergency for each market or
 * collateral that it can strike. To be built again whenever a parameter or a balance changes: the values in it are of that moment.
 * Throws InvariantError where the adapter prepares what checkPlaybook refuses.
 */
export function buildPlaybooks(p: { readonly adapter: PlaybookAdapter; readonly protocol: PlaybookSubject; readonly markets: readonly PlaybookSubject[]; readonly collaterals: readonly PlaybookSubject[] }): readonly Playbook[] {
  const { adapter, protocol, markets, collaterals } = p
  const playbooks: Playbook[] = []
  const add = (trigger: PlaybookTrigger, subject: PlaybookSubject, title: string, when: string, parts: readonly Prepared[]): void => {
    const id = `${trigger.kind === 'level' ? trigger.level.toLowerCase() : trigger.emergency}:${subject.id}`
    const { changes, notDone } = merged(parts)
    const playbook: Playbook = { id, trigger, subject, title, when, changes, notDone, stops: [...new Set(changes.flatMap((c) => c.stops))].sort() }
    checkPlaybook(playbook)
    playbooks.push(playbook)
  }
  for (const level of BREAKER_LEVELS) {
    if (level === 'NORMAL') continue
    const actions = intentsOf(level).map((i) => i.action)
    const inMarket = (market: PlaybookSubject): Prepared[] => actions.filter((a) => MARKET_ACTIONS.includes(a)).map((a) => adapter.prepare(a, market))
    const ofProtocol = actions.filter((a) => !MARKET_ACTIONS.includes(a)).flatMap((a) => (a === 'stop-collateral-deposits' ? collaterals.map((c) => adapter.prepare(a, c)) : [adapter.prepare(a, protocol)]))
    add({ kind: 'level', level }, protocol, `${level} of ${protocol.label}`, `the protocol's breaker stands at ${level}`, [...markets.flatMap(inMarket), ...ofProtocol])
    for (const market of markets) add({ kind: 'level', level }, market, `${level} of ${market.label}`, `the market's breaker stands at ${level}`, [...inMarket(market), adapter.prepare('hold-loosening', protocol)])
  }
  for (const emergency of EMERGENCIES) {
    const plan = EMERGENCY_PLANS[emergency]
    const struck = [...(plan.market.length > 0 ? markets : []), ...(plan.collateral.length > 0 ? collaterals : [])]
    for (const subject of struck) {
      const own = subject.kind === 'market' ? plan.market : plan.collateral
      add({ kind: 'emergency', emergency }, subject, `${emergency} of ${subject.label}`, plan.when, [...own.map((a) => adapter.prepare(a, subject)), ...plan.protocol.map((a) => adapter.prepare(a, protocol))])
    }
  }
  return playbooks
}
