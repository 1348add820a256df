/** One proposal's page over rows: what its figures are of, and what is said where a chain is seldom to be had. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createRequire } from 'node:module'
import type { Browser, Page } from 'playwright-core'
import { rejection } from '../../proposals/build.ts'
import { GUARD_ADDRESS, PRECONDITION } from '../../proposals/guard.ts'
import { encodeExecution, lower, safeTxFromJson, safeTxToJson } from '../../proposals/safe.ts'
import type { SafeTxJson } from '../../proposals/safe.ts'
import { joinSignatures, typedDataOf } from '../../proposals/sign.ts'
import type { Hex } from '../../protocols/adapter.ts'
import type { Prisma } from '../../prisma/client.ts'
import { band, delayed, impact, rowOf, validUntil } from '../graphql/proposal-rows.ts'
import { BLOCK, addressOf, deployment, seed } from '../graphql/support.ts'
import { owners, steward } from '../support/signIn.ts'
import { injectWallet } from '../support/wallet.ts'
import type { TestWallet } from '../support/wallet.ts'
import { axeFindings, cutOff, eventually, inBrowser, openBrowser, passing, visit } from './browser.ts'
import { startScratch, type Scratch } from './scratch.ts'

const json = (value: object) => value as unknown as Prisma.InputJsonValue
const WIDTHS = [[1440, 'light'], [1440, 'dark'], [390, 'light'], [390, 'dark']] as const
const { deployedBytecode: MULTI_SEND } = createRequire(import.meta.url)('@safe-global/safe-contracts/build/artifacts/contracts/libraries/MultiSendCallOnly.sol/MultiSendCallOnly.json') as { deployedBytecode: Hex }
const domain = { chainId: deployment.chainId, safe: lower(deployment.safe!.address) }
const OURS: Hex = `0x${'51'.repeat(32)}`
const THEIRS: Hex = `0x${'52'.repeat(32)}`
const safe = async () => ({ version: '1.4.1', owners: deployment.safe!.owners, threshold: 2, nonce: 20n, mismatch: null })

inBrowser('a proposal’s page', () => {
  let browser: Browser
  let scratch: Scratch
  /** The same rows, with the protocol behind a timelock of an hour. */
  let slow: { url: string; close(): Promise<void> }

  beforeAll(async () => {
    const executable = async (id: string) => {
      const row = await scratch.prisma.proposal.findUniqueOrThrow({ where: { id }, include: { signatures: true } })
      const signatures = row.signatures.map(({ signer, signature }) => ({ signer: signer as Hex, signature: signature as Hex }))
      return { to: domain.safe, value: 0n, data: encodeExecution(safeTxFromJson(row.safeTx as unknown as SafeTxJson), joinSignatures(signatures, 2)), gas: 500_000n }
    }
    // Without the chain that it asks for the owners.
    const addSignature = async (id: string, signer: string, signature: string, kind: 'CHANGE' | 'CANCELLATION' = 'CHANGE') => {
      await scratch.prisma.proposal.update({ where: { id }, data: { signatures: { create: { signer, signature, kind } } } })
      return { id } as never
    }
    scratch = await startScratch({ services: { proposals: { safe, executable, addSignature } }, fill: async (prisma) => {
      await seed(prisma)
      for (const id of ['signed', 'kept', 'coded', 'held', 'stopped', 'asked']) await prisma.proposal.create({ data: rowOf(id, deployment, [band], 20) })
      for (const id of ['doubtful', 'refused', 'shared', 'lost', 'dropped', 'silent']) {
        const row = rowOf(id, deployment, [band], 20, { state: 'READY' })
        const given = await Promise.all(owners.slice(0, 2).map(async (owner) => ({ signer: lower(owner.address), signature: await owner.signTypedData(typedDataOf(domain, safeTxFromJson(row.safeTx as unknown as SafeTxJson)) as never), kind: 'CHANGE' as const })))
        await prisma.proposal.create({ data: { ...row, signatures: { create: given } } as never })
      }
      await prisma.proposal.create({ data: rowOf('cancelling', deployment, [band], 20, { state: 'CANCELLING', cancellation: json({ kind: 'REJECTION', safeTx: safeTxToJson(rejection(deployment, 20n).safeTx) }) }) })
      const { valued: _, unvalued: __, ...uncounted } = impact.accounts
      await prisma.proposal.create({ data: rowOf('partial', deployment, [band], 20, { impact: json(impact) }) })
      await prisma.proposal.create({ data: rowOf('whole', deployment, [band], 20, { impact: json({ ...impact, accounts: { ...impact.accounts, valued: 49, unvalued: [] }, newlyLiquidatable: [] }) }) })
      await prisma.proposal.create({ data: rowOf('uncounted', deployment, [band], 20, { impact: json({ ...impact, accounts: uncounted }) }) })
      const scheduled = { state: 'QUEUED', scheduledTxHash: `0x${'77'.repeat(32)}`, scheduledAtBlock: 999n } as const
      await prisma.proposal.create({ data: rowOf('unscheduled', delayed, [band], 21) })
      await prisma.proposal.create({ data: rowOf('scheduled', delayed, [band], 22, { ...scheduled, readyAtSec: BLOCK.timestamp + 1_800n }) })
      await prisma.proposal.create({ data: rowOf('due', delayed, [band], 23, { ...scheduled, readyAtSec: BLOCK.timestamp }) })
    } })
    slow = await scratch.serve({ deployment: delayed })
    browser = await openBrowser()
  })

  afterAll(async () => {
    await browser?.close()
    await slow?.close()
    await scratch?.close()
  })

  describe('its impact', () => {
    test.each(WIDTHS)('behavior: at %i px, %s, it says beside sums and near misses of how many accounts they are, and why others are unknown', async (width, colorScheme) => {
      await visit(browser, `${scratch.url}/proposals/partial`, { viewport: { width, height: 900 }, colorScheme }, async (page) => {
        const panel = page.locator('#impact')
        expect(await panel.locator('.sums > div').first().innerText()).toMatch(/Newly liquidatable\s+1\s+of 41 valued; 8 unknown\s+0 no longer/)
        expect(await panel.locator('.notice').innerText()).toMatch(/^Every figure here is of 41 accounts; what it does to 8 others is not known\.\s*8 not read from the contracts: 0x/)
        expect(await panel.locator('.notice .copy').first().getAttribute('title')).toContain(addressOf(5))
        expect(await panel.getByRole('heading', { name: 'If prices move before it is executed' }).innerText()).toContain('of 41 valued; 8 unknown')
        expect(await cutOff(page)).toEqual([])
        expect(await axeFindings(page)).toEqual([])
      })
    })

    test('behavior: of all accounts it says so, and one that was not counted says that', async () => {
      await visit(browser, `${scratch.url}/proposals/whole`, {}, async (page) => {
        await page.getByText('No account can be liquidated by this change that could not be before, of all 49 indexed.').waitFor()
        expect(await page.locator('#impact .notice').count()).toBe(0)
        await page.goto(`${scratch.url}/proposals/uncounted`)
        await page.getByText('How many accounts every figure here is of is not known: simulate again.').waitFor()
        expect(await page.locator('#impact .sums > div').first().innerText()).toContain('of an unknown share of 49 indexed')
      })
    })
  })

  test('behavior: on paper everything that is folded away is open, addresses and bytes are whole, and the theme is light', async () => {
    await visit(browser, `${scratch.url}/proposals/whole`, { colorScheme: 'dark' }, async (page) => {
      await page.locator('#hashes details').waitFor()
      const folded = (): Promise<Record<string, boolean>> => page.evaluate(() => Object.fromEntries([...document.querySelectorAll('main details:not(.proposal-elsewhere)')].map((each) => [each.querySelector('summary')!.innerText.split(/\s/)[0], each.querySelector('summary + *')!.checkVisibility()])))
      const screen = await folded()
      expect(screen).toMatchObject({ What: false, The: false, check: false, setMarketMaxPriceSpreadRatio: false })
      expect(new Set(Object.values(screen))).toEqual(new Set([false]))
      await page.emulateMedia({ media: 'print', colorScheme: 'dark' })
      expect(await folded()).toEqual(Object.fromEntries(Object.keys(screen).map((name) => [name, true])))
      expect(await page.locator('.proposal-raw').evaluateAll((all) => all.filter(({ scrollHeight, clientHeight }) => clientHeight === 0 || scrollHeight > clientHeight).length)).toBe(0)
      const addresses = await page.locator('main .address code[data-whole]').evaluateAll((all) => all.map((each) => getComputedStyle(each, '::after').content))
      expect(addresses.map((each) => each.toLowerCase())).toContain(`"${lower(deployment.safe!.address)}"`)
      expect(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme)).toBe('light')
      for (const gone of ['nav.pages', 'footer']) expect(await page.locator(gone).isVisible()).toBe(false)
      // Nothing of the block and its age goes: a sheet says what it stands on.
      expect(await page.locator('.standing .block').isVisible()).toBe(true)
      expect((await page.pdf({ format: 'A4' })).subarray(0, 5).toString()).toBe('%PDF-')
    })
  })

  describe('through a timelock', () => {
    // The book stands at 1,700,000,000 s: 2023-11-14 22:13:20 UTC; three days later is the deadline.
    test.each([
      ['unscheduled', /timelock: not scheduled\s+Executing it at the Safe schedules it; then it waits 60 min\. Scheduled now, it may be executed at the earliest at 2023-11-14 23:13:20 UTC\. It has to be scheduled by 2023-11-17 21:13:20 UTC to be executed by 2023-11-17 22:13:20 UTC\.$/, 'Signing', false],
      ['scheduled', /timelock: waiting\s+It may be executed at the earliest at 2023-11-14 22:43:20 UTC, in 30 min, and by 2023-11-17 22:13:20 UTC at the latest\. Until it is executed, the Safe can take it out\.\s+What waits there, scheduled in block 999 by 0x777777…777777[^]*, as operation 0x\w+…\w+[^]*:\s+Price band of vETH: 10\.00 % → 6\.25 % \(raw 100000 → 62500\)$/, 'Queued', true],
      ['due', /timelock: ready\s+Its delay of 60 min is over since 2023-11-14 22:13:20 UTC: it may be executed by whom the timelock lets, by 2023-11-17 22:13:20 UTC at the latest\.\s+What waits there,/, 'Queued', true],
    ] as const)('behavior: of one that is %s it says in words from when until when it may be executed, and what waits', async (id, words, step, waits) => {
      expect([BLOCK.timestamp, validUntil]).toEqual([1_700_000_000n, 1_700_000_000n + 259_200n])
      await visit(browser, `${slow.url}/proposals/${id}`, {}, async (page) => {
        const timelock = page.locator('#now .proposal-timelock')
        await timelock.waitFor()
        expect(await timelock.innerText()).toMatch(words)
        expect(await page.locator('.proposal-steps li[aria-current=step]').innerText()).toContain(step)
        expect(await page.getByRole('list', { name: 'What waits in the timelock' }).count()).toBe(waits ? 1 : 0)
        for (const [width, colorScheme] of WIDTHS) {
          await page.setViewportSize({ width, height: 900 })
          await page.emulateMedia({ colorScheme })
          expect(await cutOff(page)).toEqual([])
          expect(await axeFindings(page)).toEqual([])
        }
      })
    })

    test('behavior: before its delay is over nobody is let execute it, with the time; from then on anybody with a wallet is asked', async () => {
      await visit(browser, `${slow.url}/proposals/scheduled`, {}, async (page) => {
        const button = page.getByRole('button', { name: 'Execute at the timelock' })
        await page.getByText('The timelock lets nobody execute it before 2023-11-14 22:43:20 UTC.').waitFor()
        expect(await button.isDisabled()).toBe(true)
        await page.goto(`${slow.url}/proposals/due`)
        await page.locator('#now').getByText('Connect any account below to send it; it pays the gas.').waitFor()
        expect(await page.getByText('The timelock lets nobody execute it before').count()).toBe(0)
      })
    })
  })

  describe('with a wallet', () => {
    let block = BLOCK.number
    /** The next `count` blocks, each told of before the next. */
    const mine = async (page: Page, count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        block += 1n
        const said = page.waitForResponse(async (response) => response.url().endsWith('/graphql') && (await response.text()).includes(`"indexed":{"number":"${block}"`))
        await scratch.prisma.checkpoint.create({ data: { blockNumber: block, blockHash: `0x${block.toString(16).padStart(64, '0')}`, blockTimestamp: BLOCK.timestamp + block - BLOCK.number, rowCount: 1 } })
        await said
      }
    }
    type Node = { receipt: object | null; knows: boolean; code: () => Promise<void> }
    const withWallet = (id: string, account: typeof steward, use: (page: Page, wallet: TestWallet, node: Node) => Promise<void>, prepare: (page: Page) => Promise<void> = async () => {}): Promise<void> => {
      let wallet: TestWallet
      const node: Node = { receipt: null, knows: true, code: async () => {} }
      return visit(browser, `${scratch.url}/proposals/${id}`, { before: async (page) => {
        await prepare(page)
        wallet = await injectWallet(page, { accounts: [account], node: async (method, [first]) => {
          if (method === 'eth_getCode') {
            await node.code()
            return lower(first as Hex) === GUARD_ADDRESS ? PRECONDITION.runtime : MULTI_SEND
          }
          if (method === 'eth_sendTransaction') return OURS
          if (method === 'eth_getTransactionReceipt') return node.receipt
          if (method === 'eth_getTransactionByHash') return node.knows ? { hash: first, from: account.address, to: domain.safe, value: '0x0', gas: '0x1', nonce: '0x1', input: '0x', type: '0x0' } : null
          throw new TypeError(`the page asked the node for ${method}`)
        } })
      } }, async (page) => {
        await page.locator('main').getByRole('button', { name: 'Connect Test wallet' }).click()
        await use(page, wallet, node)
      })
    }
    const receipt = (status: '0x0' | '0x1') => ({ transactionHash: OURS, status, blockNumber: '0x3ea', blockHash: BLOCK.hash, gasUsed: '0x1', cumulativeGasUsed: '0x1', effectiveGasPrice: '0x1', from: steward.address, to: domain.safe, logs: [], logsBloom: '0x', transactionIndex: '0x0', type: '0x0', contractAddress: null })
    const signButton = (page: Page) => page.getByRole('button', { name: 'Sign with the wallet' })
    const executeButton = (page: Page) => page.getByRole('button', { name: 'Execute', exact: true })
    const sign = async (page: Page): Promise<void> => {
      await signButton(page).click()
      await page.getByRole('alertdialog').getByRole('button', { name: 'I compared them: sign' }).click()
    }
    const execute = async (page: Page): Promise<void> => {
      await executeButton(page).click()
      await page.getByRole('alertdialog').getByRole('button', { name: 'Send it' }).click()
    }
    const signIn = async (page: Page): Promise<void> => {
      await page.locator('main').getByRole('button', { name: 'Sign in', exact: true }).click()
      await page.locator('main').getByText(/Signed in as/).waitFor()
    }
    /** Waits for the focus to be there. */
    const focused = (page: Page, words: RegExp): Promise<unknown> => page.waitForFunction(([source, flags]) => document.activeElement !== document.body && new RegExp(source!, flags).test((document.activeElement as HTMLElement).innerText), [words.source, words.flags] as const)

    test('error: of a wallet that sends and then errs nobody says that nothing was sent, and sending again waits until the Safe was looked at again', async () => {
      await withWallet('doubtful', steward, async (page, wallet) => {
        wallet.failNext(-32603, 'request timed out', true)
        await execute(page)
        const now = page.locator('#now')
        await now.getByText(/Whether it was sent is not known/).first().waitFor()
        expect(await now.innerText()).toMatch(/request timed out/)
        expect(await now.innerText()).not.toMatch(/Nothing was sent/i)
        expect(await executeButton(page).isDisabled()).toBe(true)
        await mine(page, 2)
        expect(await executeButton(page).isDisabled()).toBe(true)
        await mine(page, 1)
        await executeButton(page).and(page.locator(':enabled')).waitFor()
        expect(wallet.asked.filter((method) => method === 'eth_sendTransaction')).toHaveLength(1)
      })
    })

    test('error: what its owner refused in the wallet was not sent, and may be sent at once', async () => {
      await withWallet('refused', steward, async (page, wallet) => {
        wallet.refuseNext()
        await execute(page)
        await page.getByText('The request was refused in the wallet. Nothing was sent; ask it again when you are ready.').waitFor()
        await eventually(async () => String(await executeButton(page).isEnabled()), /^true$/)
      })
    })

    test('behavior: signers of a cancellation get the file and a command that only checks', async () => {
      await visit(browser, `${scratch.url}/proposals/cancelling`, {}, async (page) => {
        const hashes = page.locator('#hashes')
        await hashes.getByRole('button', { name: 'Download proposal-cancelling.json' }).waitFor()
        const command = 'npm run bulwark -- proposal cancel-check proposal-cancelling.json --trust trust.yaml'
        expect(await hashes.locator('.proposal-command code').innerText()).toBe(command)
        expect(await hashes.locator('.proposal-command .copy').getAttribute('title')).toContain(command)
      })
    })

    test('behavior: a signature that is not handed in, and a transaction that was sent, are known to every tab of this browser', async () => {
      await withWallet('kept', owners[0]!, async (page) => {
        await sign(page)
        await page.getByText(/is not handed in yet/).waitFor()
        // It waits here: it is not to be made twice.
        await page.locator('#sign').getByText(/signed; hand its signature in below/).waitFor()
        expect(await signButton(page).isDisabled()).toBe(true)
        const other = await page.context().newPage()
        await page.close()
        await other.goto(`${scratch.url}/proposals/kept`)
        await other.getByText(/is not handed in yet/).waitFor()
      })
      await withWallet('shared', steward, async (page) => {
        const other = await page.context().newPage()
        await other.goto(`${scratch.url}/proposals/shared`)
        await execute(page)
        await other.locator('#now').getByText('Sent.').waitFor()
        await other.close()
      })
    })

    test.each([
      ['a device that refuses', -32603, 'Ledger device: Condition of use not satisfied (denied by the user?) (0x6985)', /The device refused it, or was not unlocked: Ledger device: Condition of use not satisfied/],
      ['a request that is open already', -32002, 'Request of type eth_signTypedData_v4 already pending', /Another request is open in the wallet: answer it there, then ask again\. Nothing was signed/],
      ['anything else, with the wallet’s own reason', -32603, 'out of cheese', /The wallet says: An internal error was received: out of cheese\. Nothing was signed/],
    ] as const)('error: %s is said in one sentence', async (_, code, message, sentence) => {
      await withWallet('asked', owners[0]!, async (page, wallet) => {
        wallet.failNext(code, message)
        await sign(page)
        await page.locator('#sign').getByText(sentence).waitFor()
      })
    })

    test('behavior: the focus goes to what came of signing, handing in and executing', async () => {
      await withWallet('signed', owners[0]!, async (page, wallet) => {
        wallet.refuseNext()
        await sign(page)
        await focused(page, /refused in the wallet/)
        const answer = wallet.holdNext()
        await sign(page)
        await focused(page, /Waiting for the wallet/)
        answer()
        await focused(page, /is not handed in yet/)
        await signIn(page)
        await page.getByRole('button', { name: 'Hand it in' }).first().click()
        await focused(page, /has signed; another owner is next/)
      })
      await withWallet('silent', steward, async (page) => {
        await execute(page)
        await focused(page, /^Sent\./)
      })
    })

    test('behavior: a hash that is selected by hand is the hash, and without a clipboard it is copied all the same', async () => {
      await visit(browser, `${scratch.url}/proposals/partial`, { before: async (page) => void (await page.addInitScript(() => {
        Object.defineProperty(navigator, 'clipboard', { value: undefined })
        document.addEventListener('copy', () => { (globalThis as unknown as { taken: string }).taken = String(getSelection()) })
      })) }, async (page) => {
        const hash = page.locator('.proposal-hash').last()
        const title = await hash.locator('.copy').getAttribute('title')
        const [whole] = /0x[0-9a-f]{64}/.exec(title!)!
        await hash.locator('code').evaluate((code) => getSelection()!.selectAllChildren(code))
        expect(await page.evaluate(() => String(getSelection()))).toBe(whole)
        await hash.locator('code').click({ clickCount: 2 })
        expect((await page.evaluate(() => String(getSelection()))).trim()).toBe(whole)
        await passing(page, '.said', /^copied$/, () => hash.locator('.copy').click())
        expect(await page.evaluate(() => (globalThis as unknown as { taken: string }).taken)).toBe(whole)
      })
    })

    test('behavior: whoever sent it second is told so, with what their own transaction came to', async () => {
      await withWallet('lost', steward, async (page, _, node) => {
        await execute(page)
        await page.locator('#now').getByText('Sent.').waitFor()
        await scratch.prisma.proposal.update({ where: { id: 'lost' }, data: { state: 'EXECUTED', executionTxHash: THEIRS, executedAtBlock: block, events: { create: [{ fromState: 'READY', toState: 'EXECUTED', note: 'Executed' }] } } })
        await page.reload()
        await eventually(() => page.locator('main').innerText(), /Another transaction did it first/)
        node.receipt = receipt('0x0')
        await mine(page, 1)
        await page.locator('#now').getByText(/0x515151…515151 reverted in block 1,002: it changed nothing, and its gas was paid/).waitFor()
        await page.locator('#now').getByRole('button', { name: 'I have seen it' }).click()
        expect(await page.locator('#now .notice').count()).toBe(0)
      })
    })

    test('behavior: a transaction is said to be dropped once the node has not known it for some blocks, and not before', async () => {
      await withWallet('dropped', steward, async (page, _, node) => {
        await execute(page)
        await page.locator('#now').getByText('Sent.').waitFor()
        expect(await page.getByRole('button', { name: /send again/ }).count()).toBe(0)
        await mine(page, 3)
        expect(await page.getByRole('button', { name: /send again/ }).count()).toBe(0)
        node.knows = false
        await mine(page, 1)
        await page.getByRole('button', { name: /send again/ }).click()
        await eventually(async () => String(await executeButton(page).isEnabled()), /^true$/)
      })
    })

    test('behavior: a node that did not tell the code is asked again with the next block, and when told to', async () => {
      for (const again of [(page: Page) => mine(page, 1), (page: Page) => page.getByRole('button', { name: 'Ask again' }).click()]) {
        await visit(browser, `${scratch.url}/proposals/coded`, { before: async (page) => {
          let limited = true
          await injectWallet(page, { accounts: [owners[0]!], node: (method, [first]) => {
            if (method !== 'eth_getCode') throw new TypeError(method)
            if (limited) {
              limited = lower(first as Hex) !== GUARD_ADDRESS
              throw new TypeError('429')
            }
            return lower(first as Hex) === GUARD_ADDRESS ? PRECONDITION.runtime : MULTI_SEND
          } })
        } }, async (page) => {
          await page.locator('main').getByRole('button', { name: 'Connect Test wallet' }).click()
          await page.locator('#sign').getByText(/did not say what code stands/).waitFor()
          expect(await signButton(page).isDisabled()).toBe(true)
          await again(page)
          await signButton(page).and(page.locator(':enabled')).waitFor()
        })
      }
    })

    test('behavior: waiting for a wallet that does not answer can be stopped, and what it answers later is kept', async () => {
      await withWallet('stopped', owners[0]!, async (page, wallet) => {
        const answer = wallet.holdNext()
        await sign(page)
        await page.getByRole('button', { name: 'Stop waiting' }).click()
        await signButton(page).and(page.locator(':enabled')).waitFor()
        answer()
        await page.getByText(/is not handed in yet/).waitFor()
      })
    })
  })
})
