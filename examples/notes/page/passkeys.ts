import type { Api } from './api.ts'
import { busy, button, complain, part } from './dom.ts'
import { canUsePasskeys } from './passkey-entry.ts'
import { inWords } from './words.ts'

const [list, words, problem] = [part('passkeys'), part('passkeys-words'), part('passkeys-problem')]
const add = button('passkey-add')

interface Passkey {
  id: string
  friendly_name?: string
  created_at: string
  last_used_at?: string
}

const day = (time: string) => new Date(time).toLocaleDateString('en', { dateStyle: 'long' })

/** The passkeys of whoever is signed in: to add, name and delete. */
export function passkeys(api: Api) {
  /** One thing at a time: what was done before is told no more. */
  function wrong(error: unknown) {
    words.textContent = ''
    complain(problem, inWords(error))
  }

  /** @param told What has just been done. Said in the dialog, outside of which nobody hears it. */
  async function show(told = '') {
    const { data, error } = await api.auth.passkey.list()
    if (error) return wrong(error)
    list.replaceChildren(...data.map(entry))
    words.textContent = told || emptyWords(data.length)
  }

  function entry({ id, friendly_name = '', created_at, last_used_at }: Passkey) {
    const item = document.createElement('li')
    const name = document.createElement('input')
    name.value = friendly_name
    name.placeholder = 'Passkey without a name'
    name.maxLength = 120
    name.autocomplete = 'off'
    name.setAttribute('aria-label', 'Name of this passkey')
    name.addEventListener('change', async () => {
      complain(problem, '')
      const friendlyName = name.value.trim()
      // It has to have one from then on.
      if (!friendlyName) return void (name.value = friendly_name)
      const { error } = await api.auth.passkey.update({ passkeyId: id, friendlyName })
      if (error) return wrong(error)
      words.textContent = 'Renamed.'
    })
    const facts = document.createElement('p')
    facts.className = 'aside'
    facts.textContent = `Added ${day(created_at)}. ${last_used_at ? `Last used ${day(last_used_at)}.` : 'Not used yet.'}`
    const remove = document.createElement('button')
    remove.type = 'button'
    remove.className = 'button quiet'
    remove.textContent = 'Delete'
    remove.addEventListener('blur', () => {
      if (!remove.disabled) remove.textContent = 'Delete'
    })
    remove.addEventListener('click', async () => {
      // Asked once more: with the last one goes the way in that needs no password.
      if (remove.textContent === 'Delete') return void (remove.textContent = 'Delete for good')
      complain(problem, '')
      const { error } = await busy(remove, 'Deleting…', () =>
        api.auth.passkey.delete({ passkeyId: id }),
      )
      if (error) return wrong(error)
      await show('Passkey deleted.')
      add.focus()
    })
    for (const child of [name, remove, facts]) item.appendChild(child)
    return item
  }

  add.addEventListener('click', async () => {
    if (add.disabled) return
    complain(problem, '')
    const { error } = await busy(add, 'Waiting for your device…', () => api.auth.registerPasskey())
    if (error) return wrong(error)
    await show('Passkey added.')
  })

  return { show }
}

function emptyWords(count: number): string {
  if (!canUsePasskeys) return 'This browser has no passkeys.'
  return count > 0
    ? ''
    : 'With a passkey you sign in by your finger, face or PIN, and need no password.'
}

/** Nothing of one user is left in the page for the next. */
export function clearPasskeys() {
  list.replaceChildren()
  words.textContent = ''
  complain(problem, '')
  add.hidden = !canUsePasskeys
}
