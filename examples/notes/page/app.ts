import type { Session } from '@supabase/supabase-js'
import { account, closeAccount } from './account.ts'
import { type Api, connect } from './api.ts'
import { desk } from './desk.ts'
import { button, part } from './dom.ts'
import { closeGate, gate, openGate } from './gate.ts'
import { forgetNotebook } from './offline/kept.ts'
import { inWords } from './words.ts'

const rooms = { opening: part('opening'), gate: part('gate'), desk: part('desk') }

function show(room: keyof typeof rooms) {
  for (const [name, element] of Object.entries(rooms)) element.hidden = name !== room
}

function run(api: Api) {
  let signedIn: string | undefined
  let isOver = false
  // The client forgets the session first; its event then leads to the gate.
  const sessionOver = () => {
    isOver = true
    void api.auth.signOut({ scope: 'local' })
  }
  const room = desk(api, sessionOver)
  gate(api)
  account(api)
  for (const id of ['sign-out', 'everywhere'])
    button(id).addEventListener('click', () => {
      wished = true
    })
  let wished = false

  const turn = (session: Session | null) => {
    if (session?.user.id === signedIn && signedIn !== undefined) return
    const before = signedIn
    signedIn = session?.user.id
    if (session) {
      closeGate()
      show('desk')
      void room.open(session.user.id, session.user.email ?? '')
      return
    }
    const ended = before !== undefined && (isOver || !wished)
    // The offline notebook is the same person's: it goes with them.
    if (wished && !isOver) void forgetNotebook()
    room.close(ended)
    closeAccount()
    show('gate')
    openGate(ended ? 'Your session has ended. Sign in again.' : '')
    isOver = wished = false
  }
  // Not awaited inside: the client holds its lock while it tells.
  api.auth.onAuthStateChange((_event, session) => void setTimeout(turn, 0, session))
}

async function start() {
  button('opening-again').hidden = true
  part('opening-words').textContent = 'Opening your notebook…'
  try {
    run(await connect())
  } catch (error) {
    part('opening-words').textContent = inWords(error)
    button('opening-again').hidden = false
  }
}

const banner = part('offline')
const tellOffline = () => {
  banner.hidden = navigator.onLine
}
addEventListener('online', tellOffline)
addEventListener('offline', tellOffline)
tellOffline()
button('opening-again').addEventListener('click', start)
void start()
