/** A basket of changes becomes a draft: values in their own units, with what policy and lint say while one types. */
import { useEffect, useMemo, useState } from 'react'
import type { ReactNode } from 'react'
import { Link, useLocation, useSearchParams } from 'wouter'
import { inBasket, putBack, putInBasket, takeDrafted, takeFromBasket, useBasket } from '../data/basket.ts'
import type { BasketItem } from '../data/basket.ts'
import { ApiError, ask, renew, useAnswer } from '../data/client.ts'
import { stored } from '../data/stored.ts'
import { DraftProposalDocument, ImportBatchDocument, ProposableParametersDocument, ValidateDraftDocument } from '../generated/operations.ts'
import type { DraftProposalInput, ProposableParametersQuery, ValidateDraftQuery } from '../generated/operations.ts'
import { effectiveOf, switchWords, unscaled } from '../parameters/values.ts'
import { ActButton, useLanding } from '../ui/focus.tsx'
import type { Landing } from '../ui/focus.tsx'
import { duration, words } from '../ui/format.ts'
import { Address, Empty, Loaded, Notice, PageHead, Panel, Tag, sentence } from '../ui/parts.tsx'
import { SessionLine, useAct } from '../wallet/Session.tsx'
import { Wallets, useSigner } from '../wallet/wallet.tsx'
import { hoursOf, isAddress, isYesNo, valueOf, valueText } from './amount.ts'
import './proposal.css'

type Known = ProposableParametersQuery
type Parameter = Known['parameters'][number]
type Rule = Known['policy']['parameters'][number]
type Finding = ValidateDraftQuery['validateDraft']['findings'][number]

/** What is typed and not drafted yet stays in this browser. `texts` and `confirms` by parameter and subject; `batch` is the file to import, `batchConfirms` its confirmations. */
type Texts = Readonly<Record<string, string>>
type Typed = { readonly title: string; readonly hours: string; readonly texts: Texts; readonly confirms: Texts; readonly desired: string; readonly batch: string; readonly batchConfirms: string }
const NOTHING: Typed = { title: '', hours: '', texts: {}, confirms: {}, desired: '', batch: '', batchConfirms: '' }
const isTexts = (value: unknown): boolean => typeof value === 'object' && value !== null && Object.values(value).every((each) => typeof each === 'string')
const typed = stored<Typed>('bulwark.draft', NOTHING, (value): value is Typed => {
  const kept = value as Record<string, unknown>
  return Object.entries(NOTHING).every(([name, nothing]) => (typeof nothing === 'string' ? typeof kept[name] === 'string' : isTexts(kept[name])))
}, (value) => ({ ...NOTHING, ...(value as object | null) }))
const change = (next: Partial<Typed>): void => typed.set({ ...typed.get(), ...next })

type Ref = Pick<BasketItem, 'parameter' | 'subject'>
const keyOf = ({ parameter, subject }: Ref): string => `${parameter}:${subject.toLowerCase()}`
const find = (known: Known, ref: Ref): Parameter | undefined => known.parameters.find(({ name, subject }) => keyOf({ parameter: name, subject }) === keyOf(ref))
const without = (texts: Texts, keys: readonly string[]): Texts => Object.fromEntries(Object.entries(texts).filter(([name]) => !keys.includes(name)))
const only = (texts: Texts, keys: readonly string[]): Texts => Object.fromEntries(Object.entries(texts).filter(([name]) => keys.includes(name)))

export default function Draft() {
  const known = useAnswer(ProposableParametersDocument, {}, 'minute')
  return (
    <div className="proposal">
      <PageHead title="New proposal" note="One Safe transaction for its owners to sign"><Link href="/proposals">All proposals</Link></PageHead>
      <Loaded of={known} height={500}>{(data) => <Wallets fallback={<div className="loading page" />}><Form known={data} /></Wallets>}</Loaded>
    </div>
  )
}

