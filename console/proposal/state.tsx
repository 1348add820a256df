/** A proposal's life in words: what each state means for whoever looks, and what comes next. */
import type { ProposalState } from '../generated/operations.ts'
import { Tag } from '../ui/parts.tsx'
import { words } from '../ui/format.ts'

const TONE: Readonly<Record<ProposalState, 'down' | 'warn' | 'good' | 'accent' | 'quiet'>> = {
  DRAFT: 'quiet', SIMULATED: 'quiet', AWAITING_SIGNATURES: 'accent', READY: 'accent', QUEUED: 'accent', EXECUTED: 'good', APPLIED: 'good',
  STALE: 'down', REPLACED: 'quiet', EXPIRED: 'down', WITHDRAWN: 'quiet', CANCELLING: 'warn', CANCELLED: 'quiet',
}

export const StateTag = ({ of }: { of: ProposalState }) => <Tag kind={TONE[of]}>{words(of)}</Tag>

export const NEXT: Readonly<Record<ProposalState, string>> = {
  DRAFT: 'Simulate it: the batch and the way back run through the Safe on a fork of the chain, with what they do to accounts.',
  SIMULATED: 'Read what the simulation found, then ask the owners to sign.',
  AWAITING_SIGNATURES: 'Owners check it on their own machine, compare the hashes with their device, and sign.',
  READY: 'Signed by as many owners as the Safe wants: any account can execute it and pays the gas.',
  QUEUED: 'The timelock holds it. Once its delay is over, it can be executed there.',
  EXECUTED: 'The chain has it. It is applied once the index shows every value.',
  APPLIED: 'Every value is in force. What came of it is followed for 24 hours.',
  STALE: 'A value has moved since it was drafted: its precondition would revert it. Draft it again.',
  EXPIRED: 'Its deadline is over: its precondition would revert it. Draft it again.',
  REPLACED: 'Another transaction used its nonce: it can never be executed.',
  WITHDRAWN: 'Given up before anybody was asked to sign.',
  CANCELLING: 'It can still be executed until the transaction that cancels it is. Owners sign that below; then any account executes it.',
  CANCELLED: 'The chain has the cancellation: it can never be executed.',
}

const WAY: readonly (readonly [ProposalState, string])[] = [['DRAFT', 'Draft'], ['SIMULATED', 'Simulated'], ['AWAITING_SIGNATURES', 'Signing'], ['READY', 'Ready'], ['QUEUED', 'Queued'], ['EXECUTED', 'Executed'], ['APPLIED', 'Applied']]

/** The way forward with where it stands; one that left it shows how far it came by its history. */
export function Steps({ state, reached, timelock }: { state: ProposalState; reached: ReadonlySet<string>; timelock: boolean }) {
  const way = WAY.filter(([name]) => name !== 'QUEUED' || timelock)
  const here = way.findIndex(([name]) => name === state)
  return (
    <ol className="proposal-steps" aria-label="Progress">
      {way.map(([name, label], index) => {
        const done = here === -1 ? reached.has(name) : index < here || state === 'APPLIED'
        return <li key={name} className={index === here ? 'here' : done ? 'done' : undefined} aria-current={index === here ? 'step' : undefined}><i aria-hidden="true">{done ? '✓' : index + 1}</i>{label}<span className="sr">{done ? ', done' : ''}</span></li>
      })}
      {here === -1 && <li className="here off" aria-current="step"><i aria-hidden="true">×</i>{words(state)}</li>}
    </ol>
  )
}
