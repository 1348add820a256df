/** What a reader of 100,000 accounts waits for, in Chromium over the built console. */
import { openBrowser } from '../console/chromium.ts'
import { ACCOUNTS, measureReading, readable, startLargeBook, type Step } from '../console/reading.ts'

export type ReadingResult = { readonly accounts: number; readonly steps: readonly Step[] }

export async function benchReading({ progress }: { readonly progress: (text: string) => void }): Promise<ReadingResult> {
  progress(`a book of ${ACCOUNTS} accounts`)
  const book = await startLargeBook()
  const browser = await openBrowser()
  try {
    progress('reading')
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 } })
    await readable(page)
    await page.goto(`${book.url}/accounts`)
    return { accounts: ACCOUNTS, steps: await measureReading(page, book) }
  } finally {
    await browser.close()
    await book.close()
  }
}
