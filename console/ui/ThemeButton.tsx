import { THEMES, setTheme, theme } from './theme.ts'

/** Light, dark, or as the machine has it: one after the other. */
export function ThemeButton() {
  const now = theme.use()
  const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length] ?? 'system'
  return <button type="button" className="quiet theme" title={`Theme: ${now}; a click changes to ${next}`} aria-label={`Theme: ${now}. Change to ${next}`} onClick={() => setTheme(next)}>{{ system: '◐', light: '☀', dark: '☾' }[now]}</button>
}
