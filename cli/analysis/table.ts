/** Tables in plain text: aligned columns, units in the header; on a terminal too narrow for the columns, a block per row. */

export type Column<Row> = {
  /** May have a second line, for the unit. */
  readonly head: string
  readonly of: (row: Row) => string
  readonly right?: boolean
  /** Left out, last first, where the terminal is too narrow for all. */
  readonly optional?: boolean
}

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

/** A line of a list, wrapped under its own text. */
export const item = (text: string, width: number | null): string => paragraph(text, width, '  ').replace(/^ {2}/, '- ')

export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], { width, bold = (text) => text, notes }: TableOptions<Row>): string {
  const below = (row: Row): string => (notes?.(row) ?? []).map((note) => paragraph(note, width, '  ')).join('')
  const cells = columns.map(({ head, of, right = false, optional = false }) => {
    const heads = head.split('\n')
    const texts = rows.map(of)
    return { head, heads, texts, right, optional, wide: Math.max(...[...heads, ...texts].map(widthOf)) }
  })
  const needed = (some: typeof cells): number => some.reduce((sum, { wide }) => sum + wide, GAP.length * (some.length - 1))
  let shown = cells
  while (width !== null && needed(shown) > width) {
    const last = shown.findLast(({ optional }) => optional)
    if (last === undefined) return blocks()
    shown = shown.filter((one) => one !== last)
  }
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, i) => {
        const { wide, right } = shown[i]!
        const pad = ' '.repeat(wide - widthOf(text))
        return right ? `${pad}${text}` : `${text}${pad}`
      })
      .join(GAP)
      .trimEnd()
  const tall = Math.max(...shown.map(({ heads }) => heads.length))
  const header = Array.from({ length: tall }, (_, h) => `${bold(line(shown.map(({ heads }) => heads[h] ?? '')))}\n`).join('')
  const left = cells.filter((one) => !shown.includes(one)).map(({ head }) => head.replaceAll('\n', ' '))
  return `${header}${rows.map((row, r) => `${line(shown.map(({ texts }) => texts[r]!))}\n${below(row)}`).join('')}${left.length === 0 ? '' : paragraph(`Left out for want of width: ${left.join(', ')}.`, width)}`

  function blocks(): string {
    const label = Math.max(...cells.flatMap(({ head }) => widthOf(head)))
    return rows.map((row, r) => `${cells.map(({ head, texts }, i) => `${i === 0 ? bold(head.replaceAll('\n', ' ').padEnd(label)) : head.replaceAll('\n', ' ').padEnd(label)}${GAP}${texts[r]!}\n`).join('')}${below(row)}`).join('\n')
  }
}

/** `label  value` lines. */
export function renderFacts(facts: readonly (readonly [string, string])[], width: number | null): string {
  const label = Math.max(...facts.map(([name]) => widthOf(name)))
  return facts.map(([name, value]) => wrap(value, Math.max(20, (width ?? READABLE) - label - GAP.length)).map((line, i) => `${(i === 0 ? name : '').padEnd(label)}${GAP}${line}\n`).join('')).join('')
}
