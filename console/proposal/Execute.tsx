/** Sends what the owners signed, by the wallet in this browser, and says what became of it until the index has it. */
import { useEffect, useState } from 'react'
import { ask, useAnswer } from '../data/client.ts'
import { ProposalExecutionDocument, StatusDocument } from '../generated/operations.ts'
import type { ReviewFragment } from '../generated/operations.ts'
import { short, time, whole } from '../ui/format.ts'
import { Address, Facts, Notice } from '../ui/parts.tsx'
import { wrongWithExecution, wrongWithQueued } from '../wallet/execution.ts'
import type { Transaction } from '../wallet/execution.ts'
import { useAct } from '../wallet/Session.tsx'
import type { Checked } from '../wallet/safeTx.ts'
import { useWallet } from '../wallet/wallet.tsx'
import type { AskFor, Contracts, SafeNow, Signable } from './Signing.tsx'

/** A transaction that was sent from here, until the proposal has moved on: a page that is loaded again still knows it. */
const sent = {
  key: (id: string, kind: string) => `bulwark.sent.${id}.${kind}`,
  get: (id: string, kind: string): string | null => { try { return sessionStorage.getItem(sent.key(id, kind)) } catch { return null } },
  set(id: string, kind: string, hash: string | null): void {
    try {
      if (hash === null) sessionStorage.removeItem(sent.key(id, kind))
      else sessionStorage.setItem(sent.key(id, kind), hash)
    } catch {
      // Kept in memory alone.
    }
  },
}

/** READY, QUEUED or CANCELLING: what any account can send then, once `askFor` has shown it. */
export function Execute({ proposal, signable, checked, contracts, safe, askFor }: { proposal: ReviewFragment; signable: Signable; checked: Checked | undefined; contracts: Contracts; safe: SafeNow; askFor: AskFor }) {
  const wallet = useWallet()
  const { busy, fault, act } = useAct()
  const queued = proposal.state === 'QUEUED' && signable.kind === 'CHANGE'
  const step = queued ? 'QUEUED' : signable.kind
  const [hash, setHash] = useState(() => sent.get(proposal.id, step))
  const keep = (next: string | null) => { sent.set(proposal.id, step, next); setHash(next) }

  const wrong = (transaction: Transaction): string | null =>
    checked === undefined || checked.faults.length > 0 || !contracts.known || contracts.faults.length > 0 ? contracts.faults[0] ?? 'Found hashes or calls that differ, allowed are those that this page derives; nothing was sent'
    : queued
      ? wrongWithQueued(transaction, proposal.chainId, proposal.queue?.timelock ?? '', proposal.deeds.filter(({ depth }) => depth === 2))
      : checked.typedData ? wrongWithExecution(transaction, checked.typedData, signable.signatures) : 'Found fields that are not those of a Safe transaction; nothing was sent'

  const look = () => act('look', async () => {
    const { proposalExecution: found } = await ask(ProposalExecutionDocument, { id: proposal.id, of: signable.kind, sender: wallet.account })
    if (!found?.transaction) throw new Error(found?.reason ?? 'Found nothing to send')
    const { transaction } = found
    const fault = wrong(transaction)
    if (fault !== null) throw new Error(fault)
    askFor({
      title: queued ? 'Execute it at the timelock?' : signable.kind === 'CHANGE' ? (proposal.queue ? 'Schedule it at the timelock?' : 'Execute it now?') : 'Execute its cancellation?',
      text: (
        <div className="proposal-prose">
          {signable.kind === 'CHANGE' ? <ul>{proposal.changes.map(({ sentence }) => <li key={sentence}><b>{sentence}</b></li>)}</ul> : <p><b>{proposal.title}</b> can no longer happen after this.</p>}
          <p>Everything was checked at the chain’s head just now, and the call was tried out: it goes through. What the chain has done cannot be taken back, only changed anew{proposal.rollback.exists && signable.kind === 'CHANGE' ? ' (a way back exists)' : ''}.</p>
          <Facts of={[['Sent by', <Address key="from" of={wallet.account ?? ''} />], ['To', <span key="to"><Address of={transaction.to} /> {queued ? 'the timelock' : 'the Safe'}</span>], ['Gas limit', whole(transaction.gas)], ['Network', `${wallet.network}, chain ${transaction.chainId}`]]} />
        </div>
      ),
      yes: 'Send it',
      danger: signable.kind === 'CANCELLATION',
      opened: { deed: 'send', kind: signable.kind, safeTxHash: signable.told.safeTxHash, nonce: signable.told.nonce, state: proposal.state, account: wallet.account, safe: safe.onChain },
      act: () => void act('send', async () => keep(await wallet.send({ to: transaction.to as `0x${string}`, value: 0n, data: transaction.data as `0x${string}`, gas: BigInt(transaction.gas) })), 'Nothing was sent'),
    })
  })

  const name = queued ? 'Execute at the timelock' : signable.kind === 'CANCELLATION' ? 'Execute the cancellation' : proposal.queue ? 'Schedule at the timelock' : 'Execute'
  const ofWallet = wallet.account === null ? 'Connect any account below to send it; it pays the gas.' : wallet.elsewhere !== null ? `The wallet is on chain ${wallet.elsewhere}; switch it to ${wallet.network} (chain ${wallet.chainId}).` : !contracts.known ? 'The wallet’s node is asked what code the transaction goes to.' : null
  const early = queued && proposal.queue?.status === 'WAITING' && proposal.queue.readyAt !== null ? `The timelock lets nobody execute it before ${time(proposal.queue.readyAt)}.` : null
  const hindrance = early ?? ofWallet
  return (
    <>
      <button type="button" className={signable.kind === 'CANCELLATION' ? 'danger' : 'main'} disabled={hindrance !== null || busy !== null || hash !== null} onClick={() => void look()}>
        {busy === 'look' ? 'Checking at the chain’s head …' : busy === 'send' ? 'Waiting for the wallet …' : name}
      </button>
      {hindrance !== null && <span className="muted">{hindrance}</span>}
      {hash !== null && <Sent hash={hash} forget={() => keep(null)} />}
      {fault && <Notice kind="down" title={`${fault.replace(/\.$/, '')}.`} />}
    </>
  )
}

/** Asked of the wallet's own node with every block. */
function Sent({ hash, forget }: { hash: string; forget: () => void }) {
  const wallet = useWallet()
  const block = useAnswer(StatusDocument, {}, 'block').data?.status.indexed?.number
  const [how, setHow] = useState<Awaited<ReturnType<typeof wallet.receipt>>>(null)
  useEffect(() => {
    let stopped = false
    void wallet.receipt(hash as `0x${string}`).then((found) => { if (!stopped) setHow(found) })
    return () => { stopped = true }
  }, [hash, block])
  if (how?.status === 'reverted') return <Notice kind="down" title={`Transaction ${short(hash)} reverted in block ${whole(String(how.block))}: nothing was changed.`}><button type="button" onClick={forget}>Check and try again</button></Notice>
  return <Notice kind="good" title={how ? `In block ${whole(String(how.block))}.` : 'Sent.'}>Transaction <Address of={hash} label="Transaction" />; {how ? 'the index is following.' : 'waiting for its block.'} {!how && <button type="button" className="quiet" onClick={forget}>It was dropped: send again</button>}</Notice>
}
