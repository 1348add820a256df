/** Changes gathered for the next proposal, in this browser until they are drafted. */
import { stored } from './stored.ts'

export type BasketItem = {
  /** The stored recommendation that it takes over; null for a change made by hand. */
  readonly recommendationId: string | null
  readonly parameter: string
  /** Address of the market, collateral, account or protocol. */
  readonly subject: string
  readonly subjectLabel: string
  readonly title: string
  /** Raw units of the contract, decimal text. */
  readonly fromRaw: string
  readonly fromDisplay: string
  readonly toRaw: string
  readonly toDisplay: string
  /** Id of the playbook that it comes from: some values may be set by one alone. */
  readonly playbook?: string
}

/** All that a contract's word of 256 bits holds: the API takes no more. */
const isRaw = (raw: unknown): boolean => typeof raw === 'string' && /^\d{1,78}$/.test(raw) && BigInt(raw) < 2n ** 256n
const TEXTS = ['parameter', 'subject', 'subjectLabel', 'title', 'fromDisplay', 'toDisplay'] as const
/** What this browser kept may be of another version, or of anybody who could write there. */
function isItem(value: unknown): value is BasketItem {
  if (typeof value !== 'object' || value === null) return false
  const { recommendationId, playbook, fromRaw, toRaw, ...texts } = value as Record<string, unknown>
  return TEXTS.every((name) => typeof texts[name] === 'string')
    && [fromRaw, toRaw].every(isRaw)
    && (recommendationId === null || typeof recommendationId === 'string')
    && (playbook === undefined || typeof playbook === 'string')
}
const isBasket = (value: unknown): value is readonly BasketItem[] => Array.isArray(value) && value.every(isItem)

const basket = stored<readonly BasketItem[]>('bulwark.basket', [], isBasket, (value) => (Array.isArray(value) ? value.filter(isItem) : value))

const same = (a: Pick<BasketItem, 'parameter' | 'subject'>, b: Pick<BasketItem, 'parameter' | 'subject'>) => a.parameter === b.parameter && a.subject === b.subject

export const useBasket = (): readonly BasketItem[] => basket.use()
export const inBasket = (items: readonly BasketItem[], of: Pick<BasketItem, 'parameter' | 'subject'>): BasketItem | undefined => items.find((one) => same(one, of))

/** One parameter of one subject is in it once: the later wish stands in the earlier one's place. */
export function putInBasket(item: BasketItem): void {
  const items = basket.get()
  basket.set(items.some((one) => same(one, item)) ? items.map((one) => (same(one, item) ? item : one)) : [...items, item])
}
export const takeFromBasket = (...items: readonly Pick<BasketItem, 'parameter' | 'subject'>[]): void => basket.set(basket.get().filter((one) => !items.some((item) => same(one, item))))
/** What was drafted of it is out; what another tab has put there meanwhile, or given another value, stays. */
export const takeDrafted = (items: readonly BasketItem[]): void => takeFromBasket(...items.filter((item) => inBasket(basket.get(), item)?.toRaw === item.toRaw))
/** Puts back what was taken out; what stands there by now stays. */
export const putBack = (items: readonly BasketItem[]): void => basket.set([...basket.get(), ...items.filter((item) => inBasket(basket.get(), item) === undefined)])
