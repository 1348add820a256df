/** The three hashes, what to compare them with, and a signature: made by this browser's wallet, or brought as a file. */
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { ApiError, ask, renew, useAnswer } from '../data/client.ts'
import { AddSignatureDocument, PublishProposalDocument, PullSignaturesDocument, ReviewFileDocument, StatusDocument } from '../generated/operations.ts'
import type { ReviewFragment, SignatureKind } from '../generated/operations.ts'
import { download } from '../ui/export.ts'
import { ActButton, useLanding } from '../ui/focus.tsx'
import { short } from '../ui/format.ts'
import { Address, Copy, Facts, Notice, Panel } from '../ui/parts.tsx'
import { SessionLine, useAct } from '../wallet/Session.tsx'
import { MULTI_SEND_CODES, PRECONDITION, PRECONDITION_CODE } from '../wallet/deeds.ts'
import { check, signerOf } from '../wallet/safeTx.ts'
import type { Checked, Doing, Told } from '../wallet/safeTx.ts'
import { useSigner } from '../wallet/wallet.tsx'
import type { Question } from './Confirm.tsx'
import { hindranceOfSafe } from './hindrance.ts'
import type { Opened } from './hindrance.ts'
import { dropSignatures, keepSignature, useKeptSignatures } from './kept.ts'

export type SafeNow = { readonly address: string; readonly published: boolean; readonly onChain: { readonly owners: readonly string[]; readonly threshold: number; readonly nonce: number; readonly mismatch: string | null } }
/** Asks in a dialog that is looked at again for as long as it is open. */
export type AskFor = (question: Question & { readonly opened: Opened }) => void
type Signature = { readonly signer: string; readonly signature: string }

/** What is to be signed: the proposal's own transaction, or the one that cancels it. */
export type Signable = { readonly kind: SignatureKind; readonly told: Told; readonly doing: Doing; readonly signatures: readonly Signature[] }

export function signableOf(proposal: ReviewFragment, kind: SignatureKind): Signable | null {
  const { chainId, safe, safeTx, typedData, nonce, domainHash, messageHash, safeTxHash, deeds, changes, validUntil, governance, cancellation, queue } = proposal
  if (kind === 'CHANGE') return { kind, told: { chainId, safe, safeTx, typedData, nonce, domainHash, messageHash, safeTxHash }, doing: { kind, deeds, changes, validUntil, governance }, signatures: proposal.signatures }
  if (cancellation === null) return null
  const doing: Doing | null = cancellation.kind === 'REJECTION' ? { kind: 'REJECTION' } : queue === null ? null : { kind: 'TIMELOCK', timelock: queue.timelock, operation: queue.operation }
  return doing && { kind, told: { ...cancellation, chainId, safe }, doing, signatures: cancellation.signatures }
}

export const isSame = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

/** This page's own derivation, held against all that the API tells; undefined while chain and Safe are not known yet. */
export function useChecked(signable: Signable | null, safe: SafeNow | undefined): Checked | undefined {
  const chainId = useAnswer(StatusDocument, {}, 'block').data?.status.chainId
  // Everything that is checked, as text: the objects are new with every answer.
  const text = signable === null ? '' : JSON.stringify([signable.told, signable.doing])
  return useMemo(() => (signable === null || chainId === undefined || safe === undefined ? undefined : check(signable.told, signable.doing, { chainId, safe: safe.address })), [text, chainId, safe?.address])
}

/** `again`: the wallet's node did not tell last; it is asked anew with the next block, and by this. */
export type Contracts = { readonly known: boolean; readonly faults: readonly string[]; readonly again: (() => void) | null }

/**
 * What the transaction delegate-calls, and what is to guard it, by the wallet's own node: the one thing here that no server tells. Not known
 * until a wallet is connected.
 */
