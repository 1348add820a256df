/** What the sections of a market share: choices kept in the address, and sections that ask only once they are near. */
import { useCallback, useEffect, useId, useRef, useState } from 'react'
import type { ReactNode } from 'react'
import { useSearchParams } from 'wouter'
import { Hint, Panel } from '../ui/parts.tsx'

/** One choice in the address, `fallback` where it is missing or none of those allowed; choosing leaves the rest of the address as it is. */
export function usePlace(name: string): [string | null, (value: string | null) => void] {
  const [search, setSearch] = useSearchParams()
  const set = useCallback((value: string | null) => {
    setSearch((before) => {
      const next = new URLSearchParams(before)
      if (value === null) next.delete(name)
      else next.set(name, value)
      return next
    }, { replace: true })
  }, [setSearch, name])
  return [search.get(name), set]
}

export function useChoice<const Value extends string>(name: string, allowed: readonly Value[], fallback: NoInfer<Value>): [Value, (value: Value) => void] {
  const [text, set] = usePlace(name)
  const value = allowed.find((one) => one === text) ?? fallback
  return [value, useCallback((next: Value) => set(next === fallback ? null : next), [set, fallback])]
}

/** A few that exclude each other: [value, words]. */
export function Choice<const Value extends string>({ label, of, value, onChoice }: { label: string; of: readonly (readonly [Value, ReactNode])[]; value: Value; onChoice: (value: Value) => void }) {
  const id = useId()
  return (
    <div className="market-choice" role="group" aria-labelledby={id}>
      <span id={id}>{label}</span>
      <div>{of.map(([one, words]) => <button key={one} type="button" aria-pressed={one === value} onClick={() => onChoice(one)}>{words}</button>)}</div>
    </div>
  )
}

/** On or off. */
export const Toggle = ({ on, onToggle, why, children }: { on: boolean; onToggle: (on: boolean) => void; why?: string; children: ReactNode }) => <button type="button" aria-pressed={on} title={why} onClick={() => onToggle(!on)}>{children}</button>

/** A panel whose content costs the server something: it is made once the reader is near it, and its space is kept until then. */
export function Later({ id, title, note, height, actions, children }: { id: string; title: string; note?: ReactNode; height: number; actions?: ReactNode; children: () => ReactNode }) {
  const box = useRef<HTMLDivElement>(null)
  const [near, setNear] = useState(false)
  useEffect(() => {
    if (near || !box.current) return
    const observer = new IntersectionObserver((entries) => { if (entries.some(({ isIntersecting }) => isIntersecting)) setNear(true) }, { rootMargin: '300px' })
    observer.observe(box.current)
    return () => observer.disconnect()
  }, [near])
  return <Panel id={id} title={title} note={note} actions={near && actions}><div ref={box} style={near ? undefined : { minHeight: height }}>{near && children()}</div></Panel>
}

/** Words of the API about what it does not know, each once. */
export function Unknowns({ of }: { of: readonly { readonly message: string }[] }) {
  const messages = [...new Set(of.map(({ message }) => message))]
  return messages.length === 0 ? null : <ul className="market-words">{messages.map((message) => <li key={message}>Unknown: {message}.</li>)}</ul>
}

export function Warnings({ of }: { of: readonly string[] }) {
  const words = [...new Set(of)]
  return words.length === 0 ? null : <ul className="market-words">{words.map((one) => <li key={one}>{one.charAt(0).toUpperCase()}{one.slice(1)}.</li>)}</ul>
}

/** A long assumption behind a short word. */
export const Assumed = ({ of, children = 'assumptions' }: { of: readonly string[]; children?: ReactNode }) => (of.length === 0 ? null : <Hint text={<ul className="market-assumed">{of.map((one) => <li key={one}>{one}</li>)}</ul>}>{children}</Hint>)

/** A float of the API as decimal text that the exact formatters take: no exponent, and nothing that is not nought as nought. */
export const text = (value: number): string => (Math.abs(value) >= 1e21 ? value.toFixed(0) : value !== 0 && Math.abs(value) < 1e-6 ? value.toFixed(100).replace(/\.?0+$/, '') : String(value))
