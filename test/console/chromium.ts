/** Debian's Chromium, or the one that CHROMIUM names. */
import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'
import type { Browser } from 'playwright-core'

const CHROMIUM = process.env['CHROMIUM'] || '/usr/bin/chromium'
export const hasChromium = existsSync(CHROMIUM)
/** What to do where it is not there. */
export const NO_CHROMIUM = `found no ${CHROMIUM}, which browser tests need; run apt-get install chromium, or name another in CHROMIUM`

/** No sandbox: as root there is none. The rest keeps it from asking anybody but us. */
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

export const openBrowser = (): Promise<Browser> => chromium.launch({ executablePath: CHROMIUM, args: FLAGS })