export function useContracts(checked: Checked | undefined): Contracts {
  const { wallet } = useSigner()
  const to = checked?.typedData?.message.operation === 1 ? checked.typedData.message.to : null
  const ready = wallet.account !== null && wallet.elsewhere === null
  const [found, setFound] = useState<{ readonly of: string | null; /** null: the node did not tell. */ readonly faults: readonly string[] | null; /** The last block that was indexed then. */ readonly at: string | undefined }>({ of: null, faults: [], at: undefined })
  const [asked, setAsked] = useState(0)
  const again = useCallback(() => setAsked((times) => times + 1), [])
  const isUntold = ready && to !== null && found.of === to && found.faults === null
  const block = useAnswer(StatusDocument, {}, 'block').data?.status.indexed?.number
  const latest = useRef(block)
  latest.current = block
  useEffect(() => {
    if (!isUntold || block === found.at) return
    setFound((last) => ({ ...last, at: block }))
    again()
  }, [isUntold, block, found.at, again])
  useEffect(() => {
    if (to === null || !ready) return
    let stopped = false
    const tell = (faults: readonly string[] | null) => { if (!stopped) setFound({ of: to, faults, at: latest.current }) }
    Promise.all([wallet.codeHash(to), wallet.codeHash(PRECONDITION)]).then(
      ([multiSend, precondition]) => tell([
        ...(multiSend !== null && MULTI_SEND_CODES.includes(multiSend) ? [] : [`Found ${multiSend === null ? 'no code' : `code ${multiSend}`} at ${to}, which the Safe would delegate-call; allowed is Safe’s MultiSendCallOnly alone; do not sign`]),
        ...(precondition === PRECONDITION_CODE ? [] : [`Found ${precondition === null ? 'no code' : `code ${precondition}`} at ${PRECONDITION}, where the precondition has to be; do not sign`]),
      ]),
      () => tell(null),
    )
    return () => { stopped = true }
  }, [to, ready, asked])
  if (checked?.typedData != null && to === null) return { known: true, faults: [], again: null }
  return { known: found.of === to && found.faults !== null, faults: found.of === to ? found.faults ?? [] : [], again: isUntold ? again : null }
}

/** `0x` and groups of eight digits: what eyes can follow from one screen to another. */
function Hash({ label, value }: { label: string; value: string }) {
  const groups = value.slice(2).match(/.{1,8}/g) ?? []
  return (
    <div className="proposal-hash">
      <dt>{label}</dt>
      <dd>
        <code><span className="proposal-hash-whole">{value}</span><i aria-hidden="true">0x</i>{groups.map((group, index) => <span key={index} aria-hidden="true">{group}</span>)}</code>
        <Copy text={value} label={label}>copy</Copy>
      </dd>
    </div>
  )
}

