import { setTimeout as sleep } from 'node:timers/promises'
import { queryApi } from './graphql.ts'

const EVERY_MS = 10_000

type Answer = {
  readonly status: {
    readonly lagBlocks: number | null
    readonly sync: Sync | null
    readonly parts: readonly { readonly name: string; readonly health: string; readonly detail: string }[]
  }
}

export type Sync = {
  readonly startBlock: string
  readonly indexedBlock: string | null
  readonly graphNodeBlock: string | null
  readonly headBlock: string
  readonly share: number
  readonly blocksPerSec: number | null
  readonly rowsPerSec: number | null
  readonly secondsLeft: number | null
  readonly complete: boolean
}

export const SYNC_FIELDS = 'startBlock indexedBlock graphNodeBlock headBlock share blocksPerSec rowsPerSec secondsLeft complete'

/** Says how far the index has come, every ten seconds until it is complete, and then only what is not well. Ends with `signal`. */
export async function followSync(apiUrl: string, progress: (step: string, detail: string) => void, signal: AbortSignal): Promise<void> {
  let complete = false
  while (!signal.aborted) {
    try {
      const { status } = await queryApi<Answer>(apiUrl, `{ status { lagBlocks sync { ${SYNC_FIELDS} } parts { name health detail } } }`)
      const { sync } = status
      if (sync !== null && (!complete || !sync.complete)) {
        progress('sync', describeSync(sync))
        complete = sync.complete
      }
      for (const part of status.parts) if (part.health === 'DOWN') progress(part.name, part.detail)
    } catch {
      // The supervisor says when the API is gone.
    }
    await sleep(EVERY_MS, undefined, { signal }).catch(() => undefined)
  }
}

/** `12,000,000 of 139,486,527 blocks (8.6 %), 4,210 blocks/s, 9,120 rows/s, 8 h 25 min left`. */
export function describeSync({ startBlock, indexedBlock, headBlock, share, blocksPerSec, rowsPerSec, secondsLeft, complete }: Sync): string {
  const total = Number(headBlock) - Number(startBlock) + 1
  const done = indexedBlock === null ? 0 : Math.max(0, Number(indexedBlock) - Number(startBlock) + 1)
  if (complete) return `complete: block ${Number(indexedBlock).toLocaleString('en-US')}`
  const words = [`${done.toLocaleString('en-US')} of ${total.toLocaleString('en-US')} blocks (${(share * 100).toFixed(1)} %)`]
  if (blocksPerSec !== null) words.push(`${rate(blocksPerSec)} blocks/s`)
  if (rowsPerSec !== null) words.push(`${rate(rowsPerSec)} rows/s`)
  words.push(secondsLeft === null ? 'time left not known yet' : `${describeSeconds(secondsLeft)} left`)
  return words.join(', ')
}

const rate = (value: number): string => (value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toFixed(1))

export function describeSeconds(sec: number): string {
  if (sec < 90) return `${Math.round(sec)} s`
  if (sec < 5400) return `${Math.round(sec / 60)} min`
  if (sec < 172_800) return `${Math.floor(sec / 3600)} h ${Math.round((sec % 3600) / 60)} min`
  return `${(sec / 86_400).toFixed(1)} days`
}
