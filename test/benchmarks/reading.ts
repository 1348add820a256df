/** What a reader of 100,000 accounts waits for, in Chromium over the built console. */
import { openBrowser } from '../console/chromium.ts'
import { ACCOUNTS, measureOverview, measureReading, measureStep, readable, startLargeBook, type Overview, type Step } from '../console/reading.ts'

const STEPS = 5

export type ReadingResult = {
  readonly accounts: number
  /** The first visit after the server's start, which reads the book, and the second. */
  readonly overview: readonly [Overview, Overview]
  /** Of new blocks in a row, ms to the last answer of the open overview. */
  readonly newBlockMs: readonly number[]
  readonly steps: readonly Step[]
}

export async function benchReading({ progress }: { readonly progress: (text: string) => void }): Promise<ReadingResult> {
  progress(`a book of ${ACCOUNTS} accounts`)
  const book = await startLargeBook({ beside: true })
  const browser = await openBrowser()
  try {
    progress('the overview')
    const first = await browser.newPage()
    const cold = await measureOverview(first, book.url)
    await first.close()
    const open = await browser.newPage()
    const warm = await measureOverview(open, book.url)
    const newBlockMs: number[] = []
    for (let i = 0; i < STEPS; i++) newBlockMs.push(await measureStep(open, book))
    await open.close()
    progress('reading')
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 } })
    await readable(page)
    await page.goto(`${book.url}/accounts`)
    return { accounts: ACCOUNTS, overview: [cold, warm], newBlockMs, steps: await measureReading(page, book) }
  } finally {
    await browser.close()
    await book.close()
  }
}
