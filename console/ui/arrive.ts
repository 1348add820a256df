/** Deep links to a part of a page whose figures come later than the browser's own jump. */

const GIVE_UP_MS = 5000
const OWN_MOVES = ['wheel', 'touchstart', 'pointerdown', 'keydown'] as const

/** Brings the part that the address names into view, and again while the page above it fills, until its reader moves. */
export function arrive(part: HTMLElement): () => void {
  if (part.id === '' || decodeURIComponent(location.hash.slice(1)) !== part.id) return () => {}
  const bring = () => part.scrollIntoView({ block: 'start' })
  const observer = new ResizeObserver(bring)
  const stop = () => {
    observer.disconnect()
    clearTimeout(timer)
    for (const move of OWN_MOVES) removeEventListener(move, stop)
  }
  const timer = setTimeout(stop, GIVE_UP_MS)
  for (const move of OWN_MOVES) addEventListener(move, stop, { passive: true })
  observer.observe(document.body)
  bring()
  return stop
}
