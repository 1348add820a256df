/** Who one is here: the wallet in this browser, and the session that the API knows. One line, and the one next step. */
import { useRef, useState } from 'react'
import { ApiError, renew } from '../data/client.ts'
import { signOut } from '../data/session.ts'
import { words } from '../ui/format.ts'
import { ActButton, useLanding } from '../ui/focus.tsx'
import { Address, Notice, Tag } from '../ui/parts.tsx'
import { Wallets, useSigner } from './wallet.tsx'
import { walletWords } from './words.ts'
import './wallet.css'

/** Runs what a wallet or the API may refuse; what went wrong stays on the page until the next try, in words as `fault`. */
export function useAct(): { readonly busy: string | null; readonly fault: string | null; readonly error: unknown; readonly act: (name: string, work: () => Promise<void>, stays?: string) => Promise<boolean>; /** Waits no more; what is done all the same is done, and its fault is not told. */ readonly stop: () => void } {
  const [busy, setBusy] = useState<string | null>(null)
  const [fault, setFault] = useState<string | null>(null)
  const [wrong, setWrong] = useState<unknown>(null)
  const latest = useRef(0)
  return {
    busy,
    fault,
    error: wrong,
    stop: () => {
      latest.current += 1
      setBusy(null)
    },
    act: async (name, work, stays) => {
      const own = latest.current += 1
      setBusy(name)
      setFault(null)
      setWrong(null)
      try {
        await work()
        return true
      } catch (error) {
        if (own === latest.current) {
          setFault(walletWords(error, stays))
          setWrong(error)
        }
        // The session is over, or has other rights by now: the page must not go on claiming it.
        if (error instanceof ApiError && (error.code === 'UNAUTHENTICATED' || error.code === 'FORBIDDEN')) await renew('Viewer')
        return false
      } finally {
        if (own === latest.current) setBusy(null)
      }
    },
  }
}

/** `why`: what signing in is for, where nobody has. */
export function SessionLine({ why }: { why?: string }) {
  const { wallet, viewer, isWallets } = useSigner()
  const { busy, fault, act, stop } = useAct()
  const { expect, land } = useLanding()
  const ask = (name: string, work: () => Promise<void>, stays?: string) => { expect(); void act(name, work, stays) }
  return (
    <div className="session">
      {viewer != null && (
        <span key={`${viewer.address}${isWallets}`} ref={land} tabIndex={-1} className="who">Signed in as <Address of={viewer.address} /> {viewer.roles.length === 0 ? <Tag>no role here</Tag> : viewer.roles.map((role) => <Tag key={role} kind="accent">{words(role)}</Tag>)}</span>
      )}
      {wallet.account !== null && !isWallets && <span key={wallet.account} ref={land} tabIndex={-1} className="who">{wallet.name ?? 'Wallet'} is at <Address of={wallet.account} /></span>}
      {viewer === null && why && <span className="muted">{why}</span>}
      <span className="actions">
        {wallet.account === null && wallet.found.map((one) => (
          <ActButton key={one.id} className={viewer == null ? 'main' : undefined} busy={busy !== null} onClick={() => ask('connect', one.connect, 'No wallet is connected')}>
            {busy === 'connect' ? 'Waiting for the wallet …' : `Connect ${one.name}`}
          </ActButton>
        ))}
        {wallet.account !== null && !isWallets && <ActButton className="main" busy={busy !== null} onClick={() => ask('sign in', wallet.signIn, 'Nobody was signed in')}>{busy === 'sign in' ? 'Waiting for the wallet …' : viewer == null ? 'Sign in' : 'Sign in with this one'}</ActButton>}
        {busy !== null && busy !== 'sign out' && <button type="button" className="quiet" onClick={stop}>Stop waiting</button>}
        {viewer != null && <ActButton className="quiet" busy={busy !== null} onClick={() => ask('sign out', signOut)}>Sign out</ActButton>}
        {wallet.account !== null && <button type="button" className="quiet" onClick={wallet.disconnect}>Disconnect</button>}
      </span>
      {wallet.account === null && wallet.found.length === 0 && <Notice kind="degraded" title="No wallet was found in this browser.">Unlock or install one that announces itself to pages (EIP-6963) and load this page again; a signature made elsewhere, as a file, is taken as well.</Notice>}
      {wallet.elsewhere !== null && <Notice kind="degraded" title={`The wallet is on chain ${wallet.elsewhere}, this page serves ${wallet.network} (chain ${wallet.chainId}).`}>Nothing can be signed or sent until it changes. <ActButton busy={busy !== null} onClick={() => ask('switch', wallet.switchNetwork, 'The wallet stays where it is')}>Switch to {wallet.network}</ActButton></Notice>}
      {fault && <div ref={land} tabIndex={-1}><Notice kind="down" title={`${fault.replace(/\.$/, '')}.`} /></div>}
    </div>
  )
}

/** For places that are not among wallets already, such as the header's sign-in. */
export default function Session({ why }: { why?: string }) {
  return <Wallets><SessionLine {...(why === undefined ? {} : { why })} /></Wallets>
}
