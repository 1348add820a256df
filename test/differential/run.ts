/** One run of the differential: record, index, compute, compare. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { InvariantError } from '../../core/errors.ts'
import { freePort } from '../../core/ports.ts'
import { compileOwnContracts, type OwnArtifacts } from '../../devnet/artifacts.ts'
import { Signer } from '../../devnet/chain.ts'
import { planDeployment, type Plan } from '../../devnet/deploy.ts'
import { DEFAULT_HISTORY, generateHistory, historyKey, loadHistory, replay, saveHistory, type History, type Progress } from '../../devnet/history.ts'
import { random } from '../../devnet/random.ts'
import type { RpcClient } from '../../devnet/rpc.ts'
import { devnet } from '../../protocols/curie/deployments.ts'
import { startAnvil } from '../../devnet/anvil.ts'
import { createApi, elsewhereOf, onlyOf } from './api.ts'
import { expectedOf } from './closed.ts'
import { compareBlock, type FieldResult, type Mismatch } from './compare.ts'
import { AGREEMENTS } from './getters.ts'
import { createOurs } from './ours.ts'
import { generateQuirks, quirksKey } from './quirks.ts'
import { loadRecording, record, recordingFile, saveRecording } from './record.ts'
import { startStand } from './stand.ts'

export type World = { readonly own: OwnArtifacts; readonly plan: Plan }

/** A history that can be compared: how its cache entry is named, and how it is made on an empty chain. */
type Source = { readonly key: (world: World, seed: number) => string; readonly generate: (rpc: RpcClient, world: World, seed: number, onProgress: Progress) => Promise<History> }

export const HISTORIES = {
  default: {
    key: ({ plan }, seed) => historyKey(plan, { ...DEFAULT_HISTORY, seed }),
    generate: (rpc, world, seed, onProgress) => generateHistory({ rpc, ...world, signer: new Signer() }, { ...DEFAULT_HISTORY, seed }, onProgress),
  },
  // A script: no seed changes it.
  quirks: { key: quirksKey, generate: (rpc, world, _seed, onProgress) => generateQuirks(rpc, world, onProgress) },
} satisfies Readonly<Record<string, Source>>

export type RunOptions = {
  readonly blocks: number
  readonly seed: number
  readonly history: keyof typeof HISTORIES
  /** Which month of trading; the script knows no seed. */
  readonly historySeed: number
  readonly cacheDir: string
  /** How many mismatches of each field the report shows. */
  readonly shown: number
  readonly log: (line: string) => void
}

export type Report = {
  readonly history: string
  readonly seed: number
  readonly blocks: number
  /** Accounts of the last block that was compared. */
  readonly accounts: number
  readonly comparisons: number
  readonly mismatches: number
  /** Largest difference of any two numbers of an exact field, in the field's smallest unit. */
  readonly maxAbsWei: string
  /** Largest difference over max(|theirs|, one unit) of any two numbers that depend on time. */
  readonly maxRelative: number
  readonly byField: Readonly<Record<string, Omit<FieldResult, 'maxAbsWei'> & { readonly maxAbsWei: string }>>
  readonly chosen: readonly number[]
  readonly firstMismatches: readonly Mismatch[]
  readonly seconds: Readonly<Record<string, number>>
}

/** `count` different blocks after the deployment, in ascending order; all of them where the history has no more. */
export function chooseBlocks(seed: number, count: number, first: number, last: number): number[] {
  const pool = Array.from({ length: last - first + 1 }, (_, i) => first + i)
  const rng = random(seed)
  // A partial Fisher–Yates shuffle.
  for (let i = 0; i < Math.min(count, pool.length); i++) {
    const j = i + rng.index(pool.length - i)
    const held = pool[i] as number
    pool[i] = pool[j] as number
    pool[j] = held
  }
  return pool.slice(0, count).toSorted((a, b) => a - b)
}

