/** Where the focus is while a press is answered, and where it goes with the answer: never to nowhere. */
import { useCallback, useMemo, useRef } from 'react'
import type { ComponentProps } from 'react'

/** A button whose press takes a while: it is pressed again only once that is over, and keeps the focus meanwhile, which a disabled one would lose. A form that it submits has to look at `busy` itself. */
export const ActButton = ({ busy, onClick, ...rest }: ComponentProps<'button'> & { busy: boolean }) => <button type="button" {...rest} aria-disabled={busy || undefined} onClick={busy ? undefined : onClick} />

export type Landing = {
  /** What is pressed here will bring something, or take the pressed away. */
  readonly expect: () => void
  /** `ref` of what comes; give it `tabIndex={-1}`. Of several, the first takes the focus. */
  readonly land: (element: HTMLElement | null) => void
}

/** Moves the focus from what was pressed to what came of it: once, and not where its reader has gone elsewhere meanwhile. What stands already takes it when it comes anew (another `key`). */
export function useLanding(): Landing {
  const pressed = useRef<Element | null>(null)
  const expect = useCallback(() => { pressed.current = document.activeElement ?? document.body }, [])
  const land = useCallback((element: HTMLElement | null) => {
    if (element === null || pressed.current === null) return
    const stayed = document.activeElement === pressed.current || document.activeElement === document.body
    pressed.current = null
    if (stayed) element.focus()
  }, [])
  return useMemo(() => ({ expect, land }), [expect, land])
}
