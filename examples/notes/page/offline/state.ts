import { button, part } from '../dom.ts'
import type { State } from './replication.ts'

const [mark, notice, again] = [part('state'), part('notice'), button('notice-again')]

/** A word in the bar; what asks for a deed has a line of its own, with its button: `Try now`, unless it says another. */
const shown: Record<State, { mark: string; notice?: string; deed?: string }> = {
  working: { mark: 'Syncing…' },
  done: { mark: 'Up to date' },
  offline: { mark: 'Offline, kept here' },
  unreachable: {
    mark: 'Kept here',
    notice:
      'The server does not answer. What you write is kept on this device, and sent when it does.',
  },
  'signed-out': {
    mark: 'Kept here',
    notice:
      'The server wants to know again who you are. What you write is kept on this device until then.',
    deed: 'Sign in',
  },
  outdated: {
    mark: 'Kept here',
    notice:
      'This device was away for so long that its notebook has to be fetched anew. What was written here and never sent is lost by it.',
    deed: 'Fetch anew',
  },
  full: {
    mark: 'Kept here',
    notice:
      'Your notebook on the server is full. Delete notes or pictures; what is here is kept here.',
  },
  refused: {
    mark: 'Kept here',
    notice: 'The server does not take one of your notes. It is kept on this device.',
  },
}

export function showState(state: State | undefined) {
  const { mark: words = '', notice: line = '', deed = 'Try now' } = state ? shown[state] : {}
  mark.textContent = words
  mark.dataset.state = state ?? ''
  part('notice-words').textContent = line
  notice.hidden = line === ''
  again.textContent = deed
}

export const onDeed = (run: () => void) => again.addEventListener('click', run)
