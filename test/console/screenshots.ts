/**
 * `npm run screenshots`: a picture of each page in both themes, over a devnet of its own, into docs/screenshots/. With `pngquant`
 * (apt-get install pngquant) they take a third of the room. A Jest file only to use what its neighbours do; no test run takes it.
 */
import { execFile } from 'node:child_process'
import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from '@jest/globals'
import { PROJECT } from '../../cli/options.ts'
import { inBrowser, openBrowser, settled, visit } from './browser.ts'
import { DESK_MS, startDesk } from './desk.ts'
import { blocksLater, placesOf } from './places.ts'

const FOLDER = join(PROJECT, 'docs', 'screenshots')
const run = promisify(execFile)

inBrowser('screenshots', () => {
  test('are written', async () => {
    await mkdir(FOLDER, { recursive: true })
    const desk = await startDesk()
    const browser = await openBrowser()
    try {
      const paths: string[] = []
      for (const { name, path } of await placesOf(desk.url)) {
        if (name === 'nowhere') continue
        for (const colorScheme of ['light', 'dark'] as const) {
          await visit(browser, `${desk.url}${path}`, { colorScheme }, async (page) => {
            await settled(page)
            if (name !== 'query') await blocksLater(page, 1)
            const file = join(FOLDER, `${name}-${colorScheme}.png`)
            await page.screenshot({ path: file, animations: 'disabled' })
            paths.push(file)
          })
        }
      }
      await run('pngquant', ['--force', '--ext', '.png', '--skip-if-larger', '--strip', '256', ...paths]).catch((error: { code?: unknown }) => {
        // 98 and 99: it left one as it was, since it would have gained nothing.
        if (error.code === 'ENOENT') process.stderr.write('Found no pngquant: the pictures are three times as large as they need be; run apt-get install pngquant, and again\n')
        else if (error.code !== 98 && error.code !== 99) throw error
      })
      const sizes = await Promise.all(paths.map(async (path) => (await stat(path)).size))
      process.stderr.write(`Wrote ${paths.length} pictures into docs/screenshots, ${(sizes.reduce((total, size) => total + size, 0) / 1e6).toFixed(1)} MB\n`)
    } finally {
      await browser.close()
      await desk.close()
    }
  }, DESK_MS + 300_000)
})
