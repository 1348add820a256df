/** What went wrong at a wallet, in one sentence of ours, and whether anything can have come of it all the same. Pure. */
export class WalletError extends Error {}

/** What viem, wagmi and wallets themselves tell of an error; each has a base of its own. */
type Told = { readonly name?: unknown; readonly code?: unknown; readonly shortMessage?: unknown; readonly details?: unknown; readonly cause?: unknown }

const isRefused = ({ code }: Told): boolean => code === 4001 || code === 5000

/** Found by wagmi or viem before the wallet is asked. */
const ACCOUNT = new Set(['ConnectorAccountNotFoundError', 'AccountNotFoundError', 'ConnectorNotConnectedError'])
const CHAIN = new Set(['ConnectorChainMismatchError', 'ChainMismatchError'])

function causesOf(error: unknown): readonly Told[] {
  const found: Told[] = []
  for (let each = error; typeof each === 'object' && each !== null && found.length < 10; each = (each as Told).cause) found.push(each)
  return found
}

/** Whether nothing can have come of it: it was refused, or found before the wallet was asked. Whatever else errs may have been done. */
export const isUndone = (error: unknown): boolean => error instanceof WalletError || causesOf(error).some((each) => isRefused(each) || ACCOUNT.has(String(each.name)) || CHAIN.has(String(each.name)))

const LONGEST = 200

/** A refusal or fault, with what stays as it was. */
export function walletWords(error: unknown, stays = 'Nothing was sent'): string {
  const causes = causesOf(error)
  const { shortMessage, details } = causes[0] ?? {}
  if (typeof shortMessage !== 'string' && !causes.some((each) => isRefused(each) || each.code === -32002)) return error instanceof Error ? error.message : String(error)
  const short = String(shortMessage).trim().replace(/\.$/, '')
  const why = typeof details === 'string' ? details.trim().split('\n')[0]!.slice(0, LONGEST).replace(/\.$/, '') : ''
  const names = causes.map(({ name }) => String(name))
  if (causes.some(isRefused)) return `The request was refused in the wallet. ${stays}; ask it again when you are ready`
  if (names.some((name) => ACCOUNT.has(name)) || causes.some(({ code }) => code === 4100)) return `The wallet is at another account than this page shows, or lets this page use none: choose the account in the wallet, then ask again. ${stays}`
  if (names.some((name) => CHAIN.has(name)) || /must match the active chain/i.test(why)) return `The wallet is on another network than this page serves: switch it, then ask again. ${stays}`
  if (causes.some(({ code }) => code === -32002)) return `Another request is open in the wallet: answer it there, then ask again. ${stays}`
  if (/conditions? of use not satisfied|0x6985/i.test(why)) return `The device refused it, or was not unlocked: ${why}. ${stays}`
  return `The wallet says: ${short}${why === '' || why === short ? '' : `: ${why}`}. ${stays}`
}
