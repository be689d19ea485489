import type { Scope } from '../core/scope.ts'
import { databaseId, type Place, placed } from './database.ts'

/** Tells held feeds that a database has changed. A port: `notifier(…)` of `leanto/sync/notifier` fulfils it. */
export interface Notifier {
  /** Says that a database has a new sequence. Runs after the write, in `waitUntil`; losing one costs only time. */
  notify(scope: Scope, database: string, seq: number): Promise<void>
  /** Begins to listen. What is said from its return on is heard. */
  listen(scope: Scope, database: string): Promise<Listening>
}

export interface Listening {
  /** The newest sequence that was said, 0 for none. */
  newest(): number
  close(): void
}

/** One held feed's view of its database. */
export interface Watch {
  /** Waits until there may be more than `seq`, or for so many milliseconds. @returns Whether there may be more. */
  next(seq: number, ms: number): Promise<boolean>
  /** Whether it has asked the database as often as one request may: the client comes again. */
  spent(): boolean
  close(): void
}

/** How soon a write of the same isolate, or one that a notifier tells of, is looked for. In milliseconds. */
const glance = 50
/** How long a woken feed waits for more of the same burst, so that it costs one answer. In milliseconds. */
const settle = 60
/** How often one request may ask the database: a Worker of the free plan has 50 queries. */
const mostPolls = 40
const firstPoll = 250
const slowestPoll = 5_000
/** With a notifier, asking is only for what it lost. */
const notifiedPoll = 25_000

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, Math.max(0, ms)))

/** Says which database this is, to whoever tells of it: of one binding, owner and name. */
const keyOf = ({ name, owner }: Pick<Place, 'name' | 'owner'>): string =>
  JSON.stringify([name, owner])

export interface Watcher {
  open(scope: Scope, place: Place): Promise<Watch>
  /** To be called after every write. */
  wrote(scope: Scope, place: Pick<Place, 'name' | 'owner'>, seq: number): void
}

/**
 * Waits for changes: by the notifier if there is one, else by asking the database's row, less often the longer nothing
 * happens. Writes of the same isolate are seen without asking.
 */
export function watcher(notifier?: Notifier): Watcher {
  // Hints, never truth. By binding, so that two tenants' databases of one name stay apart.
  const seen = new WeakMap<object, Map<string, number>>()
  const seenOf = (scope: Scope) => {
    const map = seen.get(scope.database) ?? new Map<string, number>()
    seen.set(scope.database, map)
    return map
  }
  return {
    wrote(scope, place, seq) {
      const map = seenOf(scope)
      if (map.size > 10_000) map.clear()
      map.set(keyOf(place), seq)
      if (notifier) scope.waitUntil(notifier.notify(scope, keyOf(place), seq))
    },
    async open(scope, place) {
      const key = keyOf(place)
      const listening = await notifier?.listen(scope, key).catch(() => undefined)
      let polls = 0
      // A hint wakes once: it may be of a tenant whose database has the same name.
      let used = 0
      let delay = firstPoll
      // What was written between the query and the listening is found by asking once more.
      let next = Date.now() + (listening ? 0 : delay)
      const ask = async (): Promise<number> => {
        polls++
        delay = Math.min(delay * 1.5, slowestPoll)
        const row = await placed(
          scope,
          place,
          `SELECT update_seq FROM leanto_sync_databases WHERE id = ${databaseId}`,
          [],
        )
          .first<{ update_seq: number }>()
          .catch(() => ({ update_seq: 0 }))
        next = Date.now() + (listening ? notifiedPoll : delay)
        // One that was deleted has changed too.
        return row?.update_seq ?? Number.MAX_SAFE_INTEGER
      }
      return {
        async next(seq, ms) {
          const end = Date.now() + ms
          for (;;) {
            const hint = Math.max(seenOf(scope).get(key) ?? 0, listening?.newest() ?? 0)
            if (
              hint > Math.max(seq, used) ||
              (Date.now() >= next && polls < mostPolls && (await ask()) > seq)
            ) {
              used = Math.max(used, hint)
              delay = firstPoll
              await sleep(settle)
              return true
            }
            const now = Date.now()
            if (now >= end || polls >= mostPolls) return false
            await sleep(Math.min(glance, end - now))
          }
        },
        spent: () => polls >= mostPolls,
        close: () => listening?.close(),
      }
    },
  }
}