function itemOf(parameter: Parameter): BasketItem {
  const { name, subject, subjectLabel, title, raw, display } = parameter
  return { recommendationId: null, parameter: name, subject, subjectLabel, title, fromRaw: raw, fromDisplay: display, toRaw: raw, toDisplay: display }
}

function Form({ known }: { known: Known }) {
  const basket = useBasket()
  const { title, hours, texts, confirms, desired } = typed.use()
  const { has } = useSigner()
  const { busy, fault, error, act } = useAct()
  const [, go] = useLocation()
  const astray = useLinked(known)
  const { expect, land } = useLanding()
  /** What was taken out last, for the way back. */
  const [taken, setTaken] = useState<Pick<Typed, 'texts' | 'confirms'> & { readonly items: readonly BasketItem[] } | null>(null)

  const rows = basket.map((item) => {
    const [parameter, key] = [find(known, item), keyOf(item)]
    return { item, parameter, key, text: parameter && textFor(parameter, item, texts[key]) }
  })
  const wrong = rows.filter(({ parameter, text }) => parameter !== undefined && text !== undefined && valueOf(parameter, text).raw === null)
  const changed = rows.filter(({ item, parameter }) => parameter === undefined || item.toRaw !== parameter.raw)
  const playbook = changed[0]?.item.playbook
  const { sec: validForSec, fault: wrongHours } = hoursOf(hours, known.policy.maxValidForSec)
  const unread = wrong.length + (wrongHours === null ? 0 : 1)
  const input: DraftProposalInput = {
    title: title.trim() || defaultTitle(changed.map(({ item }) => item)),
    recommendationIds: changed.flatMap(({ item }) => (item.recommendationId === null ? [] : [item.recommendationId])),
    changes: changed.filter(({ item }) => item.recommendationId === null).map(({ item, key }) => ({ parameter: item.parameter, subject: item.subject, toRaw: item.toRaw, ...(confirms[key] ? { confirm: confirms[key] } : {}) })),
    ...(desired.trim() === '' ? {} : { desired, ...(title.trim() === '' && changed.length === 0 ? { title: null } : {}) }),
    ...(validForSec === null ? {} : { validForSec }),
    // Lint lets a playbook do more: it has to be all of the draft.
    ...(playbook !== undefined && desired.trim() === '' && changed.every(({ item }) => item.playbook === playbook) ? { playbook } : {}),
  }
  const asked = changed.length > 0 || desired.trim() !== ''
  const { settled, waiting } = useSettled(input, 300)
  const found = useAnswer(ValidateDraftDocument, { input: settled }, 'minute', asked)
  // An answer of an earlier visit is kept for a minute, and drafts were made or withdrawn since.
  useEffect(() => void renew('ValidateDraft'), [])
  const verdict = asked ? found.data?.validateDraft : undefined
  // While it is asked again of the same values, what this visit was told stands.
  const current = verdict !== undefined && !waiting && (!found.isFetching || found.isFetchedAfterMount) && !found.isPlaceholderData && found.error === null
    // What was refused, or may have been made, changes the verdict.
    && !(fault !== null && found.isFetching)
  const findings = verdict?.findings ?? []
  const beside = (ref: BasketItem): readonly Finding[] => findings.filter((each) => concerns(each, ref, rows.map(({ item }) => item)))
  const others = findings.filter((each) => !rows.some(({ item }) => concerns(each, item, rows.map((row) => row.item))))
  // Runs are kept for a while alone: what an older one asked for is drafted as the change that it is.
  const gone = rows.filter(({ item: { recommendationId } }) => recommendationId !== null && findings.some(({ text }) => text.includes(`no recommendation ${recommendationId},`))).map(({ item }) => item)
  useEffect(() => { for (const item of gone) putInBasket({ ...item, recommendationId: null }) }, [gone.map(keyOf).join()])
  const stops = findings.filter(({ severity }) => severity === 'BLOCK').length

  const takeOut = (items: readonly BasketItem[]) => {
    const keys = items.map(keyOf)
    const kept = typed.get()
    expect()
    setTaken({ items, texts: only(kept.texts, keys), confirms: only(kept.confirms, keys) })
    takeFromBasket(...items)
    change({ texts: without(kept.texts, keys), confirms: without(kept.confirms, keys) })
  }
  const undo = ({ items, texts: itsTexts, confirms: itsConfirms }: NonNullable<typeof taken>) => {
    expect()
    setTaken(null)
    putBack(items)
    change({ texts: { ...itsTexts, ...typed.get().texts }, confirms: { ...itsConfirms, ...typed.get().confirms } })
  }

  const draft = () => {
    expect()
    return act('draft', async () => {
      const { draftProposal } = await drafting(ask(DraftProposalDocument, { input }))
      const items = changed.map(({ item }) => item)
      takeDrafted(items)
      const kept = typed.get()
      const keys = items.map(keyOf)
      change({ texts: without(kept.texts, keys), confirms: without(kept.confirms, keys), ...(kept.title === title ? { title: '' } : {}), ...(kept.hours === hours ? { hours: '' } : {}), ...(kept.desired === desired ? { desired: '' } : {}) })
      await renew('Proposals')
      go(`/proposals/${draftProposal.id}`)
    })
  }

  return (
    <div className="desk">
      <div className="stack">
        <Panel id="basket" title="Changes" note={rows.length === 0 ? undefined : `${changed.length} of ${rows.length} differ from what is in force`} actions={rows.length > 0 && <button type="button" className="quiet" onClick={() => takeOut(basket)}>Take all out</button>}>
          {astray !== null && <Notice kind="degraded" title={astray}>Choose one that can be set below.</Notice>}
          {taken !== null && <Notice key={taken.items.map(keyOf).join()} kind="good" title={taken.items.length === 1 ? `${taken.items[0]!.title} of ${taken.items[0]!.subjectLabel} was taken out.` : `${taken.items.length} changes were taken out.`}><button type="button" ref={land} onClick={() => undo(taken)}>Undo</button></Notice>}
          {rows.length === 0 && <Empty>The basket is empty. Put in what is <Link href="/recommendations">recommended</Link>, or choose a parameter here and write its new value.</Empty>}
          <ul className="proposal-rows">
            {rows.map(({ item, parameter, key, text }) => <li key={key}>{parameter
              ? <Row item={item} parameter={parameter} rule={known.policy.parameters.find(({ name }) => name === item.parameter)} text={text ?? ''} confirm={confirms[key] ?? ''} findings={beside(item)} former={!current} told={current ? verdict.changes.find((each) => keyOf(each) === key) : undefined} takeOut={() => takeOut([item])} land={land} />
              : <p>{item.title} of {item.subjectLabel}: {item.toDisplay} <span className="muted">is not indexed now</span> <button type="button" className="quiet" onClick={() => takeOut([item])}>Take out<span className="sr"> {item.title} of {item.subjectLabel}</span></button></p>}</li>)}
          </ul>
          <Add known={known} basket={basket} />
        </Panel>
        <Desired text={desired} />
        <Import />
      </div>
      <div className="stack">
        <Panel id="draft" title="Draft">
          <SessionLine why="Stewards sign in to draft; anybody can try what policy and lint say." />
          <div className="body proposal-act">
            <label className="field">Title, one line for people<input value={title} maxLength={200} placeholder={defaultTitle(changed.map(({ item }) => item))} onChange={(event) => change({ title: event.target.value })} /></label>
            <label className="field">Time that signers have, in hours<input inputMode="decimal" value={hours} aria-invalid={wrongHours !== null} aria-describedby="draft-hours" placeholder={String(known.policy.defaultValidForSec / 3600)} onChange={(event) => change({ hours: event.target.value.trim() })} /><small id="draft-hours" className="proposal-break" aria-live="polite">{wrongHours !== null && <span className="down">{wrongHours} </span>}<span className="muted">of chain time; the policy allows up to {duration(known.policy.maxValidForSec)}, and {duration(known.policy.defaultValidForSec)} where nothing is said</span></small></label>
            <Verdict asked={asked} wrong={unread} stops={stops} current={current} ok={verdict?.ok ?? false} fault={asked && found.error ? found.error.message : null} />
            {others.length > 0 && <Findings of={others} former={!current} />}
            {verdict && verdict.ok && current && unread === 0 && <ol className="proposal-sentences">{verdict.changes.map(({ sentence }) => <li key={sentence}>{sentence}</li>)}</ol>}
            <ActButton className="main" busy={busy !== null} disabled={busy === null && (unread > 0 || !current || !verdict.ok || !has('STEWARD'))} onClick={() => void draft()}>{busy === 'draft' ? 'Drafting …' : 'Draft it'}</ActButton>
            {!has('STEWARD') && <small className="muted">Drafting is for stewards whom the DAO’s policy names.</small>}
            {fault !== null && <Refused error={error} land={land} />}
          </div>
        </Panel>
        <TogetherPanel known={known} basket={basket} />
      </div>
    </div>
  )
}