export function HashesPanel({ proposal, signable, checked, signing, safe }: { proposal: ReviewFragment; signable: Signable; checked: Checked | undefined; signing: boolean; safe: SafeNow | undefined }) {
  const { fault, busy, act } = useAct()
  const { told } = signable
  const name = `proposal-${proposal.id}.json`
  const command = signable.kind === 'CHANGE' ? proposal.verifyCommand : `npm run bulwark -- proposal cancel-check ${name} --trust trust.yaml${proposal.cancellation?.kind === 'TIMELOCK' ? ` --timelock-nonce ${told.nonce}` : ''}`
  const save = () => act('file', async () => {
    const { proposal: found } = await ask(ReviewFileDocument, { id: proposal.id })
    download(name, `${JSON.stringify(found?.reviewFile, null, 2)}\n`, 'application/json')
  })
  return (
    <Panel id="hashes" title={!signing ? 'Hashes' : signable.kind === 'CHANGE' ? 'Compare before you sign' : 'Compare before you sign the cancellation'}>
      <dl className="proposal-hashes">
        <Hash label="Domain hash" value={told.domainHash} />
        <Hash label="Message hash" value={told.messageHash} />
        <Hash label="safeTxHash" value={told.safeTxHash} />
      </dl>
      <Facts of={[
        ['Safe', <Address key="safe" of={told.safe} label="Safe" whole />],
        ['Chain and nonce', <span key="nonce">chain {told.chainId}, nonce <b>{told.nonce}</b>{signing && safe && (safe.onChain.nonce === told.nonce ? ', the Safe’s next' : safe.onChain.nonce < told.nonce ? <span className="warn">: the Safe is at {safe.onChain.nonce}, so {told.nonce - safe.onChain.nonce === 1 ? 'one other transaction goes' : `${told.nonce - safe.onChain.nonce} others go`} first</span> : <span className="down">: the Safe is at {safe.onChain.nonce}, it is used</span>)}</span>],
      ]} />
      {/* As many lines as what takes its place, so that nothing below moves. */}
      {checked === undefined ? <Notice kind="degraded" title="The hashes, and every call’s bytes, are made again on this page once the Safe and the chain are known.">What a value means in words, and this page itself, come from the server; the check below needs neither.</Notice> : (checked.faults.length === 0
        ? <Notice kind="good" title="The hashes, and every call’s bytes, were made again on this page: they are those of the raw values shown.">What a value means in words, and this page itself, come from the server; the check below needs neither.</Notice>
        : checked.faults.map((each) => <Notice key={each} kind="down" title={`${each}.`} />))}
      <div className="body proposal-prose">
        <h3>On your device</h3>
        <p>A hardware wallet shows the <b>domain hash</b> and the <b>message hash</b>; some tools show the <b>safeTxHash</b>. Compare every character on the device’s own screen. Where one differs, refuse there, and tell the other owners.</p>
        <h3>On your machine</h3>
        {signable.kind === 'CHANGE'
          ? <p>Take the file, and let your own copy of Bulwark derive everything again. It trusts neither this page nor its server. Sign only where its answer is READY.</p>
          : <p>{proposal.cancellation?.kind === 'TIMELOCK' ? 'This takes the operation out of the timelock.' : 'This is the empty transaction of the Safe to itself at the proposal’s nonce: once it is executed, nothing else at that nonce can be.'} Take the file, and let your own copy of Bulwark derive it from that: it signs nothing, and trusts neither this page nor its server. Sign only where its three hashes are those on your device.</p>}
        <p className="proposal-command"><code>{command}</code> <Copy text={command} label="Command">copy</Copy></p>
        <ActButton busy={busy !== null} onClick={() => void save()}>Download {name}</ActButton>
        {fault && <Notice kind="down" title={fault} />}
      </div>
      {checked?.typedData && (
        <details className="proposal-more">
          <summary>The transaction’s fields</summary>
          <Facts of={[
            ...Object.entries(checked.typedData.message).map(([field, value]) => [field, field === 'data' ? <Copy key="data" text={String(value)} label="data"><code data-whole={String(value)}>{short(String(value))}</code> ({(String(value).length - 2) / 2} bytes)</Copy> : <code key={field}>{String(value)}</code>] as const),
          ]} />
        </details>
      )}
    </Panel>
  )
}

