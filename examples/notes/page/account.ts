import type { Api } from './api.ts'
import { busy, button, byId, complain, input, part, say } from './dom.ts'
import { clearPasskeys, passkeys } from './passkeys.ts'
import { inWords } from './words.ts'

const dialog = byId('account', HTMLDialogElement)
const form = byId('change', HTMLFormElement)
const fresh = input('fresh')
const [go, problem] = [button('change-go'), part('change-problem')]

export function account(api: Api) {
  const keys = passkeys(api)
  button('account-open').addEventListener('click', () => {
    form.reset()
    complain(problem, '')
    clearPasskeys()
    void keys.show()
    input('change-user').value = part('who').textContent ?? ''
    part('account-who').textContent = part('who').textContent
    dialog.showModal()
  })
  button('account-close').addEventListener('click', () => dialog.close())

  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    if (go.disabled) return
    complain(problem, '')
    if ([...fresh.value].length < 8)
      return complain(problem, 'The new password needs at least 8 characters.', fresh)
    const { error } = await busy(go, 'Changing…', () =>
      api.auth.updateUser({ password: fresh.value }),
    )
    if (error) return complain(problem, inWords(error), fresh)
    dialog.close()
    say('Password changed.')
  })

  button('everywhere').addEventListener('click', async () => {
    const { error } = await busy(button('everywhere'), 'Signing out…', () =>
      api.auth.signOut({ scope: 'global' }),
    )
    if (error) complain(problem, inWords(error))
  })
  button('sign-out').addEventListener('click', async () => {
    const { error } = await busy(button('sign-out'), 'Signing out…', () =>
      api.auth.signOut({ scope: 'local' }),
    )
    if (error) say(inWords(error))
  })
}

export const closeAccount = () => {
  form.reset()
  clearPasskeys()
  dialog.close()
}
