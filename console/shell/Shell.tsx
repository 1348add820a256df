/** What stays on the screen whatever page is shown: where one is, what the figures stand on, what is wrong, who has signed in. */
import { Popover } from '@base-ui/react/popover'
import { Suspense, lazy, useCallback, useEffect, useRef, useState } from 'react'
import type { ReactNode } from 'react'
import { Link, useLocation } from 'wouter'
import { useBasket } from '../data/basket.ts'
import { useAnswer } from '../data/client.ts'
import { useFollowing, useHappened } from '../data/happened.ts'
import { STATUS_MS, useConnection, useFault, useLive, useStatus } from '../data/live.ts'
import type { Connection } from '../data/live.ts'
import { useViewer } from '../data/session.ts'
import { StatusDocument } from '../generated/operations.ts'
import type { StatusQuery } from '../generated/operations.ts'
import { age, short, time, whole, words } from '../ui/format.ts'
import { Boundary, Copy, Notice, Time, sentence } from '../ui/parts.tsx'
import { ThemeButton } from '../ui/ThemeButton.tsx'
import { useShortcuts } from './shortcuts.ts'
import './shell.css'

/** None of these belongs to the first page that is shown. */
const Session = lazy(() => import('../wallet/Session.tsx'))
const Palette = lazy(() => import('./Palette.tsx'))
const Keys = lazy(async () => ({ default: (await import('./Palette.tsx')).Keys }))

/** What could not be loaded once is not tried again by this page. */
const RELOAD = { name: 'Load the page again', run: () => location.reload() }

type Status = StatusQuery['status']

/** How often figures are asked for where no socket tells of blocks. */
const EVERY = `Every ${STATUS_MS / 1000} s`

export const PAGES = [
  ['/', 'Overview'],
  ['/markets', 'Markets'],
  ['/accounts', 'Accounts'],
  ['/stress', 'Stress'],
  ['/fund', 'Fund'],
  ['/breakers', 'Breakers'],
  ['/recommendations', 'Recommendations'],
  ['/parameters', 'Parameters'],
  ['/proposals', 'Proposals'],
] as const

export function Shell({ children }: { children: ReactNode }) {
  useLive()
  useFollowing()
  const [over, setOver] = useState<'find' | 'keys' | null>(null)
  const find = useCallback(() => setOver('find'), [])
  const help = useCallback(() => setOver('keys'), [])
  useShortcuts({ find, help })
  return (
    <>
      <a className="skip" href="#main">Skip to the page</a>
      <header className="bar">
        <Link href="/" className="brand">Bulwark</Link>
        <Nav />
        <Standing />
        <button type="button" className="quiet find" onClick={find} title="Find a page, market, account, parameter or proposal (/ or Ctrl K; ? lists all keys)"><svg viewBox="0 0 16 16" aria-hidden="true"><path d="m10.5 10.5 4 4" /><circle cx="6.5" cy="6.5" r="4.5" /></svg><span>Find <kbd aria-hidden="true">/</kbd></span></button>
        <Who />
        <ThemeButton />
      </header>
      <main id="main" tabIndex={-1}>
        <Trouble />
        {children}
      </main>
      <footer>
        <span>Amounts in USD unless a unit is given. Ages in chain time. “—” is unknown, never zero.</span>
        <Link href="/audit">Audit log</Link>
        <a href="/graphql">Query the API</a>
        <button type="button" className="quiet" onClick={help}>Keys</button>
      </footer>
      <div className="shell-trouble"><Boundary key={over} retry={RELOAD}><Suspense fallback={<p className="notice" role="status">Loading …</p>}>
        {over === 'find' && <Palette onClose={() => setOver(null)} />}
        {over === 'keys' && <Keys onClose={() => setOver(null)} />}
      </Suspense></Boundary></div>
    </>
  )
}