/** `unasked`: the Safe could not be asked last, and `safe` is older. */
export function SignPanel({ proposal, signable, checked, contracts, safe, unasked, askFor }: { proposal: ReviewFragment; signable: Signable; checked: Checked | undefined; contracts: Contracts; safe: SafeNow; unasked: boolean; askFor: AskFor }) {
  const { wallet, has } = useSigner()
  const { busy, fault, act, stop } = useAct()
  const { told, signatures, kind } = signable
  const { expect, land } = useLanding()
  // It may go again at once, and hands the focus on to what comes then.
  const pass = useCallback((element: HTMLElement | null) => {
    land(element)
    if (element !== null && document.activeElement === element) expect()
  }, [expect, land])
  const { owners, threshold } = safe.onChain
  const signed = (owner: string): boolean => signatures.some(({ signer }) => isSame(signer, owner))
  const count = owners.filter(signed).length
  const waiting = useKeptSignatures().filter(({ safeTxHash }) => safeTxHash === told.safeTxHash)
  const isTaken = waiting.some(({ signer }) => signed(signer))
  useEffect(() => { if (isTaken) dropSignatures(({ safeTxHash, signer }) => safeTxHash === told.safeTxHash && signed(signer)) }, [isTaken, told.safeTxHash])

  const hand = (signature: Signature) => act('hand in', async () => {
    try {
      await ask(AddSignatureDocument, { id: proposal.id, signer: signature.signer, signature: signature.signature, of: kind })
    } catch (error) {
      // Another tab, or an answer that was lost: it is there already.
      if (!(error instanceof ApiError && /second signature/.test(error.message))) throw error
    }
    await renew('Proposal', 'Proposals')
    dropSignatures(({ safeTxHash, signer }) => safeTxHash === told.safeTxHash && signer === signature.signer)
  }, 'The signature is kept in this browser')

  const bring = async (signature: string, claimed?: string) => {
    const hash = checked?.hashes?.safeTxHash
    if (hash === undefined || checked === undefined || checked.faults.length > 0) throw new Error('Found a transaction that this page cannot derive, allowed is none; do not sign')
    const signer = await signerOf(hash, signature)
    if (signer === null || !owners.some((owner) => isSame(owner, signer)) || (claimed !== undefined && !isSame(signer, claimed))) {
      throw new Error(`Found a signature ${signer === null ? 'of nobody that can be told' : `by ${signer}`} over ${hash}, allowed is one of the Safe’s owners over exactly these bytes; ${signer === null ? 'sign this transaction again' : 'choose an owner’s account and sign again'}`)
    }
    const one = { signer: signer.toLowerCase(), signature }
    keepSignature({ ...one, safeTxHash: told.safeTxHash, chainId: told.chainId, safe: told.safe, nonce: told.nonce })
    if (has('OWNER')) await hand(one)
  }

  const sign = () => act('sign', async () => {
    if (!checked?.typedData || checked.faults.length > 0 || !contracts.known || contracts.faults.length > 0) throw new Error('Found hashes that differ, allowed are those that this page derives; do not sign')
    await bring(await wallet.signTypedData(checked.typedData))
  }, 'Nothing was signed')

  const { account } = wallet
  const isOwner = account !== null && owners.some((owner) => isSame(owner, account))
  const ofSafe = hindranceOfSafe(safe.onChain, told.nonce, unasked)
  const hindrance =
    checked === undefined ? 'The hashes are being derived on this page.'
    : checked.faults.length > 0 ? 'What the API tells is not what this page derives: signing is not offered.'
    : ofSafe !== null ? ofSafe
    : account === null ? 'Connect the wallet of an owner to sign here.'
    : wallet.elsewhere !== null ? `The wallet is on chain ${wallet.elsewhere}; switch it to ${wallet.network} (chain ${wallet.chainId}).`
    : !isOwner ? `Found ${short(account)} in the wallet, allowed are the Safe’s owners; choose one of them in the wallet.`
    : contracts.faults.length > 0 ? 'Signing is not offered.'
    : contracts.again !== null ? 'Nothing is signed before the wallet’s node says what code the transaction goes to.'
    : !contracts.known ? 'The wallet’s node is asked what code the transaction goes to.'
    : signed(account) ? `${short(account)} has signed; another owner is next.`
    : waiting.some(({ signer }) => isSame(signer, account)) ? `${short(account)} has signed; hand its signature in below.`
    : null
  return (
    <Panel id="sign" title={kind === 'CHANGE' ? 'Signatures' : 'Signatures of the cancellation'} note={`${count} of ${threshold} that the Safe wants`}>
      <ul className="proposal-owners">
        {owners.map((owner) => {
          const theirs = signatures.find(({ signer }) => isSame(signer, owner))
          return <li key={owner}><i className={theirs ? 'up' : 'muted'} aria-hidden="true">{theirs ? '✓' : '○'}</i><Address of={owner} label="Owner" /> <span className={theirs ? undefined : 'muted'}>{theirs ? 'signed' : 'not yet'}{account !== null && isSame(owner, account) ? ', in this wallet' : ''}</span>{theirs && <Copy text={theirs.signature} label="Signature">copy</Copy>}</li>
        })}
      </ul>
      <SessionLine why={kind === 'CHANGE' ? 'Owners sign in so that their signatures are kept here.' : 'Owners sign in to hand in signatures.'} />
      {contracts.faults.map((each) => <Notice key={each} kind="down" title={`${each}.`} />)}
      {contracts.again && <Notice kind="degraded" title="The wallet’s node did not say what code stands where the transaction goes."><button type="button" onClick={contracts.again}>Ask again</button></Notice>}
      <div className="body proposal-act">
        {hindrance !== null && <p key={hindrance} ref={waiting.length === 0 ? land : undefined} tabIndex={-1} className="muted">{hindrance}</p>}
        <ActButton
          className="main"
          disabled={hindrance !== null}
          busy={busy !== null}
          onClick={() => { expect(); askFor({
            title: kind === 'CHANGE' ? 'Sign this transaction?' : 'Sign its cancellation?',
            text: (
              <div className="proposal-prose">
                {kind === 'CHANGE' ? <ul>{proposal.changes.map(({ sentence }) => <li key={sentence}><b>{sentence}</b></li>)}</ul> : <p><b>{proposal.title}</b> can no longer happen once this is executed.</p>}
                <p>A signature cannot be taken back: with {threshold} of them anybody can execute it until its deadline. Compare the hashes on your device’s own screen.</p>
                <p className="mono proposal-break">{told.safeTxHash}</p>
              </div>
            ),
            yes: 'I compared them: sign',
            act: () => void sign(),
            opened: { deed: 'sign', kind, safeTxHash: told.safeTxHash, nonce: told.nonce, state: proposal.state, account, safe: safe.onChain },
          }) }}
        >
          {busy === 'sign' ? 'Waiting for the wallet …' : busy === 'hand in' ? 'Handing it in …' : 'Sign with the wallet'}
        </ActButton>
        {busy === 'sign' && <button type="button" className="quiet" onClick={stop}>Stop waiting</button>}
      </div>
      {fault && <div ref={land} tabIndex={-1}><Notice kind="down" title={`${fault.replace(/\.$/, '')}.`} /></div>}
      {waiting.filter(({ signer }) => !signed(signer)).map((one) => (
        <div key={one.signer} ref={pass} tabIndex={-1}>
          <Notice kind="degraded" title={`A signature by ${short(one.signer)} is not handed in yet.`}>
            It stays in this browser until then. {has('OWNER') ? '' : 'Sign in as an owner, then hand it in; or give it to somebody who can. '}
            <ActButton disabled={!has('OWNER')} busy={busy !== null} onClick={() => { expect(); void hand(one) }}>Hand it in</ActButton>{' '}
            <button type="button" onClick={() => download(`signature-${proposal.id}-${one.signer.slice(0, 8)}.json`, fileOf(signable, one), 'application/json')}>Save it as a file</button>
          </Notice>
        </div>
      ))}
      <Brought take={bring} signable={signable} />
      {safe.published && kind === 'CHANGE' && <Service id={proposal.id} may={has('OWNER') || has('STEWARD')} known={signatures.length} />}
    </Panel>
  )
}