/** What was typed, while it is what the basket has or cannot be read; what another page put there since replaces it. */
function textFor(parameter: Parameter, item: BasketItem, text: string | undefined): string {
  if (text === undefined) return valueText(parameter, item.toRaw)
  const value = valueOf(parameter, text).raw
  return value === null || value.toString() === item.toRaw ? text : valueText(parameter, item.toRaw)
}

/** `/proposals/new?parameter=feeRatio&subject=0x…` puts that parameter into the form; one that is there stays as it is. What is wrong with the link otherwise, in one sentence. */
function useLinked(known: Known): string | null {
  const [astray, setAstray] = useState<string | null>(null)
  const [params, setParams] = useSearchParams()
  const basket = useBasket()
  const [parameter, subject] = [params.get('parameter'), params.get('subject')]
  useEffect(() => {
    if (parameter === null) return
    const found = known.parameters.find((each) => each.name === parameter && (subject === null ? each.scope === 'PROTOCOL' : each.subject.toLowerCase() === subject.toLowerCase() || each.subjectLabel === subject))
    if (found?.settable && inBasket(basket, itemOf(found)) === undefined) putInBasket(itemOf(found))
    setAstray(found === undefined
      ? `The link asks for “${parameter}” of ${subject === null ? 'the protocol' : `“${subject}”`}, which is no parameter here.`
      : found.settable ? null : `The link asks for ${found.title} of ${found.subjectLabel}, which cannot be set${found.advisory === null ? '' : `: ${found.advisory}`}.`)
    setParams({}, { replace: true })
  }, [parameter, subject])
  return astray
}

