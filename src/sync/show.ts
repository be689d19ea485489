import { parseJson } from '../core/body.ts'
import { bad } from './faults.ts'
import { type Options, on } from './query.ts'
import { parseRev } from './revision.ts'
import type { Show } from './version.ts'

/** What a request for documents wants to see of them. @throws {Fault} `query_parse_error`, `bad_request` (400). */
export function showOf(options: Options): Show {
  const meta = on(options, 'meta')
  const since = options.atts_since
  return {
    revs: on(options, 'revs'),
    revsInfo: meta || on(options, 'revs_info'),
    conflicts: meta || on(options, 'conflicts'),
    deletedConflicts: meta || on(options, 'deleted_conflicts'),
    localSeq: on(options, 'local_seq'),
    attachments: on(options, 'attachments') || since !== undefined,
    encodings: on(options, 'att_encoding_info'),
    ...(since === undefined ? {} : { attsSince: revList(since) }),
  }
}

/** @throws {Fault} `bad_request` (400). */
export function revList(value: unknown): string[] {
  const list = typeof value === 'string' ? parseJson(value) : value
  if (!Array.isArray(list)) throw bad('bad_request', 'Invalid list of revisions')
  for (const rev of list) parseRev(rev)
  return list as string[]
}
