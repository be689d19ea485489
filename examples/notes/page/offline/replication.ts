import PouchDB, { type Failure, type Sync } from 'pouchdb-browser'
import type { Note } from './notebook.ts'

/** How far this device and the server are one. */
export type State =
  /** Something goes up or down. */
  | 'working'
  /** All is there, on both sides. */
  | 'done'
  /** There is no network. */
  | 'offline'
  /** There is one, and the server does not answer; it is asked again. */
  | 'unreachable'
  /** The server wants to know again who this is. */
  | 'signed-out'
  /** The server forgot deletions that this device was never told of. */
  | 'outdated'
  /** What is here is more than the server takes. */
  | 'full'
  /** The server said no, of some note. */
  | 'refused'

export interface Replicating {
  /** Begins, or begins anew at once instead of when the next try is due. */
  start(): void
  stop(): void
  /** Whether it goes on by itself: it does not before it is started, or once the server said no. */
  isRunning(): boolean
}

/** Keeps the notebook and the server the same, for as long as the page is open. */
export function replication(
  db: PouchDB<Note>,
  { token, tell }: { token: () => Promise<string | undefined>; tell: (state: State) => void },
): Replicating {
  const remote = new PouchDB<Note>(`${location.origin}/sync/notebook`, {
    skip_setup: true,
    async fetch(url, options = {}) {
      const bearer = await token()
      // None that is still good, and no network to get one: as if the server could not be reached.
      if (!bearer) throw new TypeError('Failed to fetch')
      const headers = new Headers(options.headers)
      headers.set('authorization', `Bearer ${bearer}`)
      return PouchDB.fetch(url, { ...options, headers })
    },
  })
  let running: Sync | undefined
  let over: State | undefined

  function stop() {
    const before = running
    running = over = undefined
    before?.cancel()
  }

  function start() {
    stop()
    const mine = db.sync(remote, {
      live: true,
      retry: true,
      push: { checkpoint: 'source' },
      pull: { checkpoint: 'target' },
    })
    running = mine
    const idle = new Set<'push' | 'pull'>()
    const failures = new Map<'push' | 'pull', Failure>()
    const look = () => {
      if (running !== mine) return
      tell(over ?? stateOf([...failures.values()], idle.size === 2))
    }
    for (const side of ['push', 'pull'] as const)
      mine[side]
        .on('active', () => {
          idle.delete(side)
          failures.delete(side)
          look()
        })
        .on('paused', (failure) => {
          idle.add(side)
          if (failure) failures.set(side, failure)
          else failures.delete(side)
          look()
        })
    const refuse = (why: State) => {
      if (running === mine) over = why
      look()
    }
    mine.on('denied', () => refuse('refused'))
    mine.on('error', ({ status }) => refuse(status === 401 ? 'signed-out' : 'refused'))
    look()
  }

  return { start, stop, isRunning: () => running !== undefined && over === undefined }
}

function stateOf(failures: readonly Failure[], idle: boolean): State {
  if (!navigator.onLine) return 'offline'
  const among = (status: number) => failures.some((failure) => failure.status === status)
  if (among(410)) return 'outdated'
  if (among(413)) return 'full'
  if (failures.length > 0) return 'unreachable'
  return idle ? 'done' : 'working'
}