/** A mutation that drafts. Where it fails, the world is looked at anew: somebody else may have been first, or it was made and its answer lost. */
async function drafting<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked
  } catch (error) {
    void renew('ValidateDraft', 'Proposals')
    throw error
  }
}

/** With these a draft may have been made all the same. */
const UNSURE: ReadonlySet<string> = new Set(['OUT_OF_REACH', 'UNAVAILABLE', 'INTERNAL'])

/** Why nothing was drafted, or that nobody knows whether it was. */
const Refused = ({ error, land }: { error: unknown; land: Landing['land'] }) => (
  <div ref={land} tabIndex={-1} className="proposal-break">
    {error instanceof ApiError && UNSURE.has(error.code)
      ? <Notice kind="down" title={sentence(error)}>Whether a proposal was made of it is not known: look among <Link href="/proposals">the proposals</Link> before you draft it again. What was typed is still here.</Notice>
      : <Notice kind="down" title={<Linked text={sentence(error)} />}>Nothing was drafted, and what was typed is still here.</Notice>}
  </div>
)

/** A sentence of the API, with a link to each proposal that it names: nonce and the beginning of its hash, of namesakes with a number. */
const Linked = ({ text }: { text: string }) => text.split(/(?<=\bproposal )(\d+-[0-9a-f]{8}(?:-\d+)?)\b/).map((part, index) => (index % 2 === 1 ? <Link key={index} href={`/proposals/${part}`}>{part}</Link> : part))

