/** Stress: what the whole book loses under regimes of history and shocks of one's own, as runs that anybody can be sent. */
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { useSearchParams } from 'wouter'
import { ask, renew, useAnswer } from '../data/client.ts'
import { StartStressDocument, StressGroundDocument, StressRunDocument, StressRunsDocument } from '../generated/operations.ts'
import type { RunHeadFragment, StressRunQuery } from '../generated/operations.ts'
import { Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { ActButton, useLanding } from '../ui/focus.tsx'
import type { Landing } from '../ui/focus.tsx'
import { whole } from '../ui/format.ts'
import { Copy, Empty, Loaded, Notice, PageHead, Panel, sentence } from '../ui/parts.tsx'
import { Builder } from './Builder.tsx'
import type { Library } from './Builder.tsx'
import { Compare } from './Compare.tsx'
import { Results, useMedia } from './Results.tsx'
import type { Round } from './Results.tsx'
import { carriesQuestion, describe, faultsOf, inputOf, parse, questionOf, sameQuestion, strangersOf, withoutStrangers, write } from './question.ts'
import type { Question } from './question.ts'
import { Follow, RunState, RunTag, StartedAt, isOver } from './runs.tsx'
import './stress.css'

type Run = NonNullable<StressRunQuery['riskRun']>

/** The address follows typing after this long, ms: browsers refuse to have it changed with every step of a drag. */
const WRITE_AFTER_MS = 250

export default function Stress() {
  const [params, setParams] = useSearchParams()
  const [question, setQuestion] = useQuestion(params, setParams)
  const ground = useAnswer(StressGroundDocument, {}, 'minute')
  const library = useMemo<Library | null>(() => (ground.data ? { BASE: ground.data.base, SEVERE: ground.data.severe, DAY: ground.data.day } : null), [ground.data])
  const ids = useMemo(() => library?.SEVERE.map(({ id }) => id) ?? [], [library])
  const [given, setGiven] = useState<string | null>(null)
  const [fault, setFault] = useState<string | null>(null)
  const [starting, setStarting] = useState(false)
  const landing = useLanding()
  const held = useRef(question)
  held.current = question
  const [runId, otherId] = [params.get('run'), params.get('compare')]
  const runs = useAnswer(StressRunsDocument, {}, 'minute')
  // In one column a long question would stand before the answer that somebody came for.
  const foldable = useMedia('(max-width: 1199px)') && runId !== null
  const [unfolded, setUnfolded] = useState(false)
  const folded = foldable && !unfolded

  const go = useCallback((changes: Readonly<Record<string, string | null>>) => {
    setParams((before) => {
      const next = new URLSearchParams(before)
      for (const [key, value] of Object.entries(changes)) if (value === null) next.delete(key)
        else next.set(key, value)
      return next
    })
  }, [setParams])

  const start = async (asked: Question) => {
    setFault(null)
    setGiven(null)
    setQuestion(asked)
    setStarting(true)
    landing.expect()
    try {
      const { startRiskRun: run } = await ask(StartStressDocument, { input: inputOf(asked, ids) })
      setGiven(run.state === 'DONE' ? run.id : null)
      setUnfolded(false)
      setParams((before) => {
        // What was typed while the API answered stays on the page, and so in its address.
        const next = write(held.current, before)
        next.set('run', run.id)
        next.delete('compare')
        return next
      })
      await renew('StressRuns')
    } catch (error) {
      setFault(sentence(error))
    } finally {
      setStarting(false)
    }
  }

  const faults = faultsOf(question, ids)
  const [strangers, known] = [strangersOf(question, ids), withoutStrangers(question, ids)]
  const count = (known.regimes === 'all' ? ids.length : known.regimes.length) * known.severities.length + known.shocks.length
  const view = { chosen: params.get('scenario'), choose: useCallback((key: string) => go({ scenario: key }), [go]), round: (params.get('round') === 'first' ? 'first' : 'cascade') as Round, setRound: useCallback((round: Round) => go({ round: round === 'first' ? 'first' : null }), [go]) }
  return (
    <>
      <PageHead title="Stress" note="What the whole book would lose, and who would pay"><span className="stress-copy"><Copy text={location.href} label="Link to this question and its run">Copy the link</Copy></span></PageHead>
      <div className="stress">
        <div className="stack">
          <Panel id="question" title="Question" actions={foldable && <button type="button" aria-expanded={!folded} onClick={() => setUnfolded(folded)}>{folded ? 'Change it' : 'Fold it away'}</button>}>
            {folded ? <p className="stress-asked stress-folded">{describe(known, ids)}</p> : <Loaded of={ground} height={620}>
              {({ markets, collaterals }) => library && (
                <>
                  <Builder question={question} change={(change) => setQuestion({ ...question, ...change })} library={library} symbols={[...new Set([...markets, ...collaterals].map(({ symbol }) => symbol))]} />
                  <div className="stress-run">
                    <div aria-live="polite">
                      {faults.map((text) => <p key={text} className="down">{text}</p>)}
                      {strangers.length > 0 && <button type="button" onClick={() => setQuestion(known)}>Leave {strangers.length === 1 ? 'it' : 'them'} out</button>}
                      {fault && <p className="down" role="alert" ref={landing.land} tabIndex={-1}>{fault}</p>}
                      {faults.length === 0 && !fault && <p className="muted">{count} {count === 1 ? 'scenario' : 'scenarios'} over the newest block</p>}
                    </div>
                    <ActButton className="main" disabled={faults.length > 0} busy={starting} onClick={() => void start(question)}>{starting ? 'Starting …' : 'Run'}</ActButton>
                  </div>
                </>
              )}
            </Loaded>}
          </Panel>
          <Panel id="runs" title="Runs before" note="of everybody, newest first">
            <Loaded of={runs} height={160}>{({ riskRuns }) => <Runs runs={riskRuns} ids={ids} shown={runId} compared={otherId} go={go} />}</Loaded>
          </Panel>
        </div>
        <div className="stack">
          {runId === null ? <Nothing runs={runs.data?.riskRuns} open={(id) => go({ run: id })} /> : <Shown key={`${runId} ${otherId}`} id={runId} otherId={otherId} given={given === runId} landing={landing} question={question} take={setQuestion} adopt={!carriesQuestion(params)} ids={ids} start={(asked) => void start(asked)} view={view} go={go} />}
        </div>
      </div>
    </>
  )
}

/** The question on the page and the one in the address, kept the same both ways. */
function useQuestion(params: URLSearchParams, setParams: ReturnType<typeof useSearchParams>[1]): readonly [Question, (question: Question) => void] {
  const [question, setQuestion] = useState(() => parse(params))
  const inAddress = JSON.stringify(parse(params))
  const known = useRef(inAddress)
  useEffect(() => {
    // Somebody went back, or followed a link to another question.
    if (inAddress === known.current || !carriesQuestion(new URLSearchParams(location.search))) return
    known.current = inAddress
    setQuestion(JSON.parse(inAddress) as Question)
  }, [inAddress])
  const held = JSON.stringify(question)
  useEffect(() => {
    if (held === known.current) return
    const timer = setTimeout(() => {
      known.current = held
      setParams((before) => write(JSON.parse(held) as Question, before), { replace: true })
    }, WRITE_AFTER_MS)
    return () => clearTimeout(timer)
  }, [held, setParams])
  return [question, setQuestion]
}

function Nothing({ runs, open }: { runs: readonly RunHeadFragment[] | undefined; open: (id: string) => void }) {
  const newest = runs?.find(({ state }) => state === 'DONE')
  return (
    <Panel id="results" title="Results">
      <Empty>No run is open. Choose regimes or add a shock, and run the question over the newest block.</Empty>
      {newest && <p className="stress-open"><button type="button" onClick={() => open(newest.id)}>Open the newest finished run</button> <span className="muted">of block {whole(newest.block.number)}</span></p>}
    </Panel>
  )
}

type View = { readonly chosen: string | null; readonly choose: (key: string) => void; readonly round: Round; readonly setRound: (round: Round) => void }
type Go = (changes: Readonly<Record<string, string | null>>) => void

function Shown({ id, otherId, given, landing, question, take, adopt, ids, start, view, go }: { id: string; otherId: string | null; given: boolean; landing: Landing; question: Question; take: (question: Question) => void; adopt: boolean; ids: readonly string[]; start: (question: Question) => void; view: View; go: Go }) {
  const answer = useAnswer(StressRunDocument, { id }, 'event')
  const other = useAnswer(StressRunDocument, { id: otherId ?? '' }, 'event', otherId !== null)
  const run = answer.data?.riskRun
  // A link to a run alone brings its question along; one that was typed here stays.
  const adopted = useRef(false)
  useEffect(() => {
    if (!adopt || adopted.current || run?.kind !== 'STRESS' || ids.length === 0) return
    adopted.current = true
    take(questionOf(run.input))
  }, [adopt, run, ids, take])
  return (
    <>
      <Panel id="results" title="Results">
        <Loaded of={answer} height={44}>
          {({ riskRun }) => {
            if (riskRun === null || riskRun.kind !== 'STRESS') return <Missing id={id} />
            const asked = questionOf(riskRun.input)
            const same = sameQuestion(asked, question, ids)
            // Before the library is here, regimes are names that nobody knows: asked again, it would be another question without them.
            return (
              <RunState run={riskRun} operations={['StressRun', 'StressRuns']} landing={landing} {...(ids.length > 0 && { again: () => start(asked) })}>
                <p className="stress-asked">{describe(asked, ids)}{!same && ids.length > 0 && <> <span className="warn">— not the question on this page.</span> <button type="button" className="quiet" onClick={() => take(asked)}>Take its question over</button></>}</p>
                {given && <div ref={landing.land} tabIndex={-1}><Notice kind="good" title="This question had been answered.">The same was asked of the same inputs before: nothing was computed again, and this is that run.</Notice></div>}
              </RunState>
            )
          }}
        </Loaded>
      </Panel>
      {run?.id === id && run.stress && otherId !== null && <Loaded of={other} height={300}>{({ riskRun }) => <Other riskRun={riskRun} id={otherId} landing={landing} run={run} view={view} close={() => go({ compare: null })} />}</Loaded>}
      {run?.id === id && run.stress && <Results of={run.stress} {...view} />}
    </>
  )
}

const Missing = ({ id }: { id: string }) => <Notice kind="degraded" title="This run is no longer kept.">Found no stress run {id.slice(0, 36)}; the newest 200 are kept. Run the question on this page to have it answered over the newest block.</Notice>

/** The second run of a comparison, or why there is none yet. */
function Other({ riskRun, id, landing, run, view, close }: { riskRun: Run | null; id: string; landing: Landing; run: Run; view: View; close: () => void }) {
  if (riskRun === null || riskRun.kind !== 'STRESS') return <Panel id="compare" title="A against B" actions={<button type="button" className="quiet" onClick={close}>Close</button>}><Missing id={id} /></Panel>
  if (riskRun.stress && run.stress) return <Compare a={{ run, result: run.stress }} b={{ run: riskRun, result: riskRun.stress }} round={view.round} setRound={view.setRound} close={close} />
  return (
    <Panel id="compare" title="A against B" actions={<button type="button" className="quiet" onClick={close}>Close</button>}>
      <RunState run={riskRun} operations={['StressRun', 'StressRuns']} landing={landing} />
    </Panel>
  )
}

const LISTS = ['StressRuns']

function Runs({ runs, ids, shown, compared, go }: { runs: readonly RunHeadFragment[]; ids: readonly string[]; shown: string | null; compared: string | null; go: Go }) {
  const columns = useMemo<readonly Column<RunHeadFragment>[]>(() => [
    { key: 'asked', head: 'Asked', value: ({ startedAt }) => startedAt, cell: (run) => <span className="stress-run-row"><StartedAt at={run.startedAt} /><small>{describe(questionOf(run.input), ids)}</small></span> },
    { key: 'block', head: 'Block', numeric: true, value: ({ block }) => block.number, cell: ({ block }) => whole(block.number) },
    { key: 'state', head: 'State', value: ({ state }) => state, cell: (run) => <><RunTag state={run.state} />{!isOver(run) && <Follow id={run.id} operations={LISTS} />}</> },
    {
      key: 'open', head: 'Show', value: ({ id }) => (id === shown ? 'A' : id === compared ? 'B' : ''),
      cell: (run) => (
        <span className="stress-ab">
          <button type="button" aria-pressed={run.id === shown} aria-label={`Show the run of block ${run.block.number}, asked ${run.startedAt}, as A`} onClick={() => go(run.id === compared ? { run: run.id, compare: shown } : { run: run.id })}>A</button>
          <button type="button" aria-pressed={run.id === compared} disabled={shown === null || run.id === shown || run.state !== 'DONE'} aria-label={`Compare with the run of block ${run.block.number}, asked ${run.startedAt}, as B`} onClick={() => go({ compare: run.id === compared ? null : run.id })}>B</button>
        </span>
      ),
    },
  ], [ids, shown, compared, go])
  return <div className="stress-runs"><Table title="Runs" columns={columns} rows={runs} rowKey={({ id }) => id} few={6} empty="Nobody has run a stress test yet." /></div>
}
