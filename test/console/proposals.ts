/** A wish becomes a parameter on chain with nothing but the page and wallets: steward, two signers, somebody who pays. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import type { Browser, Locator, Page } from 'playwright-core'
import { queryApi } from '../../cli/graphql.ts'
import { hashesOf, safeTxFromJson, safeTxToJson } from '../../proposals/safe.ts'
import type { SafeTxJson } from '../../proposals/safe.ts'
import { owners, steward, stranger } from '../support/signIn.ts'
import { injectWallet } from '../support/wallet.ts'
import type { TestWallet } from '../support/wallet.ts'
import { axeFindings, cutOff, visit } from './browser.ts'
import type { VisitOptions } from './browser.ts'
import type { Desk } from './desk.ts'

let desk: Desk
let browser: Browser

/** A page with a wallet of its own, as a person at a machine of their own. */
const person = (path: string, account: typeof steward, use: (page: Page, wallet: TestWallet) => Promise<void>, options: VisitOptions = {}): Promise<void> => {
  let wallet: TestWallet | undefined
  return visit(browser, `${desk.url}${path}`, { ...options, before: async (page) => {
    wallet = await injectWallet(page, { rpcUrl: desk.rpcUrl, accounts: [account] })
  } }, (page) => use(page, wallet!))
}

const connect = (page: Page): Promise<void> => page.locator('main').getByRole('button', { name: 'Connect Test wallet' }).click()

async function signIn(page: Page): Promise<void> {
  await connect(page)
  await page.locator('main').getByRole('button', { name: 'Sign in', exact: true }).click()
  await page.locator('main').getByText(/Signed in as/).waitFor()
}

const stateOf = (page: Page) => page.locator('.pagehead .tag')
const stands = (page: Page, state: string): Promise<void> => stateOf(page).getByText(state, { exact: true }).waitFor()

/** Drafts on the page what `parameter` of vETH is to be, until its owners are asked to sign. */
async function drafted(page: Page, parameter: string, label: string, value: string): Promise<string> {
  await page.goto(`${desk.url}/proposals/new?parameter=${parameter}&subject=vETH`)
  await page.getByLabel(`${label} of vETH`).fill(value)
  await page.getByText('Policy and lint let this be drafted.').waitFor()
  await page.getByRole('button', { name: 'Draft it' }).click()
  await stands(page, 'draft')
  await page.getByRole('button', { name: 'Simulate', exact: true }).click()
  await stands(page, 'simulated')
  await page.getByRole('button', { name: 'Ask owners to sign' }).click()
  await stands(page, 'awaiting signatures')
  return new URL(page.url()).pathname
}

async function sign(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Sign with the wallet' }).click()
  await page.getByRole('alertdialog').getByRole('button', { name: 'I compared them: sign' }).click()
}

/** The signing or executing dialog once it lets one go on. */
async function opened(page: Page, button: string, yes: string) {
  await page.getByRole('button', { name: button, exact: true }).click()
  const dialog = page.getByRole('alertdialog')
  await dialog.getByRole('button', { name: yes }).and(page.locator(':enabled')).waitFor()
  return {
    /** It says why not, lets nobody go on, and closes. */
    blocked: async (why: RegExp): Promise<void> => {
      await dialog.getByText(why).waitFor()
      expect(await dialog.getByRole('button', { name: yes }).isDisabled()).toBe(true)
    },
    free: (): Promise<void> => dialog.getByRole('button', { name: yes }).and(page.locator(':enabled')).waitFor(),
    close: async (): Promise<void> => { await dialog.getByRole('button', { name: 'Go back' }).click(); await dialog.waitFor({ state: 'detached' }) },
  }
}

async function execute(page: Page, name = 'Execute'): Promise<void> {
  await page.getByRole('button', { name, exact: true }).click()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Send it' }).click()
}

type Lied = { readonly chainId: number; readonly safe: `0x${string}`; readonly safeTx?: SafeTxJson; readonly typedData: object }
type Parameters = { parameters: { name: string; subjectLabel: string; raw: string }[] }
const indexed = async (name: string): Promise<string | undefined> => (await queryApi<Parameters>(desk.url, '{ parameters { name subjectLabel raw } }')).parameters.find((each) => each.name === name && each.subjectLabel === 'vETH')?.raw