/** The value once nobody has typed for `ms`. */
function useSettled<T>(value: T, ms: number): { readonly settled: T; readonly waiting: boolean } {
  const text = JSON.stringify(value)
  const [settled, setSettled] = useState(text)
  useEffect(() => {
    if (text === settled) return
    const timer = setTimeout(() => setSettled(text), ms)
    return () => clearTimeout(timer)
  }, [text, settled, ms])
  return { settled: useMemo(() => JSON.parse(settled) as T, [settled]), waiting: text !== settled }
}

const defaultTitle = (items: readonly BasketItem[]): string => {
  if (items.length === 0) return 'Change of parameters'
  const all = items.map(({ title, subjectLabel }) => (subjectLabel === 'protocol' ? title : `${title} of ${subjectLabel}`)).join(', ')
  return all.length <= 120 ? all : `${items.length} parameters`
}

/** A finding names its parameter, or its sentence does: `feeRatio of vETH`. */
function concerns({ parameter, subject, text }: Finding, ref: BasketItem, all: readonly BasketItem[]): boolean {
  if (parameter !== null) return parameter === ref.parameter && (subject === null || subject.toLowerCase() === ref.subject.toLowerCase())
  if (!new RegExp(`\\b${ref.parameter}\\b`).test(text)) return false
  const alike = all.filter((each) => each.parameter === ref.parameter)
  return alike.length === 1 || text.includes(ref.subjectLabel) || text.toLowerCase().includes(ref.subject.toLowerCase())
}

// ─── One change ────────────────────────────────────────────────────────────────────────────────────────────────────

const withUnit = (parameter: Parameter, raw: string | bigint): string => (parameter.inputDecimals === null ? String(raw) : BigInt(raw) >= 2n ** 128n ? 'no limit' : `${grouped(unscaled(String(raw), parameter.inputDecimals))}${parameter.unit ? ` ${parameter.unit}` : ''}`)
/** As the API tells it: `10 % (raw 0)` and `no distribution (raw 0)` where a raw 0 means that. */
const display = (parameter: Parameter, raw: string): string => switchWords(parameter, raw) ?? (effectiveOf(parameter, raw) === raw ? withUnit(parameter, raw) : `${withUnit(parameter, effectiveOf(parameter, raw))} (raw ${raw})`)
const grouped = (text: string): string => text.replace(/^\d+/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ','))

