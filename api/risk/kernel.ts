/**
 * The innermost loop of a stress run as WebAssembly text: two scenarios in each SIMD register, eight at a time, four times for a tile.
 *
 * Text, not bytes: whoever runs it assembles it. It does what `runTask` of engine.ts does with `standingAt` of book.ts, in the same order of
 * operations, so that both give the same bits. WebAssembly has no fused multiply-add that could make a difference.
 */
import { FIGURES, LANES, MOST_PAGES } from './book.ts'

/** Registers side by side, and their bytes. */
const WIDE = 4
const STEP = WIDE * 16
const TILE = LANES * 8

const wide = (line: (i: number) => string): string => Array.from({ length: WIDE }, (_, i) => line(i)).join('\n')
const load = (i: number, pointer: string, offset = 0): string => `(v128.load offset=${offset + 16 * i} ${pointer})`
/** Adds to a figure of the task, lane by lane. */
const sum = (figure: (typeof FIGURES)[number], i: number, x: string): string => {
  const offset = FIGURES.indexOf(figure) * TILE
  return `(v128.store offset=${offset + 16 * i} (local.get $o) (f64x2.add ${load(i, '(local.get $o)', offset)} ${x}))`
}
const get = (name: string, i: number): string => `(local.get $${name}${i})`
const set = (name: string, i: number, x: string): string => `(local.set $${name}${i} ${x})`
const figure = (name: (typeof FIGURES)[number]): number => FIGURES.indexOf(name) * TILE

/** First arguments of `stress`, in order: addresses of the book's arrays, of a tile's factors, impacts and results, and the accounts [from, to). */
export const KERNEL_ADDRESSES = ['cash', 'margin', 'partial', 'start', 'middle', 'end', 'amount', 'row', 'cap', 'f', 'h', 'out', 'taken', 'from', 'to'] as const
/** Its last arguments: rules of the book. */
const KERNEL_RULES = ['fullBelow', 'penalty'] as const