/** As `bulwark proposal sign` writes it. */
const fileOf = ({ kind, told }: Signable, { signer, signature }: Signature): string =>
  `${JSON.stringify({ format: 'bulwark-signature', version: 1, kind, chainId: told.chainId, safe: told.safe.toLowerCase(), nonce: String(told.nonce), safeTxHash: told.safeTxHash, signer: signer.toLowerCase(), signature }, null, 2)}\n`

/** A signature that was made elsewhere: the file, or its 65 bytes. */
function Brought({ take, signable }: { take: (signature: string, signer?: string) => Promise<void>; signable: Signable }) {
  const { busy, fault, act } = useAct()
  const [text, setText] = useState('')
  const read = (content: string) => act('read', async () => {
    const trimmed = content.trim()
    if (/^0x[0-9a-f]+$/i.test(trimmed)) await take(trimmed)
    else {
      let file: Record<string, unknown> | null
      try {
        file = JSON.parse(trimmed) as Record<string, unknown> | null
      } catch {
        file = null
      }
      if (file?.['format'] !== 'bulwark-signature' || typeof file['signature'] !== 'string' || typeof file['signer'] !== 'string') throw new Error('Found no signature, allowed are 65 bytes of hex or a file as “bulwark proposal sign” writes it; get it again from its signer')
      if (!isSame(String(file['safeTxHash']), signable.told.safeTxHash)) throw new Error(`Found a signature of ${String(file['safeTxHash']).slice(0, 66)}, allowed is one of ${signable.told.safeTxHash}; it belongs to another transaction`)
      await take(file['signature'], file['signer'])
    }
    setText('')
  })
  return (
    <details className="proposal-more proposal-elsewhere">
      <summary>A signature made elsewhere</summary>
      <div className="body proposal-act">
        <label className="field">The file’s text, or the signature’s 65 bytes<textarea rows={3} className="mono" value={text} onChange={(event) => setText(event.target.value)} spellCheck={false} /></label>
        <label className="field">Or the file<input type="file" accept="application/json,.json" onChange={(event) => { const file = event.target.files?.[0]; if (file) void file.text().then((content) => { setText(content); return read(content) }) }} /></label>
        <ActButton busy={busy !== null || text.trim() === ''} onClick={() => void read(text)}>Hand it in</ActButton>
        {fault && <Notice kind="down" title={`${fault.replace(/\.$/, '')}.`} />}
      </div>
    </details>
  )
}