function Row({ item, parameter, rule, text, confirm, findings, former, told, takeOut, land }: { item: BasketItem; parameter: Parameter; rule: Rule | undefined; text: string; confirm: string; findings: readonly Finding[]; former: boolean; told: ValidateDraftQuery['validateDraft']['changes'][number] | undefined; takeOut: () => void; land: Landing['land'] }) {
  const key = keyOf(item)
  const { raw, fault } = valueOf(parameter, text)
  const moved = item.fromRaw !== parameter.raw
  const id = `value-${key.replace(/[^a-zA-Z0-9]/g, '-')}`
  const type = (next: string) => {
    change({ texts: { ...typed.get().texts, [key]: next } })
    const value = valueOf(parameter, next).raw
    if (value === null || value.toString() === item.toRaw) return
    const { playbook: _, ...byHand } = item
    putInBasket({ ...byHand, recommendationId: null, toRaw: value.toString(), toDisplay: isYesNo(parameter) ? (value === 0n ? 'no' : 'yes') : isAddress(parameter) ? next.trim() : display(parameter, value.toString()), fromRaw: parameter.raw, fromDisplay: parameter.display })
  }
  const name = `${item.parameter} of ${item.subjectLabel}`
  const stops = raw === null || findings.some(({ severity }) => severity === 'BLOCK')
  return (
    <div className="proposal-row">
      <header>
        <label htmlFor={id}><b>{parameter.title}</b> of {item.subjectLabel}</label>
        {item.recommendationId !== null && <Tag kind="accent">recommended</Tag>}
        {parameter.irreversible && <Tag kind="down">cannot be undone</Tag>}
        <button type="button" className="quiet" onClick={takeOut}>Take out<span className="sr"> {name}</span></button>
      </header>
      <div className="proposal-edit">
        <span><small className="muted">In force</small><span title={`raw ${parameter.raw}`}>{isAddress(parameter) ? <Address of={valueText(parameter, parameter.raw)} /> : parameter.display}</span></span>
        <i aria-hidden="true">→</i>
        <span>
          <small className="muted">New{parameter.unit && !isYesNo(parameter) ? `, ${parameter.unit}` : ''}</small>
          {isYesNo(parameter)
            ? <select ref={land} id={id} value={text} aria-describedby={`${id}-says`} onChange={(event) => type(event.target.value)}><option value="0">no</option><option value="1">yes</option></select>
            : <input ref={land} id={id} value={text} inputMode={isAddress(parameter) ? 'text' : 'decimal'} className={isAddress(parameter) ? 'mono wide' : 'n'} autoComplete="off" spellCheck={false} aria-invalid={stops} aria-describedby={`${id}-says`} onChange={(event) => type(event.target.value)} />}
        </span>
        <span><small className="muted">Raw</small><code>{raw === null ? '—' : raw.toString()}</code></span>
        {told && fault === null && <span><small className="muted">Step</small><span>{told.step}</span></span>}
      </div>
      <div id={`${id}-says`} aria-live="polite">
        {fault !== null && <p className="down proposal-break">{fault}</p>}
        {raw !== null && raw.toString() === parameter.raw && <p className="muted">This is in force already: it is left out until it differs.</p>}
        {moved && <p className="warn">It was {item.fromDisplay} when it was put in, and is {parameter.display} now.</p>}
        <Findings of={findings} former={former} />
      </div>
      <Limits parameter={parameter} rule={rule} />
      {parameter.irreversible && <label className="field proposal-confirm">Type “{name}” to confirm what the chain cannot take back<input value={confirm} autoComplete="off" spellCheck={false} aria-invalid={confirm !== name} onChange={(event) => {
        change({ confirms: { ...typed.get().confirms, [key]: event.target.value } })
        // A recommendation carries no confirmation: with one it is a change by hand.
        if (item.recommendationId !== null) putInBasket({ ...item, recommendationId: null })
      }} /></label>}
    </div>
  )
}

/** What the contract takes, what the DAO's policy takes, and how far one step may go. */
function Limits({ parameter, rule }: { parameter: Parameter; rule: Rule | undefined }) {
  if (parameter.inputDecimals === null) return <p className="proposal-limits muted">{parameter.description}</p>
  const say = (raw: string | bigint) => withUnit(parameter, raw)
  const current = BigInt(parameter.raw)
  const bounds = (min: string | null, max: string | null): string => (min !== null && max !== null ? `${say(min)} to ${say(max)}` : min !== null ? `from ${say(min)}` : max !== null ? `up to ${say(max)}` : 'any')
  const relative = rule?.maxStepRelative == null ? null : (current * BigInt(Math.round(rule.maxStepRelative * 1e6))) / 1_000_000n
  const absolute = rule?.maxStepRaw == null ? null : BigInt(rule.maxStepRaw)
  const step = relative === null ? absolute : absolute === null || relative < absolute ? relative : absolute
  // A step within the bounds of both: what lies beyond either is refused anyway.
  const least = [rule?.minRaw, parameter.bounds.min].reduce((low, each) => (each != null && BigInt(each) > low ? BigInt(each) : low), 0n)
  const most = [rule?.maxRaw, parameter.bounds.max].reduce<bigint | null>((high, each) => (each != null && (high === null || BigInt(each) < high) ? BigInt(each) : high), null)
  const low = step === null ? null : current - step > least ? current - step : least
  const high = step === null ? null : most !== null && current + step > most ? most : current + step
  return (
    <p className="proposal-limits muted">
      {rule === undefined
        ? <span className="warn">The policy does not let stewards propose this one.</span>
        : <><span>Policy: <b>{bounds(rule.minRaw, rule.maxRaw)}</b></span>{low !== null && high !== null && low < high && <span>one step: <b>{say(low)} to {say(high)}</b>{rule.maxStepRelative != null && ` (${rule.maxStepRelative * 100} %)`}</span>}{rule.exemptRaw.length > 0 && <span>at any time: <b>{rule.exemptRaw.map((raw) => display(parameter, String(raw))).join(', ')}</b></span>}{rule.minDelaySec > 0 && <span>at most every {duration(rule.minDelaySec)}</span>}</>}
      <span>Contract: {bounds(parameter.bounds.min, parameter.bounds.max)}</span>
      <span className="long">{parameter.description}{parameter.bounds.note && ` ${parameter.bounds.note}`}</span>
    </p>
  )
}

