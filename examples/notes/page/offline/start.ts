import type { Session } from '@supabase/supabase-js'
import { type Api, connect } from '../api.ts'
import { busy, button, byId, part, say } from '../dom.ts'
import { closeGate, gate, openGate } from '../gate.ts'
import { inWords } from '../words.ts'
import { desk } from './desk.ts'
import { forgetNotebook, keepOwner, keptOwner, type Owner } from './kept.ts'
import { type Replicating, replication, type State } from './replication.ts'
import { onDeed, showState } from './state.ts'

const rooms = { opening: part('opening'), gate: part('gate'), desk: part('desk') }
const room = desk()
let replicating: Replicating | undefined
let state: State | undefined
let api: Api | undefined
let isWished = false

function show(name: keyof typeof rooms) {
  for (const [one, element] of Object.entries(rooms)) element.hidden = one !== name
}

function tell(now: State | undefined) {
  state = now
  showState(now)
}

async function token(): Promise<string | undefined> {
  const session = await api?.auth.getSession()
  return session?.data.session?.access_token
}

/** Shows the notebook of this device. Nobody has to be asked for it. */
function enter(owner: Owner) {
  closeGate()
  const { db } = room.open(owner)
  replicating = replication(db, { token, tell })
  tell(navigator.onLine ? 'working' : 'offline')
  show('desk')
}

async function leave() {
  replicating?.stop()
  replicating = undefined
  tell(undefined)
  await room.close()
}

async function signedIn({ user }: Session) {
  if (room.owner()?.id !== user.id) {
    await leave()
    // Of whoever was here before nothing stays.
    if (keptOwner()?.id !== user.id) await forgetNotebook()
    const owner = { id: user.id, email: user.email ?? '' }
    keepOwner(owner)
    enter(owner)
  }
  // It also tells of a token that was renewed: what runs takes that by itself.
  if (!replicating?.isRunning()) replicating?.start()
}

async function signedOut() {
  const wished = isWished
  isWished = false
  await leave()
  if (wished) await forgetNotebook()
  show('gate')
  openGate(
    !wished && keptOwner()
      ? 'Your session has ended. Sign in again: what you wrote is kept on this device.'
      : '',
  )
}

/** An access token that ended while there was no network is no reason to close the notebook. */
async function isWaiting(): Promise<boolean> {
  if (!keptOwner()) return false
  const session = await api?.auth.getSession()
  return Boolean(session?.error)
}

function run(made: Api) {
  api = made
  gate(made)
  let work = Promise.resolve()
  const turn = async (event: string, session: Session | null) => {
    if (session) return signedIn(session)
    if (event === 'INITIAL_SESSION' && (await isWaiting())) return
    return signedOut()
  }
  // Not awaited inside: the client holds its lock while it tells.
  made.auth.onAuthStateChange((event, session) => {
    setTimeout(() => {
      work = work.then(() => turn(event, session)).catch((error) => say(inWords(error)))
    })
  })
}

async function signOut() {
  if (!api) return
  isWished = true
  const { error } = await busy(button('sign-out'), 'Signing out…', () =>
    (api as Api).auth.signOut({ scope: 'local' }),
  )
  if (!error) return
  isWished = false
  say(inWords(error))
}

const sure = byId('leaving', HTMLDialogElement)
button('sign-out').addEventListener('click', () => {
  if (state === 'done') void signOut()
  else sure.showModal()
})
button('leaving-no').addEventListener('click', () => sure.close())
button('leaving-yes').addEventListener('click', () => {
  sure.close()
  void signOut()
})

onDeed(async () => {
  if (state === 'signed-out') {
    // Here alone; the notebook stays.
    const { error } = (await api?.auth.signOut({ scope: 'local' })) ?? {}
    if (error) await signedOut()
    return
  }
  const owner = room.owner()
  if (state === 'outdated' && owner) {
    await leave()
    await forgetNotebook()
    keepOwner(owner)
    enter(owner)
  }
  replicating?.start()
})

addEventListener('online', () => replicating?.start())
addEventListener('offline', () => replicating && tell('offline'))

async function start() {
  button('opening-again').hidden = true
  part('opening-words').textContent = 'Opening your notebook…'
  const owner = keptOwner()
  if (owner && !room.owner()) enter(owner)
  try {
    run(await connect())
  } catch (error) {
    part('opening-words').textContent = inWords(error)
    button('opening-again').hidden = false
  }
}

button('opening-again').addEventListener('click', () => void start())
// Keeps the page itself, so that it opens without the network.
void navigator.serviceWorker?.register('/offline-worker.js', { scope: '/offline' })
void start()
