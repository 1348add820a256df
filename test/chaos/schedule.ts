/** What happens in a run, and when: a function of the seed alone. */
import { random, type Random } from '../../devnet/random.ts'
import { FAULTS, type Fault } from './proxy.ts'

export type Target = 'follower' | 'graph-node' | 'postgres' | 'connection'
export type Link = 'graph-node to chain' | 'mirror to chain' | 'mirror to graph-node'

export type Happening =
  /** `connection`: anvil's, from graph-node and the mirror at once. It is back after `downMs`. */
  | { readonly kind: 'kill'; readonly target: Target; readonly downMs: number }
  | { readonly kind: 'reorg'; readonly depth: number }
  | { readonly kind: 'weather'; readonly link: Link; readonly faults: readonly Fault[]; readonly probability: number; readonly seed: number; readonly lastsMs: number }

/** `blocks` are mined before it, one every `everyMs`; where `followed`, everything is then let come to the head first. */
export type Entry = { readonly blocks: number; readonly everyMs: number; readonly followed: boolean; readonly happening: Happening }

const TARGETS: readonly Target[] = ['follower', 'graph-node', 'postgres', 'connection']
const LINKS: readonly Link[] = ['graph-node to chain', 'mirror to chain', 'mirror to graph-node']
/** As deep as anvil is asked to reorganise. */
export const DEEPEST = 64

/** Share of the reorgs that meet a mirror which stands at the head and has to rewind; the others come whenever. */
const FOLLOWED_REORGS = 0.6

function shuffle<T>(list: readonly T[], rng: Random): T[] {
  const shuffled = [...list]
  for (let i = shuffled.length - 1; i > 0; i--) {
    const j = rng.index(i + 1)
    ;[shuffled[i], shuffled[j]] = [shuffled[j] as T, shuffled[i] as T]
  }
  return shuffled
}

/** `kills` kills, every target in turn, `reorgs` reorgs, and bad weather between them. */
export function scheduleOf(seed: number, kills: number, reorgs: number): readonly Entry[] {
  const rng = random(seed)
  const happenings: Happening[] = []
  for (let i = 0; i < kills; i++) happenings.push({ kind: 'kill', target: TARGETS[i % TARGETS.length] ?? 'follower', downMs: Math.round(rng.chance(0.3) ? rng.between(2_000, 5_000) : rng.between(50, 1_500)) })
  // Shallow ones are common on a chain, deep ones are what goes wrong: as many of both. One is as deep as they get.
  for (let i = 0; i < reorgs; i++) happenings.push({ kind: 'reorg', depth: i === 0 ? DEEPEST : rng.chance(0.5) ? 1 + rng.index(6) : 7 + rng.index(DEEPEST - 6) })
  for (let i = 0; i < Math.max(3, Math.ceil((kills + reorgs) / 3)); i++) {
    happenings.push({
      kind: 'weather',
      link: LINKS[i % LINKS.length] ?? 'mirror to chain',
      faults: shuffle(FAULTS, rng).slice(0, 1 + rng.index(FAULTS.length)),
      probability: rng.between(0.1, 0.7),
      seed: rng.index(2 ** 31),
      lastsMs: Math.round(rng.between(500, 4_000)),
    })
  }
  return shuffle(happenings, rng).map((happening) => ({ blocks: 1 + rng.index(9), everyMs: Math.round(rng.between(40, 400)), followed: happening.kind === 'reorg' && rng.chance(FOLLOWED_REORGS), happening }))
}