/** `former`: of what was typed before, until policy and lint have answered. */
const Findings = ({ of, former }: { of: readonly Finding[]; former: boolean }) => of.length === 0 ? null : <ul className="proposal-findings">{of.filter((each, index) => of.findIndex(({ text }) => text === each.text) === index).map((each, index) => <li key={index}>{former ? <Tag>before</Tag> : <Tag kind={each.severity === 'BLOCK' ? 'down' : 'warn'}>{words(each.severity)}</Tag>} <span><Linked text={each.text} /> <code className="muted">{each.rule}</code></span></li>)}</ul>

function Verdict({ asked, wrong, stops, current, ok, fault }: { asked: boolean; wrong: number; stops: number; current: boolean; ok: boolean; fault: string | null }) {
  const say = (kind: 'down' | 'degraded' | 'good', title: string): ReactNode => <Notice kind={kind} title={title} />
  if (fault !== null) return say('down', `${fault.replace(/\.$/, '')}.`)
  if (wrong > 0) return say('down', `${wrong === 1 ? 'One value' : `${wrong} values`} cannot be read; see beside ${wrong === 1 ? 'it' : 'them'}.`)
  if (!asked) return <p className="muted">Change a value, or paste a file of desired values.</p>
  if (!current) return <p className="muted" role="status">Asking policy and lint …</p>
  return ok ? say('good', 'Policy and lint let this be drafted.') : say('down', stops === 1 ? 'One rule stops this.' : `${stops} rules stop this.`)
}

/** Choosing one puts it into the list with the value that it has. */
function Add({ known, basket }: { known: Known; basket: readonly BasketItem[] }) {
  const taken = new Set(basket.map(keyOf))
  const settable = known.parameters.filter(({ settable: may }) => may)
  const groups = [...new Set(settable.map(({ subjectLabel }) => subjectLabel))]
  return (
    <div className="controls">
      <label className="field">Change a parameter by hand
        <select value="" onChange={(event) => { const found = settable.find(({ id }) => id === event.target.value); if (found) putInBasket(itemOf(found)) }}>
          <option value="">choose one …</option>
          {groups.map((group) => <optgroup key={group} label={group}>{settable.filter(({ subjectLabel }) => subjectLabel === group).toSorted((a, b) => (a.title < b.title ? -1 : 1)).map((each) => <option key={each.id} value={each.id} disabled={taken.has(keyOf({ parameter: each.name, subject: each.subject }))}>{each.title}{isAddress(each) ? '' : `: ${each.display}`}</option>)}</optgroup>)}
        </select>
      </label>
    </div>
  )
}

// ─── Files ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const MAX_BYTES = 200_000