function Nav() {
  const [path] = useLocation()
  const basket = useBasket()
  const strip = useRef<HTMLElement>(null)
  // On a narrow screen the strip scrolls: where one is, is to be seen.
  useEffect(() => {
    const here = strip.current?.querySelector<HTMLElement>('[aria-current]')
    if (strip.current && here) strip.current.scrollLeft = here.offsetLeft - (strip.current.clientWidth - here.offsetWidth) / 2
  }, [path])
  return (
    <nav className="pages" aria-label="Pages" ref={strip}>
      {PAGES.map(([href, name]) => (
        <Link key={href} href={href} aria-current={(href === '/' ? path === '/' : path.startsWith(href)) ? 'page' : undefined}>
          {name}{href === '/proposals' && basket.length > 0 && <span className="count">{basket.length}<span className="sr"> in the basket</span></span>}
        </Link>
      ))}
    </nav>
  )
}

/** How all of it is doing, in the header's few words. */
function summary(connection: Connection, status: Status | undefined, fault: Error | null): { readonly name: string; readonly health: keyof typeof MARK | undefined } {
  if (connection === 'lost') return { name: 'API away', health: 'DOWN' }
  if (fault) return { name: 'Unknown', health: undefined }
  if (!status) return { name: 'Connecting', health: undefined }
  if (status.health !== 'UP') return { name: words(status.health), health: status.health }
  return connection === 'polled' ? { name: EVERY, health: 'DEGRADED' } : { name: 'Live', health: 'UP' }
}

/** The indexed block, its age and the health of every part. */
function Standing() {
  const { connection } = useConnection()
  const { asked, ageSec } = useStatus()
  const status = asked.data?.status
  return (
    <div className="standing">
      <span className="pill" title={status ? `Chain id ${status.chainId}` : undefined}>{status?.network ?? '…'}</span>
      <span className="block"><span className="word">Block </span>{status?.indexed ? <Copy text={status.indexed.hash} label={`Hash of block ${status.indexed.number}`}>{whole(status.indexed.number)}</Copy> : '—'}</span>
      <span className="age" title={status?.indexed ? `Block time ${time(status.indexed.timestamp)}` : undefined}>{ageSec === null ? '—' : age(ageSec)}<span className="sr"> old</span></span>
      <Popover.Root>
        <Popover.Trigger className="quiet health"><Health {...summary(connection, status, asked.error)} /></Popover.Trigger>
        <Popover.Portal><Popover.Positioner sideOffset={6} align="end"><Popover.Popup className="popup parts">
          <Popover.Title className="sr">Health of each part</Popover.Title>
          {status?.indexed && <p>Block time <Time at={status.indexed.timestamp} /></p>}
          <ul>{status?.parts.map((part) => <li key={part.name}><Health name={part.name} health={connection === 'lost' && part.name === 'api' ? 'DOWN' : part.health} /> <span>{inWords(part.detail)}</span></li>)}</ul>
        </Popover.Popup></Popover.Positioner></Popover.Portal>
      </Popover.Root>
    </div>
  )
}

const MARK = { UP: '●', DEGRADED: '▲', DOWN: '■' } as const

function Health({ name, health }: { name: string; health: keyof typeof MARK | undefined }) {
  return <span className={`part ${health?.toLowerCase() ?? 'unknown'}`}><i aria-hidden="true">{health ? MARK[health] : '○'}</i><span>{name}</span><span className="sr">{health ? ` ${words(health)}` : ' not known yet'}</span></span>
}

