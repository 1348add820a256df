/** Files that the page gives out: tables as CSV (RFC 4180), charts as pictures. */

export type Cell = string | number | bigint | boolean | null | undefined

/** A cell that a spreadsheet would run as a formula is prefixed by an apostrophe; signed numbers are left as they are. */
function csvCell(cell: Cell): string {
  const text = cell == null ? '' : String(cell)
  const safe = /^[=+\-@\t\r]/.test(text) && !/^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

export const csv = (head: readonly string[], rows: readonly (readonly Cell[])[]): string => [head, ...rows].map((row) => row.map(csvCell).join(',')).join('\r\n') + '\r\n'

export function download(name: string, content: Blob | string, type = 'text/plain'): void {
  const url = URL.createObjectURL(typeof content === 'string' ? new Blob([content], { type }) : content)
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  // The browser reads the address after this turn of the loop.
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}

/** `Liquidation ladder, vETH` is `bulwark-liquidation-ladder-veth`. */
export const fileName = (title: string): string => `bulwark-${title.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '')}`