/** They change the chain's parameters and leave proposals behind. */
export const describeProposals = (stack: () => { readonly desk: Desk; readonly browser: Browser }): void => describe('proposals', () => {
  beforeAll(() => { ({ desk, browser } = stack()) })

  test('behavior: steward, two signers at once, executed by anybody, APPLIED, each seeing the others without loading the page again', async () => {
    const before = BigInt((await indexed('feeRatio'))!)
    // 0.01 % more: 100 of a million, within the policy's step of 0.1 %.
    const after = before + 100n
    await person('/proposals/new', steward, async (page) => {
      await signIn(page)
      const path = await drafted(page, 'feeRatio', 'Trading fee', `${Number(after) / 10_000}`)
      await person(path, owners[0]!, async (first) => {
        await person(path, owners[1]!, async (second) => {
          for (const owner of [first, second]) await signIn(owner)
          expect(await first.locator('#changes').innerText()).toContain(`Raw ${before} → ${after}`)
          await sign(first)
          // The second and the steward see it without asking.
          for (const other of [second, page]) await other.getByText('1 of 2 that the Safe wants').waitFor()
          await sign(second)
          for (const each of [first, second, page]) await stands(each, 'ready')
          const late = await opened(first, 'Execute', 'Send it')
          await person(path, stranger, async (anybody) => {
            await connect(anybody)
            await execute(anybody)
            for (const each of [anybody, first, page]) await stands(each, 'applied')
            await anybody.locator('#aftermath').waitFor()
            await late.blocked(/The proposal became “applied” while this was open.*; send nothing/)
            await late.close()
          })
        })
      })
      expect(await indexed('feeRatio')).toBe(after.toString())
    })
  })

  test('behavior: what the page shows is what the wallet is asked to sign, and a refusal, a wrong account and a wrong network lose nothing', async () => {
    await person('/proposals/new', steward, async (page) => {
      await signIn(page)
      // One percent less than it is.
      const path = await drafted(page, 'insuranceFundFeeRatio', "Insurance fund's share of fees", `${Number(await indexed('insuranceFundFeeRatio')) / 10_000 - 1}`)
      await person(path, stranger, async (signer, wallet) => {
        await connect(signer)
        await signer.getByText(/allowed are the Safe’s owners; choose one of them in the wallet/).waitFor()
        expect(await signer.getByRole('button', { name: 'Sign with the wallet' }).isDisabled()).toBe(true)
        await wallet.use(owners[2]!)
        await signer.getByRole('button', { name: 'Sign with the wallet' }).and(signer.locator(':enabled')).waitFor()
        await wallet.goTo(1)
        await signer.getByText(/The wallet is on chain 1, this page serves devnet \(chain 31337\)/).waitFor()
        expect(await signer.getByRole('button', { name: 'Sign with the wallet' }).isDisabled()).toBe(true)
        await signer.getByRole('button', { name: 'Switch to devnet' }).click()
        await signer.getByRole('button', { name: 'Sign with the wallet' }).and(signer.locator(':enabled')).waitFor()
        wallet.refuseNext()
        await sign(signer)
        await signer.getByText('The request was refused in the wallet. Nothing was signed; ask it again when you are ready.').waitFor()
        // Signed before anybody has signed in: the signature waits in this browser, also when the page is loaded again.
        await sign(signer)
        await signer.getByText(/is not handed in yet/).waitFor()
        await signer.reload()
        await signer.getByText(/is not handed in yet/).waitFor()
        await signer.locator('main').getByRole('button', { name: 'Sign in', exact: true }).click()
        await signer.getByRole('button', { name: 'Hand it in' }).first().click()
        await signer.getByText('1 of 2 that the Safe wants').waitFor()
        expect(wallet.asked).toContain('eth_signTypedData_v4')
      })
      await person(path, owners[1]!, async (signer, wallet) => {
        await connect(signer)
        const dialog = await opened(signer, 'Sign with the wallet', 'I compared them: sign')
        // The Safe wants another number of owners from some block on, and the API says so with the next.
        await signer.route('**/graphql', async (route) => {
          const answer = await route.fetch()
          await route.fulfill({ response: answer, body: (await answer.text()).replace(/("onChain":\{"owners":\[[^\]]*\],"threshold":)2/, '$13') })
        })
        await dialog.blocked(/The Safe’s owners, or how many of them it wants, changed while this was open; sign nothing/)
        await signer.unroute('**/graphql')
        await dialog.free()
        // Cancelled by its owners, so that nothing waits for its nonce.
        await page.getByRole('button', { name: 'Cancel', exact: true }).click()
        await page.getByRole('alertdialog').getByRole('button', { name: 'Ask the owners to cancel it' }).click()
        await stands(page, 'cancelling')
        await dialog.blocked(/The proposal became “cancelling” while this was open.*; sign nothing/)
        await dialog.close()
        expect(wallet.asked).not.toContain('eth_signTypedData_v4')
      })
      for (const owner of [owners[0]!, owners[1]!]) {
        await person(path, owner, async (signer) => {
          await signIn(signer)
          await sign(signer)
          await signer.getByText(/has signed; another owner is next/).waitFor()
          if (owner === owners[1]) await execute(signer, 'Execute the cancellation')
        })
      }
      await stands(page, 'cancelled')
    })
  })

  test('behavior: what is published at the Safe Transaction Service is confirmed there with another tool, pulled, and executed; what the service answers is said in one sentence', async () => {
    const { service } = desk
    const before = BigInt((await indexed('feeRatio'))!)
    await person('/proposals/new', steward, async (page) => {
      await signIn(page)
      const path = await drafted(page, 'feeRatio', 'Trading fee', `${Number(before + 100n) / 10_000}`)
      await person(path, owners[0]!, async (owner) => {
        await signIn(owner)
        const [publish, pull] = ['Publish', 'Pull signatures'].map((name) => owner.locator('#sign').getByRole('button', { name, exact: true })) as [Locator, Locator]
        await publish.click()
        await owner.locator('#sign .notice.down').getByText(/without signatures.*one signature of an owner or more/).waitFor()
        await sign(owner)
        await owner.getByText('1 of 2 that the Safe wants').waitFor()
        for (const [status, button] of [[503, publish], [422, pull]] as const) {
          service.failWith = status
          await button.click()
          const said = owner.locator('#sign .notice.down')
          await said.getByText(`Safe Transaction Service: status ${status}: out of order; check SAFE_SERVICE_URL and its key, or pass signatures on by file.`, { exact: true }).waitFor()
          expect(await said.count()).toBe(1)
          service.failWith = null
        }
        expect(service.stored.size).toBe(0)
        await publish.click()
        await owner.getByText('The service holds it with the one signature that is here.').waitFor()
        const [hash, stored] = [...service.stored][0]!
        expect(stored.confirmations.map(({ owner: by }) => by)).toEqual([owners[0]!.address])
        expect(await owner.locator('#hashes').innerText()).toContain(hash.slice(-8))
        await pull.click()
        await owner.getByText('It holds no signature that is not here already.').waitFor()
        const signature = await owners[1]!.sign({ hash })
        const confirmed = await fetch(`${service.url}/v1/multisig-transactions/${hash}/confirmations/`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ signature }) })
        expect(confirmed.status).toBe(201)
        await pull.click()
        await stands(owner, 'ready')
        await owner.getByText('2 of 2 that the Safe wants').waitFor()
        await execute(owner)
        await stands(owner, 'applied')
      })
    })
    expect(await indexed('feeRatio')).toBe((before + 100n).toString())
  })

  test('error: hashes or bytes that the API tells otherwise than this page derives them are named, and signing is not offered', async () => {
    await person('/proposals/new', steward, async (page) => {
      await signIn(page)
      const path = await drafted(page, 'maxTickCrossedWithinBlock', 'Tick cap', (await indexed('maxTickCrossedWithinBlock')) === '800' ? '700' : '800')
      const { proposal } = await queryApi<{ proposal: { safeTxHash: string; deeds: { data: string }[] } }>(desk.url, 'query ($id: ID!) { proposal(id: $id) { safeTxHash deeds { data } } }', { id: path.split('/').at(-1)! })
      const last = proposal.deeds.at(-1)!.data
      // One digit each: of the hash, and of the very value that is set, which is packed in the signed data.
      for (const [honest, told, says] of [
        [proposal.safeTxHash, `${proposal.safeTxHash.slice(0, -1)}${proposal.safeTxHash.endsWith('0') ? '1' : '0'}`, /Found safeTxHash 0x.*this page derives 0x/],
        [last.slice(2), `${last.slice(2, -1)}${last.endsWith('f') ? 'e' : 'f'}`, /Found messageHash 0x.*this page derives 0x/],
      ] as const) {
        await person('/proposals', owners[0]!, async (signer) => {
          await signer.route('**/graphql', async (route) => {
            const answer = await route.fetch()
            await route.fulfill({ response: answer, body: (await answer.text()).replaceAll(honest, told) })
          })
          await signer.goto(`${desk.url}${path}`)
          await connect(signer)
          await signer.getByText(says).first().waitFor()
          await signer.getByText('What the API tells is not what this page derives: signing is not offered.').waitFor()
          expect(await signer.getByRole('button', { name: 'Sign with the wallet' }).isDisabled()).toBe(true)
        })
      }
      // A lie that agrees with itself: another contract for the Safe to delegate-call, with hashes made of it. The wallet's own node finds it.
      await person('/proposals', owners[0]!, async (signer, wallet) => {
        await signer.route('**/graphql', async (route) => {
          const response = await route.fetch()
          const answer = (await response.json()) as { data?: { proposal?: Lied } }
          const told = answer.data?.proposal
          if (told?.safeTx === undefined) return route.fulfill({ response })
          const safeTx = { ...safeTxFromJson(told.safeTx), to: told.safe }
          const lie = { ...told, safeTx: safeTxToJson(safeTx), ...hashesOf({ chainId: told.chainId, safe: told.safe }, safeTx), typedData: { ...told.typedData, message: safeTxToJson(safeTx) } }
          await route.fulfill({ response, json: { ...answer, data: { proposal: lie } } })
        })
        await signer.goto(`${desk.url}${path}`)
        await connect(signer)
        await signer.locator('#sign').getByText(/which the Safe would delegate-call; allowed is Safe’s MultiSendCallOnly alone/).waitFor()
        expect(await signer.getByRole('button', { name: 'Sign with the wallet' }).isDisabled()).toBe(true)
        expect(wallet.asked).not.toContain('eth_signTypedData_v4')
      })
    })
  })

  test('behavior: policy and lint speak beside the field as one types, what cannot be read is said, and nothing typed is lost', async () => {
    // The policy's step is 1 %, from 2.5 %.
    await person('/proposals/new?parameter=liquidationPenaltyRatio', stranger, async (page) => {
      const field = page.getByLabel('Liquidation penalty of protocol')
      await field.fill('4')
      await page.locator('.proposal-row').getByText('policy-step').waitFor()
      expect(await page.getByRole('button', { name: 'Draft it' }).isDisabled()).toBe(true)
      await field.fill('2.60001')
      await page.getByText('Found “2.60001”, allowed is a number from 0 with at most 4 decimals, in %').waitFor()
      await page.reload()
      expect(await field.inputValue()).toBe('2.60001')
      await field.fill('2.6')
      await page.getByText('Policy and lint let this be drafted.').waitFor()
      await page.getByText('Liquidation penalty of the protocol: 2.50 % → 2.60 % (raw 25000 → 26000)').waitFor()
      // A link to the same parameter leaves it; another value from another page takes the typed one's place.
      await page.goto(`${desk.url}/proposals/new?parameter=liquidationPenaltyRatio`)
      expect(await field.inputValue()).toBe('2.6')
      await page.evaluate(() => localStorage.setItem('bulwark.basket', localStorage.getItem('bulwark.basket')!.replaceAll('26000', '27000')))
      await page.reload()
      expect(await field.inputValue()).toBe('2.7')
    })
  })

  test.each([[1440, 'dark'], [390, 'light']] as const)('behavior: with a wallet connected, at %i px, %s, draft and review fit, and axe finds nothing serious', async (width, colorScheme) => {
    const { proposals } = await queryApi<{ proposals: { nodes: { id: string }[] } }>(desk.url, '{ proposals { nodes { id } } }')
    for (const path of ['/proposals/new?parameter=marketMaxPriceSpreadRatio&subject=vETH', `/proposals/${proposals.nodes[0]!.id}`]) {
      await person(path, owners[0]!, async (page) => {
        await connect(page)
        await page.locator('.panel').first().waitFor()
        await page.locator('.loading').first().waitFor({ state: 'detached' })
        expect(await cutOff(page)).toEqual([])
        expect(await axeFindings(page)).toEqual([])
      }, { viewport: { width, height: 900 }, colorScheme })
    }
  })
})
