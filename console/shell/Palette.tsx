/** Finds a page, market, account, parameter or proposal by a few letters. */
import { Autocomplete } from '@base-ui/react/autocomplete'
import { Dialog } from '@base-ui/react/dialog'
import { useMemo, useState } from 'react'
import { useLocation } from 'wouter'
import { useAnswer } from '../data/client.ts'
import { DestinationsDocument } from '../generated/operations.ts'
import { short, words } from '../ui/format.ts'
import { GO, shortcuts } from './shortcuts.ts'
import './palette.css'

type Place = { readonly value: string; readonly label: string; readonly note: string; readonly href: string }
type Group = { readonly value: string; readonly items: readonly Place[] }

const ADDRESS = /^0x[0-9a-f]{40}$/i

export default function Palette({ onClose }: { onClose: () => void }) {
  const { data, error } = useAnswer(DestinationsDocument, {}, 'event')
  const [text, setText] = useState('')
  const [, go] = useLocation()
  const address = text.trim()
  const groups = useMemo<Group[]>(() => {
    const place = (href: string, label: string, note: string): Place => ({ value: `${label} ${note}`, label, note, href })
    return [
      ...(ADDRESS.test(address) ? [{ value: 'Account', items: [place(`/accounts/${address.toLowerCase()}`, address, short(address))] }] : []),
      { value: 'Pages', items: GO.map(([key, href, name]) => place(href, name, `g ${key}`)) },
      { value: 'Markets', items: (data?.markets ?? []).map(({ id, symbol }) => place(`/markets/${symbol}`, symbol, short(id))) },
      { value: 'Parameters', items: (data?.parameters ?? []).map(({ name, title, subject, subjectLabel }) => place(`/parameters/${name}/${subject}`, `${title} of ${subjectLabel}`, name)) },
      { value: 'Proposals', items: [...new Map([...(data?.open.nodes ?? []), ...(data?.proposals.nodes ?? [])].map((one) => [one.id, one])).values()].map(({ id, title, state }) => place(`/proposals/${encodeURIComponent(id)}`, title, `${words(state)} ${id}`)) },
    ].filter(({ items }) => items.length > 0)
  }, [data, address])
  return (
    <Dialog.Root open onOpenChange={(open) => { if (!open) onClose() }}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog palette" aria-label="Find">
          <Autocomplete.Root open inline items={groups} itemToStringValue={(item: Place) => item.value} value={text} onValueChange={setText} autoHighlight="always" keepHighlight>
            <Autocomplete.Input className="palette-input" aria-label="Page, market, parameter, proposal, or an account’s address" placeholder="Page, market, parameter, proposal, or an account’s address" />
            <Dialog.Close className="sr">Close</Dialog.Close>
            <div className="palette-list">
              {error && <p className="empty">Only pages and addresses: {error.message}.</p>}
              <Autocomplete.Empty><div className="empty">Nothing by these letters. Accounts are found by their whole address, 0x and 40 digits.</div></Autocomplete.Empty>
              <Autocomplete.List>
                {(group: Group) => (
                  <Autocomplete.Group key={group.value} items={group.items}>
                    <Autocomplete.GroupLabel className="palette-group">{group.value}</Autocomplete.GroupLabel>
                    <Autocomplete.Collection>
                      {(item: Place) => <Autocomplete.Item key={item.href} value={item} className="palette-item" onClick={() => { onClose(); go(item.href) }}><span>{item.label}</span><small>{item.note}</small></Autocomplete.Item>}
                    </Autocomplete.Collection>
                  </Autocomplete.Group>
                )}
              </Autocomplete.List>
            </div>
          </Autocomplete.Root>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  )
}

/** What each key does, and the switch that turns single keys off. */
export function Keys({ onClose }: { onClose: () => void }) {
  const on = shortcuts.use()
  return (
    <Dialog.Root open onOpenChange={(open) => { if (!open) onClose() }}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog">
          <Dialog.Title>Keys</Dialog.Title>
          <dl className="palette-keys">
            <div><dt><kbd>/</kbd> or <kbd>Ctrl</kbd> <kbd>K</kbd></dt><dd>Find a page, market, account, parameter or proposal</dd></div>
            {GO.map(([key, , name]) => <div key={key}><dt><kbd>g</kbd> <kbd>{key}</kbd></dt><dd>{name}</dd></div>)}
            <div><dt><kbd>?</kbd></dt><dd>This list</dd></div>
          </dl>
          <div className="actions">
            <label className="palette-switch"><input type="checkbox" checked={on} onChange={({ target }) => shortcuts.set(target.checked)} /> Single keys lead somewhere (Ctrl K always does)</label>
            <Dialog.Close className="main">Close</Dialog.Close>
          </div>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  )
}
