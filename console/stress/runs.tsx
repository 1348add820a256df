/** Long runs of the API, of any kind: how far one is, what became of it, and which there are. */
import { useState } from 'react'
import type { ReactNode } from 'react'
import { ask, renew } from '../data/client.ts'
import { useEvents } from '../data/live.ts'
import { CancelRunDocument, RunProgressDocument } from '../generated/operations.ts'
import type { RunHeadFragment } from '../generated/operations.ts'
import { duration, percent, time, whole } from '../ui/format.ts'
import { Copy, Notice, Tag, Time, sentence } from '../ui/parts.tsx'
import './runs.css'

export const isOver = ({ state }: Pick<RunHeadFragment, 'state'>): boolean => state !== 'QUEUED' && state !== 'RUNNING'

const KIND = { QUEUED: 'accent', RUNNING: 'accent', DONE: 'good', FAILED: 'down', CANCELLED: 'quiet' } as const
const WORD = { QUEUED: 'waiting', RUNNING: 'running', DONE: 'done', FAILED: 'failed', CANCELLED: 'cancelled' } as const

export const RunTag = ({ state }: Pick<RunHeadFragment, 'state'>) => <Tag kind={KIND[state]}>{WORD[state]}</Tag>

/** ISO text, as the API says times of this machine's, in seconds. */
const secOf = (iso: string): number => Math.floor(Date.parse(iso) / 1000)

export const StartedAt = ({ at }: { at: string }) => <Time at={secOf(at)}>{time(secOf(at)).slice(5, 19)} UTC</Time>

/** Follows a run until it has ended, with how far it is and a way to end it. `ended` hears its last state; `operations` are asked again then. */
export function Running({ run, operations, ended }: { run: RunHeadFragment; operations: readonly string[]; ended?: (run: RunHeadFragment) => void }) {
  const [now, setNow] = useState(run)
  const [fault, setFault] = useState<string | null>(null)
  const seen = now.id === run.id ? now : run
  useEvents(RunProgressDocument, { id: run.id }, ({ riskRun }) => {
    setNow(riskRun)
    if (!isOver(riskRun)) return
    ended?.(riskRun)
    void renew(...operations)
  })
  const cancel = async () => {
    try {
      await ask(CancelRunDocument, { id: run.id })
      await renew(...operations)
    } catch (error) {
      setFault(sentence(error))
    }
  }
  return (
    <div className="run">
      <p role="status"><RunTag state={seen.state} /> {seen.state === 'QUEUED' ? 'Another run is computed first.' : `${percent(seen.progress, 0)} done`}</p>
      <progress max={1} value={seen.progress} aria-label="How much of the run is done" />
      {!isOver(seen) && <button type="button" className="danger" onClick={() => void cancel()}>Cancel the run</button>}
      {fault && <Notice kind="down" title={fault} />}
    </div>
  )
}

/** Asks for a list again as soon as a run in it has ended. */
export function Follow({ id, operations }: { id: string; operations: readonly string[] }) {
  useEvents(RunProgressDocument, { id }, ({ riskRun }) => { if (isOver(riskRun)) void renew(...operations) })
  return null
}

/** What became of a run that gives no result. */
export function Ended({ run, again }: { run: RunHeadFragment; again?: () => void }) {
  const button = again && <button type="button" onClick={again}>Run it again</button>
  if (run.state === 'FAILED') return <Notice kind="down" title="The run failed.">{run.error?.replace(/\.?$/, '.')} {button}</Notice>
  return <Notice kind="degraded" title="The run was cancelled.">It gave no result. {button}</Notice>
}

/** Which run it is, what it stood on and how long it took. */
export function RunHead({ run, children }: { run: RunHeadFragment; children?: ReactNode }) {
  return (
    <p className="run-head">
      <RunTag state={run.state} /> Run <Copy text={run.id} label="Id of the run"><code>{run.id.slice(0, 8)}</code></Copy>
      <span>over block <b>{whole(run.block.number)}</b>, <Time at={run.block.timestamp} /></span>
      <span>asked <StartedAt at={run.startedAt} />{run.finishedAt && `, took ${duration(Math.max(0, Math.round((Date.parse(run.finishedAt) - Date.parse(run.startedAt)) / 100) / 10))}`}</span>
      {children}
    </p>
  )
}