async function obtainHistory(source: Source, world: World, seed: number, cacheDir: string, log: (line: string) => void): Promise<{ key: string; history: History }> {
  const key = source.key(world, seed)
  const cached = loadHistory(cacheDir, key)
  if (cached !== undefined) return { key, history: cached }
  log('making the history, once')
  const dir = mkdtempSync(join(tmpdir(), 'bulwark-differential-'))
  const anvil = await startAnvil({ port: await freePort(), stateDir: dir })
  try {
    const history = await source.generate(anvil.rpc, world, seed, () => undefined)
    saveHistory(cacheDir, key, history)
    return { key, history }
  } finally {
    await anvil.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

export async function run(options: RunOptions): Promise<Report> {
  const cacheDir = resolve(options.cacheDir)
  const seconds: Record<string, number> = {}
  let since = Date.now()
  const lap = (step: string): void => {
    seconds[step] = Math.round((Date.now() - since) / 100) / 10
    since = Date.now()
    options.log(`${step}: ${seconds[step]} s`)
  }
  const own = await compileOwnContracts(cacheDir)
  const world = { own, plan: await planDeployment(own) }
  const { key, history } = await obtainHistory(HISTORIES[options.history], world, options.historySeed, cacheDir, options.log)
  const chosen = chooseBlocks(options.seed, options.blocks, world.plan.blocks.length + 1, history.head.number)
  lap('history')

  const workDir = mkdtempSync(join(tmpdir(), 'bulwark-differential-'))
  const stand = await startStand({ plan: world.plan, cacheDir, workDir, log: options.log })
  try {
    const file = recordingFile(cacheDir, key, chosen)
    const cached = loadRecording(file)
    if (cached !== undefined) await replay(stand.anvil.rpc, history, () => undefined)
    const recorded = cached ?? (await record({ rpc: stand.anvil.rpc, deployment: devnet, cacheDir }, history, chosen, () => undefined))
    if (cached === undefined) saveRecording(file, recorded)
    lap(cached === undefined ? 'record' : 'replay')
    await stand.index(history.head)
    lap('index')
    const ours = await createOurs(stand.databaseUrl, devnet)
    const api = await createApi(stand.databaseUrl)
    const into = { byField: new Map<string, FieldResult>(), mismatches: [] as Mismatch[] }
    try {
      for (const theirs of recorded) {
        await stand.advance(theirs)
        compareBlock(theirs.number, await ours.at(theirs), theirs.values, into)
        const { values, ids } = await api.at(theirs)
        compareBlock(theirs.number, { ...values, ...elsewhereOf(values, theirs.elsewhere) }, { ...expectedOf(devnet, theirs, ids), ...onlyOf(theirs.elsewhere, ids) }, into)
      }
    } finally {
      await api.close()
      await ours.close()
    }
    lap('compare')
    return reportOf(options, chosen, recorded.at(-1)?.accounts.length ?? 0, into, seconds)
  } finally {
    await stand.stop()
  }
}

const isTimed = (field: string): boolean => AGREEMENTS.get(field)?.agreement === 'timed'

function reportOf(options: RunOptions, chosen: readonly number[], accounts: number, { byField, mismatches }: { byField: ReadonlyMap<string, FieldResult>; mismatches: readonly Mismatch[] }, seconds: Readonly<Record<string, number>>): Report {
  const results = [...byField.values()]
  const sum = (of: (result: FieldResult) => number): number => results.reduce((total, result) => total + of(result), 0)
  const comparisons = sum((r) => r.comparisons)
  if (comparisons === 0) throw new InvariantError('nothing was compared')
  return {
    history: options.history,
    seed: options.seed,
    blocks: chosen.length,
    accounts,
    comparisons,
    mismatches: mismatches.length,
    maxAbsWei: String([...byField].reduce((most, [field, { maxAbsWei }]) => (!isTimed(field) && maxAbsWei > most ? maxAbsWei : most), 0n)),
    maxRelative: Math.max(0, ...[...byField].map(([field, { maxRelative }]) => (isTimed(field) ? maxRelative : 0))),
    byField: Object.fromEntries([...byField].map(([field, result]) => [field, { ...result, maxAbsWei: String(result.maxAbsWei) }])),
    chosen,
    firstMismatches: [...byField.keys()].flatMap((field) => mismatches.filter((m) => m.field === field).slice(0, options.shown)),
    seconds,
  }
}
