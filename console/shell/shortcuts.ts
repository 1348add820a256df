/** Single keys that lead somewhere. They can be turned off (WCAG 2.1.4), and never act while something is typed. */
import { useEffect, useRef } from 'react'
import { useLocation } from 'wouter'
import { stored } from '../data/stored.ts'

/** After `g`. */
export const GO: readonly (readonly [key: string, href: string, name: string])[] = [
  ['o', '/', 'Overview'],
  ['m', '/markets', 'Markets'],
  ['a', '/accounts', 'Accounts'],
  ['s', '/stress', 'Stress'],
  ['f', '/fund', 'Fund'],
  ['b', '/breakers', 'Breakers'],
  ['r', '/recommendations', 'Recommendations'],
  ['v', '/parameters', 'Parameters'],
  ['p', '/proposals', 'Proposals'],
  ['n', '/proposals/new', 'Draft a proposal'],
  ['l', '/audit', 'Audit log'],
]

export const shortcuts = stored<boolean>('bulwark.shortcuts', true, (value): value is boolean => typeof value === 'boolean')

/** The second key of two comes within this. */
const PAIR_MS = 1200

const isTyping = (target: EventTarget | null): boolean => target instanceof HTMLElement && (target.isContentEditable || target.closest('input, textarea, select, [role="textbox"], [role="combobox"], [role="slider"], [role="menu"], [role="listbox"], [role="dialog"]') !== null)

export function useShortcuts({ find, help }: { find: () => void; help: () => void }): void {
  const [, go] = useLocation()
  const goAtMs = useRef(-Infinity)
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.altKey) return
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault()
        find()
        return
      }
      if (event.ctrlKey || event.metaKey || !shortcuts.get() || isTyping(event.target)) return
      const second = event.timeStamp - goAtMs.current < PAIR_MS
      goAtMs.current = event.key === 'g' && !second ? event.timeStamp : -Infinity
      if (event.key === '/') {
        event.preventDefault()
        find()
      } else if (event.key === '?') help()
      else if (second) {
        const to = GO.find(([key]) => key === event.key)
        if (to) go(to[1])
      }
    }
    addEventListener('keydown', pressed)
    return () => removeEventListener('keydown', pressed)
  }, [find, help, go])
}
