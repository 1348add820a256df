/** Who one is here: the wallet in this browser, and the session that the API knows. One line, and the one next step. */
import { useState } from 'react'
import { ApiError, renew } from '../data/client.ts'
import { signOut } from '../data/session.ts'
import { words } from '../ui/format.ts'
import { Address, Notice, Tag } from '../ui/parts.tsx'
import { Wallets, useSigner, walletWords } from './wallet.tsx'
import './wallet.css'

/** Runs what a wallet or the API may refuse; what went wrong stays on the page until the next try, in words as `fault`. */
export function useAct(): { readonly busy: string | null; readonly fault: string | null; readonly error: unknown; readonly act: (name: string, work: () => Promise<void>, stays?: string) => Promise<boolean> } {
  const [busy, setBusy] = useState<string | null>(null)
  const [fault, setFault] = useState<string | null>(null)
  const [wrong, setWrong] = useState<unknown>(null)
  return {
    busy,
    fault,
    error: wrong,
    act: async (name, work, stays) => {
      setBusy(name)
      setFault(null)
      setWrong(null)
      try {
        await work()
        return true
      } catch (error) {
        setFault(walletWords(error, stays))
        setWrong(error)
        // The session is over, or has other rights by now: the page must not go on claiming it.
        if (error instanceof ApiError && (error.code === 'UNAUTHENTICATED' || error.code === 'FORBIDDEN')) await renew('Viewer')
        return false
      } finally {
        setBusy(null)
      }
    },
  }
}

/** `why`: what signing in is for, where nobody has. */
export function SessionLine({ why }: { why?: string }) {
  const { wallet, viewer, isWallets } = useSigner()
  const { busy, fault, act } = useAct()
  return (
    <div className="session">
      {viewer != null && (
        <span className="who">Signed in as <Address of={viewer.address} /> {viewer.roles.length === 0 ? <Tag>no role here</Tag> : viewer.roles.map((role) => <Tag key={role} kind="accent">{words(role)}</Tag>)}</span>
      )}
      {wallet.account !== null && !isWallets && <span className="who">{wallet.name ?? 'Wallet'} is at <Address of={wallet.account} /></span>}
      {viewer === null && why && <span className="muted">{why}</span>}
      <span className="actions">
        {wallet.account === null && wallet.found.map((one) => (
          <button key={one.id} type="button" className={viewer == null ? 'main' : undefined} disabled={busy !== null} onClick={() => void act('connect', one.connect, 'No wallet is connected')}>
            {busy === 'connect' ? 'Waiting for the wallet …' : `Connect ${one.name}`}
          </button>
        ))}
        {wallet.account !== null && !isWallets && <button type="button" className="main" disabled={busy !== null} onClick={() => void act('sign in', wallet.signIn, 'Nobody was signed in')}>{busy === 'sign in' ? 'Waiting for the wallet …' : viewer == null ? 'Sign in' : 'Sign in with this one'}</button>}
        {viewer != null && <button type="button" className="quiet" disabled={busy !== null} onClick={() => void act('sign out', signOut)}>Sign out</button>}
        {wallet.account !== null && <button type="button" className="quiet" onClick={wallet.disconnect}>Disconnect</button>}
      </span>
      {wallet.account === null && wallet.found.length === 0 && <Notice kind="degraded" title="No wallet was found in this browser.">Unlock or install one that announces itself to pages (EIP-6963) and load this page again; a signature made elsewhere, as a file, is taken as well.</Notice>}
      {wallet.elsewhere !== null && <Notice kind="degraded" title={`The wallet is on chain ${wallet.elsewhere}, this page serves ${wallet.network} (chain ${wallet.chainId}).`}>Nothing can be signed or sent until it changes. <button type="button" disabled={busy !== null} onClick={() => void act('switch', wallet.switchNetwork, 'The wallet stays where it is')}>Switch to {wallet.network}</button></Notice>}
      {fault && <Notice kind="down" title={`${fault.replace(/\.$/, '')}.`} />}
    </div>
  )
}

/** For places that are not among wallets already, such as the header's sign-in. */
export default function Session({ why }: { why?: string }) {
  return <Wallets><SessionLine {...(why === undefined ? {} : { why })} /></Wallets>
}
