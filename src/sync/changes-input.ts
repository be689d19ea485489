import type { Doc } from './definition.ts'
import { bad } from './faults.ts'
import { count, type Options, on } from './query.ts'
import type { Show } from './version.ts'

/** Which changes a feed shows; `null` for all of them. */
export type FeedFilter =
  | { kind: 'ids'; ids: readonly string[] }
  | { kind: 'design' }
  | { kind: 'test'; test: (doc: Doc) => boolean }
  | null

/**
 * What a reader has who reads the feed page by page: nothing that was made after `base`, but for what they were given since,
 * and that was alive at `until`. So deletions up to there, of what was made since `base`, are none of theirs.
 */
export interface Scan {
  base: number
  /** @default now */
  until?: number
  /** In milliseconds of Unix time: what was deleted since is told anyway. */
  after: number
}

/** One reading of the feed, from a sequence on. */
export interface PageInput {
  /** `'now'` for what comes after the request. */
  since: number | 'now'
  /** Leaves out deletions of what the reader never had. @default every deletion is told */
  scan?: Scan | undefined
  limit: number
  descending: boolean
  /** Every leaf, instead of the winner alone. */
  allLeaves: boolean
  includeDocs: boolean
  show: Show
  filter: FeedFilter
  /** Only every so many rows bear their sequence, the others `null`. @default 1 */
  seqInterval: number
}

/** How a feed is held. Times in milliseconds. */
export interface FeedInput extends PageInput {
  feed: 'normal' | 'longpoll' | 'continuous' | 'eventsource'
  /** How often an idle feed says that it lives; `null` for never. */
  heartbeat: number | null
  /** How long an idle feed is held. */
  timeout: number
}

const feeds = ['normal', 'longpoll', 'continuous', 'eventsource'] as const

/**
 * Sequences are numbers here. One that CouchDB wrote, `<number>-<text>`, is taken for its number.
 *
 * @throws {Fault} `bad_request` (400).
 */
function parseSince(value: unknown): number | 'now' {
  if (value === undefined || value === '' || value === 0 || value === null) return 0
  if (value === 'now') return 'now'
  const text = typeof value === 'string' ? value.replace(/^"(.*)"$/, '$1') : String(value)
  const number = /^\d{1,15}(-.*)?$/.test(text) ? Number.parseInt(text, 10) : Number.NaN
  if (!Number.isSafeInteger(number))
    throw bad('bad_request', 'Malformed sequence supplied in `since` parameter.')
  return number
}

/** What a page before has put behind the sequence: `<number>-<base>-<until>`. */
function parseScan(value: unknown, since: number | 'now', after: number): Scan {
  const [, base, until] = /^"?\d+-(\d+)-(\d+)"?$/.exec(String(value)) ?? []
  return base
    ? { base: Number(base), until: Number(until), after }
    : { base: Number(since) || 0, after }
}

/** What a held feed may ask for, in milliseconds: Workers keep a request for as long as its client listens. */
const longest = 5 * 60 * 1000
const usual = 60 * 1000

/**
 * @param context.skipped Before when a deletion was, that is not told to who never had what was deleted, in milliseconds.
 * @throws {Fault} `bad_request`, `query_parse_error` (400).
 */
export function parseFeed(
  options: Options,
  filter: FeedFilter,
  { lastEvent, skipped }: { lastEvent: string | null; skipped: number | undefined },
): FeedInput {
  const feed = options.feed === 'live' ? 'continuous' : (options.feed ?? 'normal')
  if (!feeds.includes(feed as never))
    throw bad(
      'bad_request',
      'Supported `feed` types: normal, continuous, live, longpoll, eventsource',
    )
  const includeDocs = on(options, 'include_docs')
  const style = options.style ?? 'main_only'
  if (style !== 'main_only' && style !== 'all_docs')
    throw bad('bad_request', 'Supported `style`s: main_only, all_docs')
  const from = lastEvent ?? options['last-event-id'] ?? options.since
  const descending = on(options, 'descending')
  // As CouchDB has it: what goes down begins at the newest.
  const since = descending ? 0 : parseSince(from)
  return {
    feed: feed as FeedInput['feed'],
    since,
    scan: skipped !== undefined && !descending ? parseScan(from, since, skipped) : undefined,
    // CouchDB gives one row where none is asked for.
    limit: Math.max(1, count(options, 'limit', Number.MAX_SAFE_INTEGER)),
    descending,
    allLeaves: style === 'all_docs',
    includeDocs,
    show: {
      attachments: includeDocs && on(options, 'attachments'),
      conflicts: includeDocs && on(options, 'conflicts'),
      encodings: on(options, 'att_encoding_info'),
    },
    filter,
    seqInterval: Math.max(1, count(options, 'seq_interval', 1)),
    heartbeat: heartbeatOf(options),
    timeout: Math.min(
      longest,
      count(options, 'timeout', options.heartbeat === undefined ? usual : longest),
    ),
  }
}

function heartbeatOf(options: Options): number | null {
  const { heartbeat } = options
  if (heartbeat === undefined || heartbeat === 'false' || heartbeat === false) return null
  if (heartbeat === 'true' || heartbeat === true) return usual
  const every = count(options, 'heartbeat', usual)
  if (every === 0)
    throw bad('bad_request', 'The heartbeat value should be a positive integer (in milliseconds).')
  return Math.max(every, 100)
}
