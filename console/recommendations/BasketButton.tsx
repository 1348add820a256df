import { useState } from 'react'
import { Link } from 'wouter'
import { inBasket, putInBasket, takeFromBasket, useBasket } from '../data/basket.ts'
import type { BasketItem } from '../data/basket.ts'

/** Puts a change into the basket, says that it is there, and takes it out again: what stood there before comes back. */
export function BasketButton({ item }: { item: BasketItem }) {
  const items = useBasket()
  const [replaced, setReplaced] = useState<BasketItem>()
  const there = inBasket(items, item)
  const what = `${item.subjectLabel} ${item.title} ${item.fromDisplay} → ${item.toDisplay}`
  const isIn = there?.toRaw === item.toRaw
  const put = () => {
    setReplaced(there)
    putInBasket(item)
  }
  const undo = () => {
    if (replaced) putInBasket(replaced)
    else takeFromBasket(item)
    setReplaced(undefined)
  }
  // One button for both, so that the focus stays where it is.
  return (
    <span className="basket-state">
      {isIn && <Link href="/proposals/new">✓ In the basket</Link>}
      <button type="button" className={isIn ? 'quiet' : undefined} onClick={isIn ? undo : put} title={there && !isIn ? `The basket has ${there.toDisplay} for it; this stands in its place` : undefined} aria-label={isIn ? `Undo: ${replaced ? `put ${replaced.toDisplay} back` : 'take it out of the basket'}, ${what}` : `${there ? `Replace ${there.toDisplay} in the basket` : 'Add to proposal'}: ${what}`}>
        {isIn ? 'Undo' : there ? `Replace ${there.toDisplay}` : 'Add to proposal'}
      </button>
    </span>
  )
}