/** Who has signed in; wallets come with the first click. */
function Who() {
  const viewer = useViewer()
  return (
    <Popover.Root>
      <Popover.Trigger className={viewer ? 'quiet shell-who' : 'shell-who'} title={viewer ? `Signed in as ${viewer.address}` : 'Reading needs no sign-in; drafting, signing and lifting a HALT do'}>
        {viewer ? <><code>{short(viewer.address)}</code><span className="sr">signed in as </span><small>{viewer.roles.length > 0 ? viewer.roles.map(words).join(', ') : 'no role'}</small></> : 'Sign in'}
      </Popover.Trigger>
      <Popover.Portal><Popover.Positioner sideOffset={6} align="end"><Popover.Popup className="popup shell-session">
        <Popover.Title className="sr">Session</Popover.Title>
        <Boundary retry={RELOAD}><Suspense fallback={<div className="loading" role="status"><span className="sr">Loading …</span></div>}><Session why="Reading needs no sign-in. Stewards draft, owners sign; a wallet proves who one is and moves nothing." /></Suspense></Boundary>
        {viewer && <p>Until {time(Date.parse(viewer.expiresAt) / 1000)}.</p>}
      </Popover.Popup></Popover.Positioner></Popover.Portal>
    </Popover.Root>
  )
}

/** The API's sentence, its times as everywhere on the page. */
const inWords = (detail: string): string => detail.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (iso) => time(Date.parse(iso) / 1000))

/** What is wrong and what to do, while the last good figures stay. It lies over the page's foot: nothing moves when it comes and goes. */
function Trouble() {
  const { connection } = useConnection()
  const { data, error } = useAnswer(StatusDocument, {}, 'block')
  const status = data?.status
  const fault = useFault(error)
  const [seen, setSeen] = useState<readonly string[]>([])
  const reorganisation = useHappened().find((one) => one.kind === 'reorganisation')
  const isLost = connection === 'lost'
  const parts = isLost ? [] : (status?.parts.filter(({ health }) => health !== 'UP') ?? [])
  // Said again once another part is in trouble, or one is worse.
  const which = parts.map(({ name, health }) => `${name} is ${words(health)}`).join(', ')
  const isReorganised = reorganisation?.kind === 'reorganisation' && !seen.includes(reorganisation.id)
  const areLame = which !== '' && !seen.includes(which)
  const isPolled = connection === 'polled' && !seen.includes(connection)
  return (
    <>
      <span className="sr" role="status">{which}</span>
      {(isLost || fault || isPolled || isReorganised || areLame) && (
        <div className="shell-trouble">
          {isReorganised && (
            <Notice kind="degraded" title="The chain was reorganised.">
              <span>{reorganisation.of.common ? `What was shown of blocks above ${whole(reorganisation.of.common.number)} is void.` : `What was shown up to block ${whole(reorganisation.of.from.number)} may be void.`} All figures were asked for again and stand on block {whole(reorganisation.of.to.number)} or later. Compare what you noted down before.</span>
              <button type="button" onClick={() => setSeen([...seen, reorganisation.id])}>Seen</button>
            </Notice>
          )}
          {areLame && (
            <div className={`notice ${parts.some(({ health }) => health === 'DOWN') ? 'down' : 'degraded'}`}>
              <ul>{parts.map(({ name, health, detail }) => <li key={name}><b>{name} is {words(health)}.</b> {inWords(detail)}</li>)}</ul>
              <button type="button" onClick={() => setSeen([...seen, which])} title="The header goes on to say it">Hide</button>
            </div>
          )}
          {isPolled && (
            <Notice kind="degraded" title={`Live updates are off: figures are asked for ${EVERY.toLowerCase()}.`}>
              <span>The WebSocket that tells of new blocks does not come through; a proxy on the way may not let it. It is tried again every few seconds.</span>
              <button type="button" onClick={() => setSeen([...seen, connection])} title="The header goes on to say it">Hide</button>
            </Notice>
          )}
          {fault && <Notice kind="degraded" title={sentence(fault)}><span>Block, age and health in the header are the last that came.</span></Notice>}
          {isLost && (
            <Notice kind="down" title="The API does not answer.">
              <span>{status?.indexed ? `Nothing on this page is newer than block ${whole(status.indexed.number)}, ${time(status.indexed.timestamp)}. ` : ''}If you run Bulwark on this machine, see whether <code>npm start</code> is still running. This page asks again every few seconds and goes on by itself.</span>
            </Notice>
          )}
        </div>
      )}
    </>
  )
}
