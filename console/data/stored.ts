/** Small things that this browser keeps for its user: theme, basket. Another tab's change shows at once. */
import { useSyncExternalStore } from 'react'

export type Stored<T> = { get(): T; set(value: T): void; use(): T }

/**
 * `fallback` also stands where what is kept is not of this shape, once `mend` has left out of it what is spoilt. A browser that keeps
 * nothing has the value for as long as the page is open.
 */
export function stored<T>(key: string, fallback: T, accept: (value: unknown) => value is T, mend: (value: unknown) => unknown = (value) => value): Stored<T> {
  const read = (text: string | null): T => {
    if (text === null) return fallback
    try {
      const value = mend(JSON.parse(text))
      return accept(value) ? value : fallback
    } catch {
      return fallback
    }
  }
  const load = (): T => {
    try {
      return read(localStorage.getItem(key))
    } catch {
      return fallback
    }
  }
  let value = load()
  const watchers = new Set<() => void>()
  const tell = () => { for (const watcher of watchers) watcher() }
  addEventListener('storage', (event) => {
    if (event.key !== key && event.key !== null) return
    value = load()
    tell()
  })
  return {
    get: () => value,
    set: (next) => {
      value = next
      try {
        localStorage.setItem(key, JSON.stringify(next))
      } catch {
        // Kept in memory alone.
      }
      tell()
    },
    use: () => useSyncExternalStore((changed) => { watchers.add(changed); return () => watchers.delete(changed) }, () => value),
  }
}
