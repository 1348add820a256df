/** Long runs of the API, of any kind: how far one is, what became of it, and which there are. */
import { useLayoutEffect, useRef, useState } from 'react'
import type { ReactNode } from 'react'
import { ask, renew } from '../data/client.ts'
import { useEvents } from '../data/live.ts'
import { CancelRunDocument, RunProgressDocument } from '../generated/operations.ts'
import type { RunHeadFragment } from '../generated/operations.ts'
import { duration, percent, time, whole } from '../ui/format.ts'
import { ActButton } from '../ui/focus.tsx'
import type { Landing } from '../ui/focus.tsx'
import { Copy, Notice, Tag, Time, sentence } from '../ui/parts.tsx'
import './runs.css'

export const isOver = ({ state }: Pick<RunHeadFragment, 'state'>): boolean => state !== 'QUEUED' && state !== 'RUNNING'

const KIND = { QUEUED: 'accent', RUNNING: 'accent', DONE: 'good', FAILED: 'down', CANCELLED: 'quiet' } as const
const WORD = { QUEUED: 'waiting', RUNNING: 'running', DONE: 'done', FAILED: 'failed', CANCELLED: 'cancelled' } as const

export const RunTag = ({ state }: Pick<RunHeadFragment, 'state'>) => <Tag kind={KIND[state]}>{WORD[state]}</Tag>

/** ISO text, as the API says times of this machine's, in seconds. */
const secOf = (iso: string): number => Math.floor(Date.parse(iso) / 1000)

export const StartedAt = ({ at }: { at: string }) => <Time at={secOf(at)}>{time(secOf(at)).slice(5, 19)} UTC</Time>

/** A run as it stands: which it is, how far, and what became of it where that is no result. `landing` brings the focus to its head when it comes, and when it ends under somebody's hand; `operations` are asked again then. */
export function RunState({ run, operations, landing, again, children }: { run: RunHeadFragment; operations: readonly string[]; landing: Landing; again?: () => void; children?: ReactNode }) {
  const over = isOver(run)
  return (
    <>
      <RunHead key={String(over)} run={run} landing={landing} />
      {children}
      {!over && <Running key={run.id} run={run} operations={operations} landing={landing} />}
      {over && run.state !== 'DONE' && <Ended run={run} {...(again && { again })} />}
    </>
  )
}

/** Follows a run until it has ended, with how far it is and a way to end it. */
function Running({ run, operations, landing }: { run: RunHeadFragment; operations: readonly string[]; landing: Landing }) {
  const [now, setNow] = useState(run)
  const [fault, setFault] = useState<string | null>(null)
  const [busy, setBusy] = useState(false)
  useEvents(RunProgressDocument, { id: run.id }, ({ riskRun }) => {
    setNow(riskRun)
    if (isOver(riskRun)) void renew(...operations)
  })
  const box = useRef<HTMLDivElement>(null)
  // The button goes with the run's end, whoever brought it about, and must not take the focus along.
  useLayoutEffect(() => {
    const shown = box.current
    return () => { if (shown?.contains(document.activeElement)) landing.expect() }
  }, [landing])
  const cancel = async () => {
    setFault(null)
    setBusy(true)
    try {
      await ask(CancelRunDocument, { id: run.id })
      await renew(...operations)
    } catch (error) {
      landing.expect()
      setFault(sentence(error))
    } finally {
      setBusy(false)
    }
  }
  return (
    <div className="run" ref={box}>
      <p role="status"><RunTag state={now.state} /> {now.state === 'QUEUED' ? 'Another run is computed first.' : `${percent(now.progress, 0)} done`}</p>
      <progress max={1} value={now.progress} aria-label="How much of the run is done" />
      <ActButton className="danger" busy={busy || isOver(now)} onClick={() => void cancel()}>{busy ? 'Cancelling …' : 'Cancel the run'}</ActButton>
      {fault && <div ref={landing.land} tabIndex={-1}><Notice kind="down" title={fault} /></div>}
    </div>
  )
}

/** Asks for a list again as soon as a run in it has ended. */
export function Follow({ id, operations }: { id: string; operations: readonly string[] }) {
  useEvents(RunProgressDocument, { id }, ({ riskRun }) => { if (isOver(riskRun)) void renew(...operations) })
  return null
}

/** What became of a run that gives no result. */
function Ended({ run, again }: { run: RunHeadFragment; again?: () => void }) {
  const button = again && <button type="button" onClick={again}>Run it again</button>
  if (run.state === 'FAILED') return <Notice kind="down" title="The run failed.">{run.error?.replace(/\.?$/, '.')} {button}</Notice>
  return <Notice kind="degraded" title="The run was cancelled.">It gave no result. {button}</Notice>
}

/** Which run it is, what it stood on and how long it took. */
function RunHead({ run, landing }: { run: RunHeadFragment; landing: Landing }) {
  return (
    <p className="run-head" ref={landing.land} tabIndex={-1}>
      <RunTag state={run.state} /> Run <Copy text={run.id} label="Id of the run"><code>{run.id.slice(0, 8)}</code></Copy>
      <span>over block <b>{whole(run.block.number)}</b>, <Time at={run.block.timestamp} /></span>
      <span>asked <StartedAt at={run.startedAt} />{run.finishedAt && `, took ${duration(Math.max(0, Math.round((Date.parse(run.finishedAt) - Date.parse(run.startedAt)) / 100) / 10))}`}</span>
    </p>
  )
}