/** Text that can be typed, pasted, dropped or chosen as a file. */
function FileText({ label, accept, value, onText, rows = 6 }: { label: string; accept: string; value: string; onText: (text: string) => void; rows?: number }) {
  const [over, setOver] = useState(false)
  const [fault, setFault] = useState<string | null>(null)
  const read = async (file: File | undefined) => {
    if (!file) return
    if (file.size > MAX_BYTES) return setFault(`Found a file of ${file.size} bytes, allowed are ${MAX_BYTES}; choose the right one`)
    setFault(null)
    onText(await file.text())
  }
  return (
    <div className="proposal-file" data-over={over || undefined} onDragOver={(event) => { event.preventDefault(); setOver(true) }} onDragLeave={() => setOver(false)} onDrop={(event) => { event.preventDefault(); setOver(false); void read(event.dataTransfer.files[0]) }}>
      <label className="field">{label}<textarea className="mono" rows={rows} value={value} spellCheck={false} onChange={(event) => onText(event.target.value)} /></label>
      <label className="field">or a file, chosen or dropped here<input type="file" accept={accept} onChange={(event) => void read(event.target.files?.[0])} /></label>
      {fault && <Notice kind="down" title={fault} />}
    </div>
  )
}

function Desired({ text }: { text: string }) {
  return (
    <Panel id="desired" title="Desired values" note="what stands already is no change">
      <details className="proposal-more" open={text !== ''}>
        <summary>Paste or drop a file, YAML or JSON</summary>
        <div className="body proposal-act">
          <FileText label="The file’s text" accept=".yaml,.yml,.json" value={text} onText={(desired) => change({ desired })} />
          <pre className="muted">{'title: Narrow the band of vETH\nvalidFor: 2 d\nmarkets: { vETH: { marketMaxPriceSpreadRatio: 7 % } }'}</pre>
          {text !== '' && <button type="button" className="quiet" onClick={() => change({ desired: '' })}>Take it out</button>}
        </div>
      </details>
    </Panel>
  )
}

/** Nothing is taken over from the file but the values that its calls set. */
function Import() {
  const { has } = useSigner()
  const { busy, fault, error, act } = useAct()
  const { batch, batchConfirms } = typed.use()
  const { expect, land } = useLanding()
  const [, go] = useLocation()
  const draft = () => {
    expect()
    return act('import', async () => {
      const { importBatch } = await drafting(ask(ImportBatchDocument, { input: { file: batch, confirm: batchConfirms.split('\n').map((line) => line.trim()).filter((line) => line !== '') } }))
      if (typed.get().batch === batch) change({ batch: '', batchConfirms: '' })
      await renew('Proposals')
      go(`/proposals/${importBatch.id}`)
    })
  }
  return (
    <Panel id="import" title="Import" note="a batch of Safe’s Transaction Builder">
      <details className="proposal-more" open={batch !== '' || batchConfirms !== ''}>
        <summary>Paste or drop its file</summary>
        <div className="body proposal-act">
          <FileText label="The file’s text" accept=".json" value={batch} onText={(text) => change({ batch: text })} />
          <label className="field">Confirmations, one a line, where a refusal asks for them<textarea rows={2} value={batchConfirms} spellCheck={false} onChange={(event) => change({ batchConfirms: event.target.value })} /></label>
          <ActButton busy={busy !== null} disabled={busy === null && (batch.trim() === '' || !has('STEWARD'))} onClick={() => void draft()}>{busy === 'import' ? 'Reading its calls …' : 'Draft what its calls set'}</ActButton>
          {!has('STEWARD') && <small className="muted">Importing is for stewards; sign in beside.</small>}
          {fault !== null && <Refused error={error} land={land} />}
        </div>
      </details>
    </Panel>
  )
}

/** Parameters that the policy wants changed in one batch or not at all. */
function TogetherPanel({ known, basket }: { known: Known; basket: readonly BasketItem[] }) {
  const groups = known.policy.together.filter((names) => names.some((name) => basket.some(({ parameter }) => parameter === name)))
  if (groups.length === 0) return null
  return <Panel id="together" title="Changed together or not at all"><ul className="proposal-findings">{groups.map((names) => <li key={names.join()}>{names.join(', ')}</li>)}</ul></Panel>
}