/** Where owners with other tools look for what waits for them. */
function Service({ id, may, known }: { id: string; may: boolean; known: number }) {
  const { busy, fault, act } = useAct()
  const [said, setSaid] = useState<string | null>(null)
  const run = (name: string, work: () => Promise<string>) => { setSaid(null); void act(name, async () => setSaid(await work())) }
  return (
    <div className="body proposal-act">
      <p className="muted">The Safe Transaction Service holds signatures for owners with other tools.{may ? '' : ' Stewards and owners publish and pull.'}</p>
      <span className="actions">
        <ActButton disabled={!may} busy={busy !== null} onClick={() => run('pull', async () => {
          const { pullSignatures } = await ask(PullSignaturesDocument, { id })
          await renew('Proposal', 'Proposals')
          const added = pullSignatures.signatures.length - known
          return added > 0 ? `Took ${added === 1 ? 'one new signature' : `${added} new signatures`} from there.` : 'It holds no signature that is not here already.'
        })}>{busy === 'pull' ? 'Pulling …' : 'Pull signatures'}</ActButton>
        <ActButton disabled={!may} busy={busy !== null} onClick={() => run('publish', async () => {
          const { publishProposal } = await ask(PublishProposalDocument, { id })
          const count = publishProposal.signatures.length
          return `The service holds it with ${count === 1 ? 'the one signature' : `all ${count} signatures`} that ${count === 1 ? 'is' : 'are'} here.`
        })}>{busy === 'publish' ? 'Publishing …' : 'Publish'}</ActButton>
      </span>
      <div role="status">{said && <Notice kind="good" title={said} />}</div>
      {fault && <Notice kind="down" title={`${fault.replace(/\.$/, '')}.`} />}
    </div>
  )
}
