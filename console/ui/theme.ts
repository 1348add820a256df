/** Light, dark, or as the machine has it. Sets `data-theme` on the page, which style.css reads. */
import { useSyncExternalStore } from 'react'
import { stored } from '../data/stored.ts'

export const THEMES = ['system', 'light', 'dark'] as const
export type Theme = (typeof THEMES)[number]

export const theme = stored<Theme>('bulwark.theme', 'system', (value): value is Theme => THEMES.includes(value as Theme))

const dark = matchMedia('(prefers-color-scheme: dark)')
export const isDark = (): boolean => (theme.get() === 'system' ? dark.matches : theme.get() === 'dark')

function apply(): void {
  document.documentElement.dataset['theme'] = isDark() ? 'dark' : 'light'
}
apply()
dark.addEventListener('change', apply)

export function setTheme(next: Theme): void {
  theme.set(next)
  apply()
}

/** Re-renders what draws with colours of its own (charts) when they change. */
export const useDark = (): boolean => useSyncExternalStore((changed) => {
  const observer = new MutationObserver(changed)
  observer.observe(document.documentElement, { attributeFilter: ['data-theme'] })
  return () => observer.disconnect()
}, isDark)
