import type { Api } from './api.ts'
import { busy, button, byId, complain, input, part } from './dom.ts'
import { canUsePasskeys, offerPasskeys, signInWithPasskey, stopOffering } from './passkey-entry.ts'
import { inWords } from './words.ts'

const form = byId('entry', HTMLFormElement)
const [email, password] = [input('email'), input('password')]
const [problem, hint] = [part('entry-problem'), part('password-hint')]
const [go, other, byPasskey] = [button('entry-go'), button('entry-switch'), button('entry-passkey')]

let isNew = false

function show(signUp: boolean) {
  isNew = signUp
  part('entry-title').textContent = signUp ? 'Create an account' : 'Sign in'
  go.textContent = signUp ? 'Create account' : 'Sign in'
  part('entry-other').textContent = signUp ? 'Here before?' : 'New here?'
  other.textContent = signUp ? 'Sign in' : 'Create an account'
  password.autocomplete = signUp ? 'new-password' : 'current-password'
  hint.hidden = !signUp
  byPasskey.hidden = signUp || !canUsePasskeys
  complain(problem, '')
}

let offer = () => {}

/** Sign-in and sign-up: one form, two faces. Who gets in is told by the client's own events. */
export function gate(api: Api) {
  offer = () => void offerPasskeys(api, (error) => complain(problem, inWords(error)))
  byPasskey.addEventListener('click', async () => {
    if (byPasskey.disabled) return
    complain(problem, '')
    const { error } = await busy(byPasskey, 'Waiting for your device…', () =>
      signInWithPasskey(api),
    )
    if (!error) return
    complain(problem, inWords(error))
    offer()
  })
  other.addEventListener('click', () => {
    show(!isNew)
    ;(email.value ? password : email).focus()
  })
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    if (go.disabled) return
    complain(problem, '')
    // Checked by the browser's own rule for addresses.
    if (!email.value || !email.validity.valid)
      return complain(problem, 'Enter your e-mail address, such as ada@example.org.', email)
    if (!password.value) return complain(problem, 'Enter your password.', password)
    if (isNew && [...password.value].length < 8)
      return complain(
        problem,
        'This password is too short: it needs at least 8 characters.',
        password,
      )

    const entered = { email: email.value, password: password.value }
    const { error } = await busy(go, isNew ? 'Creating…' : 'Signing in…', () =>
      isNew ? api.auth.signUp(entered) : api.auth.signInWithPassword(entered),
    )
    if (!error) return
    const aboutEmail = /email|user_already/.test(error.code ?? '')
    complain(problem, inWords(error), aboutEmail ? email : password)
  })
}

/** @param words Why one is here, if it was not one's own wish. */
export function openGate(words = '') {
  show(false)
  password.value = ''
  complain(problem, words)
  ;(email.value ? password : email).focus()
  offer()
}

/** No password stays in a page that is left open, nor an offer to come in as someone else. */
export function closeGate() {
  password.value = ''
  stopOffering()
}