/** The module: imports `env.memory`, exports `stress`. */
export const KERNEL_TEXT = `(module
(import "env" "memory" (memory 1 ${MOST_PAGES} shared))
(func (export "stress")
  ${[...KERNEL_ADDRESSES.map((name) => `(param $${name} i32)`), ...KERNEL_RULES.map((name) => `(param $${name} f64)`)].join(' ')}
  (local $g i32) (local $pf i32) (local $pa i32) (local $pr i32) (local $pm i32) (local $pz i32) (local $fg i32) (local $hg i32) (local $o i32) (local $t i32)
  (local $v v128) (local $w v128) (local $x v128) (local $mm v128) (local $any v128) (local $zero v128) (local $one v128) (local $half v128) (local $fb v128) (local $least v128)
  ${['value', 'left', 'gross', 'need', 'due', 'cost', 'share', 'loss'].map((name) => wide((i) => `(local $${name}${i} v128)`)).join(' ')}
  (local.set $one (f64x2.splat (f64.const 1)))
  (local.set $fb (f64x2.splat (local.get $fullBelow)))
  (local.set $least (f64x2.splat (local.get $penalty)))
  (block $done (loop $accounts
    (br_if $done (i32.ge_u (local.get $from) (local.get $to)))
    (local.set $mm (v128.load64_splat (i32.add (local.get $margin) (i32.shl (local.get $from) (i32.const 3)))))
    (local.set $g (i32.const 0))
    (loop $groups
      (local.set $fg (i32.add (local.get $f) (local.get $g)))
      (local.set $o (i32.add (local.get $out) (local.get $g)))
      (local.set $v (v128.load64_splat (i32.add (local.get $cash) (i32.shl (local.get $from) (i32.const 3)))))
      ${wide((i) => set('value', i, '(local.get $v)'))}
      ${wide((i) => set('gross', i, '(local.get $zero)'))}
      (local.set $t (i32.load (i32.add (local.get $start) (i32.shl (local.get $from) (i32.const 2)))))
      (local.set $pa (i32.add (local.get $amount) (i32.shl (local.get $t) (i32.const 3))))
      (local.set $pr (i32.add (local.get $row) (i32.shl (local.get $t) (i32.const 2))))
      (local.set $pm (i32.add (local.get $amount) (i32.shl (i32.load (i32.add (local.get $middle) (i32.shl (local.get $from) (i32.const 2)))) (i32.const 3))))
      (local.set $pz (i32.add (local.get $amount) (i32.shl (i32.load (i32.add (local.get $end) (i32.shl (local.get $from) (i32.const 2)))) (i32.const 3))))
      (block $held (loop $positions
        (br_if $held (i32.ge_u (local.get $pa) (local.get $pm)))
        (local.set $v (v128.load64_splat (local.get $pa)))
        (local.set $pf (i32.add (local.get $fg) (i32.load (local.get $pr))))
        ${wide((i) => `(local.set $x (f64x2.mul (local.get $v) ${load(i, '(local.get $pf)')}))
        ${set('value', i, `(f64x2.add ${get('value', i)} (local.get $x))`)}
        ${set('gross', i, `(f64x2.add ${get('gross', i)} (f64x2.abs (local.get $x)))`)}`)}
        (local.set $pa (i32.add (local.get $pa) (i32.const 8)))
        (local.set $pr (i32.add (local.get $pr) (i32.const 4)))
        (br $positions)))
      ${wide((i) => set('left', i, get('value', i)))}
      (block $backed (loop $collateral
        (br_if $backed (i32.ge_u (local.get $pa) (local.get $pz)))
        (local.set $v (v128.load64_splat (local.get $pa)))
        (local.set $w (v128.load64_splat offset=8 (local.get $pa)))
        (local.set $pf (i32.add (local.get $fg) (i32.load (local.get $pr))))
        ${wide((i) => `(local.set $x ${load(i, '(local.get $pf)')})
        ${set('value', i, `(f64x2.add ${get('value', i)} (f64x2.mul (local.get $v) (local.get $x)))`)}
        ${set('left', i, `(f64x2.add ${get('left', i)} (f64x2.mul (local.get $w) (local.get $x)))`)}`)}
        (local.set $pa (i32.add (local.get $pa) (i32.const 16)))
        (local.set $pr (i32.add (local.get $pr) (i32.const 8)))
        (br $collateral)))
      ${wide((i) => `${set('need', i, `(f64x2.mul (local.get $mm) ${get('gross', i)})`)}
      ${sum('value', i, get('value', i))}
      ${sum('requirement', i, get('need', i))}
      ${set('due', i, `(f64x2.lt ${get('value', i)} ${get('need', i)})`)}`)}
      ;; What is due, or owes more than can be recovered of it: what follows is for few. The sign bit alone is looked at.
      (local.set $x (v128.or (v128.or ${get('left', 0)} ${get('left', 1)}) (v128.or ${get('left', 2)} ${get('left', 3)})))
      (local.set $any (v128.or (v128.or ${get('due', 0)} ${get('due', 1)}) (v128.or ${get('due', 2)} ${get('due', 3)})))
      (if (i32.or (v128.any_true (local.get $any)) (i64x2.bitmask (local.get $x))) (then
        (local.set $half (v128.load64_splat (i32.add (local.get $partial) (i32.shl (local.get $from) (i32.const 3)))))
        (local.set $hg (i32.add (local.get $h) (local.get $g)))
        ${wide((i) => `${set('due', i, `(v128.and ${get('due', i)} (f64x2.gt ${get('gross', i)} (local.get $zero)))`)}
        ${set('share', i, `(v128.and ${get('due', i)} (v128.bitselect (local.get $one) (local.get $half) (f64x2.lt ${get('value', i)} (f64x2.mul (local.get $fb) ${get('need', i)}))))`)}
        ${set('cost', i, '(local.get $zero)')}`)}
        (local.set $pa (i32.add (local.get $amount) (i32.shl (local.get $t) (i32.const 3))))
        (local.set $pr (i32.add (local.get $row) (i32.shl (local.get $t) (i32.const 2))))
        (block $closed (loop $costs
          (br_if $closed (i32.ge_u (local.get $pa) (local.get $pm)))
          (local.set $v (f64x2.abs (v128.load64_splat (local.get $pa))))
          (local.set $w (f64x2.sqrt (local.get $v)))
          (local.set $t (i32.load (local.get $pr)))
          (local.set $x (v128.load64_splat (i32.add (local.get $cap) (i32.shr_u (local.get $t) (i32.const ${Math.log2(TILE) - 3})))))
          (local.set $pf (i32.add (local.get $fg) (local.get $t)))
          ${wide((i) => set('cost', i, `(f64x2.add ${get('cost', i)} (f64x2.mul (f64x2.mul (local.get $v) ${load(i, '(local.get $pf)')}) (f64x2.pmax (local.get $least) (f64x2.pmin (local.get $x) (f64x2.mul (local.get $w) ${load(i, '(i32.add (local.get $hg) (local.get $t))')})))))`))}
          (local.set $pf (i32.add (i32.add (local.get $taken) (local.get $g)) (local.get $t)))
          ${wide((i) => `(v128.store offset=${16 * i} (local.get $pf) (f64x2.add ${load(i, '(local.get $pf)')} (f64x2.mul ${get('share', i)} (local.get $v))))`)}
          (local.set $pa (i32.add (local.get $pa) (i32.const 8)))
          (local.set $pr (i32.add (local.get $pr) (i32.const 4)))
          (br $costs)))
        ${wide((i) => `${set('loss', i, `(f64x2.pmax (local.get $zero) (f64x2.sub (v128.and ${get('cost', i)} ${get('due', i)}) ${get('left', i)}))`)}
        ${sum('liquidatable', i, `(v128.and (local.get $one) ${get('due', i)})`)}
        ${sum('liquidatableNotional', i, `(v128.and ${get('gross', i)} ${get('due', i)})`)}
        ${sum('shortfall', i, get('loss', i))}
        ${sum('accountsInLoss', i, `(v128.and (local.get $one) (f64x2.gt ${get('loss', i)} (local.get $zero)))`)}
        (local.set $v ${load(i, '(local.get $o)', figure('cover1'))})
        (v128.store offset=${figure('second') + 16 * i} (local.get $o) (f64x2.pmax ${load(i, '(local.get $o)', figure('second'))} (f64x2.pmin (local.get $v) ${get('loss', i)})))
        (v128.store offset=${figure('cover1') + 16 * i} (local.get $o) (f64x2.pmax (local.get $v) ${get('loss', i)}))`)}))
      (br_if $groups (i32.lt_u (local.tee $g (i32.add (local.get $g) (i32.const ${STEP}))) (i32.const ${TILE}))))
    (local.set $from (i32.add (local.get $from) (i32.const 1)))
    (br $accounts)))))
`
