/** Asks plainly, once, before something that cannot be taken back. */
import { AlertDialog } from '@base-ui/react/alert-dialog'
import type { ReactNode } from 'react'
import { Notice } from '../ui/parts.tsx'

export type Question = { readonly title: string; readonly text: ReactNode; readonly yes: string; readonly danger?: boolean; readonly act: () => void }

/** `hindrance`: why it may not be done any more, found while the dialog was open. */
export function Confirm({ of, close, hindrance = null }: { of: Question | null; close: () => void; hindrance?: string | null }) {
  return (
    <AlertDialog.Root open={of !== null} onOpenChange={(open) => { if (!open) close() }}>
      <AlertDialog.Portal>
        <AlertDialog.Backdrop className="backdrop" />
        <AlertDialog.Popup className="dialog">
          {of && (
            <>
              <AlertDialog.Title>{of.title}</AlertDialog.Title>
              <AlertDialog.Description render={<div />}>{of.text}</AlertDialog.Description>
              <div role="status">{hindrance !== null && <Notice kind="down" title={hindrance} />}</div>
              <div className="actions">
                <AlertDialog.Close>Go back</AlertDialog.Close>
                <button type="button" className={of.danger ? 'danger' : 'main'} disabled={hindrance !== null} onClick={() => { close(); of.act() }}>{of.yes}</button>
              </div>
            </>
          )}
        </AlertDialog.Popup>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  )
}
