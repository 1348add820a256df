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
  if (there?.toRaw === item.toRaw) {
    const undo = () => {
      if (replaced) putInBasket(replaced)
      else takeFromBasket(item)
      setReplaced(undefined)
    }
    return (
      <span className="basket-state">
        <Link href="/proposals/new">✓ In the basket</Link>
        <button type="button" className="quiet" onClick={undo} aria-label={`Undo: ${replaced ? `put ${replaced.toDisplay} back` : 'take it out of the basket'}, ${what}`}>Undo</button>
      </span>
    )
  }
  const put = () => {
    setReplaced(there)
    putInBasket(item)
  }
  return <button type="button" onClick={put} title={there ? `The basket has ${there.toDisplay} for it; this stands in its place` : undefined} aria-label={`${there ? `Replace ${there.toDisplay} in the basket` : 'Add to proposal'}: ${what}`}>{there ? `Replace ${there.toDisplay}` : 'Add to proposal'}</button>
}
