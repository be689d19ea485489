import { coreFaults, Fault } from '../../core/fault.ts'
import type { Scope } from '../../core/scope.ts'
import { happened, type Moved } from '../part.ts'
import type { Settings } from '../settings.ts'
import { type Line, linesOf, longestLine } from './lines.ts'
import { type Outcome, type Storing, store } from './store.ts'
import { type Arriving, isOwn, readUser } from './user-line.ts'

export interface ImportUsers extends Storing {
  /** NDJSON. */
  readonly body: ReadableStream<Uint8Array> | null
  /** The number of its first line. */
  readonly first: number
}

/** Users of one batch, and bytes of their lines. */
const mostUsers = 100
const mostBytes = 512 * 1024

type Entry = Arriving | { readonly number: number; readonly refused: Fault }

export interface Counts {
  /** Read so far, empty ones too. */
  lines: number
  created: number
  updated: number
  exists: number
  refused: number
}

/**
 * Stores users who come line by line, 100 in two trips, and says of each what became of them, once it is stored. At most a
 * batch is held. However often a line comes, its user is stored once: their id is given, or follows from `foreign_id`.
 *
 * @returns NDJSON, a batch at a time: `{ line, result, id?, notes?, code?, message? }` for each user, `{ progress }` after
 * each batch, and `{ done }` after the last one.
 * @throws {Fault} `bad_request` if the body breaks off; what was answered by then is stored.
 */
export async function* importUsers(
  settings: Settings,
  scope: Scope,
  { body, first, ...storing }: ImportUsers,
): AsyncGenerator<string> {
  const counts: Counts = { lines: 0, created: 0, updated: 0, exists: 0, refused: 0 }
  let batch: Entry[] = []
  let bytes = 0
  const keys = new Set<string>()
  const flush = async (): Promise<string> => {
    const entries = batch
    batch = []
    bytes = 0
    keys.clear()
    return settle(settings, scope, entries, { storing, counts })
  }
  try {
    for await (const line of linesOf(body, first)) {
      const entry = await read(settings, scope, storing.parts, line)
      const own = entry && 'row' in entry ? keysOf(entry) : []
      // What two lines want goes to the first of them, wherever a batch ends.
      if (own.some((key) => keys.has(key)) || bytes + line.bytes > mostBytes) yield await flush()
      counts.lines++
      if (!entry) continue
      batch.push(entry)
      bytes += line.bytes
      for (const key of own) keys.add(key)
      if (batch.length >= mostUsers) yield await flush()
    }
    if (batch.length > 0) yield await flush()
    yield `${JSON.stringify({ done: counts })}\n`
  } finally {
    if (!storing.dryRun && counts.created + counts.updated > 0)
      happened(settings, scope, { action: 'users_imported', data: { ...counts } })
  }
}

async function read(
  settings: Settings,
  scope: Scope,
  parts: readonly Moved[],
  { number, bytes, text }: Line,
): Promise<Entry | null> {
  try {
    if (bytes > longestLine)
      throw coreFaults.too_large({ message: `A line has at most ${longestLine} bytes` })
    if (text === null) throw coreFaults.bad_json({ message: 'The line is not valid UTF-8' })
    if (text.trim() === '') return null
    return await readUser(settings, scope, parts, { number, bytes, text })
  } catch (error) {
    if (error instanceof Fault) return { number, refused: error }
    throw error
  }
}

const keysOf = ({ row, identities }: Arriving): string[] => [
  row.id,
  ...(row.email ? [row.email] : []),
  ...(row.phone ? [`+${row.phone}`] : []),
  ...identities
    .filter(({ provider }) => !isOwn(provider))
    .map(({ provider, subject }) => `${provider} ${subject}`),
]

async function settle(
  settings: Settings,
  scope: Scope,
  entries: readonly Entry[],
  { storing, counts }: { storing: Storing; counts: Counts },
): Promise<string> {
  const users = entries.filter((entry) => 'row' in entry)
  const stored = await store(settings, scope, users, storing)
  const outcomes = new Map<Entry, Outcome>(users.map((user, i) => [user, stored[i] as Outcome]))
  const lines = entries.map((entry) => {
    const outcome = 'row' in entry ? (outcomes.get(entry) as Outcome) : entry.refused
    counts[outcome instanceof Fault ? 'refused' : outcome]++
    return answer(entry, outcome)
  })
  return [...lines, { progress: counts }].map((line) => `${JSON.stringify(line)}\n`).join('')
}

function answer(entry: Entry, outcome: Outcome): object {
  const { number: line } = entry
  if (outcome instanceof Fault) {
    const { code, message } = outcome
    // As GoTrue has it.
    return {
      line,
      result: 'refused',
      code: code === 'bad_request' ? 'validation_failed' : code,
      message,
    }
  }
  const { row, notes } = entry as Arriving
  return { line, result: outcome, id: row.id, ...(notes.length > 0 ? { notes } : {}) }
}
