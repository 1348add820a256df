/** Tables in plain text: aligned columns, units in the header; on a terminal too narrow for the columns, a block per row. */

export type Column<Row> = { readonly head: string; readonly of: (row: Row) => string; readonly right?: boolean }

export type TableOptions<Row> = {
  /** Columns of the terminal; null for any width. */
  readonly width: number | null
  readonly bold?: (text: string) => string
  /** Lines below a row, indented and wrapped. */
  readonly notes?: (row: Row) => readonly string[]
}

const GAP = '  '
/** Where notes wrap when nothing says how wide the reader's window is. */
const READABLE = 110

/** Characters, not columns: names and figures of ours have no wide ones. */
const widthOf = (text: string): number => Array.from(text).length

/** Breaks at spaces; a word longer than the width stands alone. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/ +/)) {
    const joined = line === '' ? word : `${line} ${word}`
    if (line !== '' && widthOf(joined) > width) {
      lines.push(line)
      line = word
    } else line = joined
  }
  return [...lines, line]
}

export const paragraph = (text: string, width: number | null, indent = ''): string =>
  wrap(text, Math.max(20, Math.min(width ?? READABLE, READABLE) - indent.length)).map((line) => `${indent}${line}\n`).join('')

export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], { width, bold = (text) => text, notes }: TableOptions<Row>): string {
  const cells = rows.map((row) => columns.map(({ of }) => of(row)))
  const widths = columns.map(({ head }, i) => Math.max(widthOf(head), ...cells.map((row) => widthOf(row[i]!))))
  const total = widths.reduce((sum, one) => sum + one, 0) + GAP.length * (columns.length - 1)
  const below = (row: Row): string => (notes?.(row) ?? []).map((note) => paragraph(note, width, '  ')).join('')
  if (width !== null && total > width) {
    const label = Math.max(...columns.map(({ head }) => widthOf(head)))
    return rows.map((row, r) => `${columns.map(({ head }, i) => `${i === 0 ? bold(head.padEnd(label)) : head.padEnd(label)}${GAP}${cells[r]![i]!}\n`).join('')}${below(row)}`).join('\n')
  }
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => {
        const pad = ' '.repeat(widths[i]! - widthOf(cell))
        return columns[i]!.right === true ? `${pad}${cell}` : `${cell}${pad}`
      })
      .join(GAP)
      .trimEnd()
  return `${bold(line(columns.map(({ head }) => head)))}\n${cells.map((row, r) => `${line(row)}\n${below(rows[r]!)}`).join('')}`
}

/** `label  value` lines. */
export function renderFacts(facts: readonly (readonly [string, string])[], width: number | null): string {
  const label = Math.max(...facts.map(([name]) => widthOf(name)))
  return facts.map(([name, value]) => wrap(value, Math.max(20, (width ?? READABLE) - label - GAP.length)).map((line, i) => `${(i === 0 ? name : '').padEnd(label)}${GAP}${line}\n`).join('')).join('')
}
