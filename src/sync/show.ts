import { bad } from './faults.ts'
import { flag, type Options } from './query.ts'
import { parseRev } from './revision.ts'
import type { Show } from './version.ts'

/** What a request for documents wants to see of them. @throws {Fault} `query_parse_error`, `bad_request` (400). */
export function showOf(options: Options): Show {
  const meta = flag(options, 'meta')
  const since = options.atts_since
  return {
    revs: flag(options, 'revs'),
    revsInfo: meta || flag(options, 'revs_info'),
    conflicts: meta || flag(options, 'conflicts'),
    deletedConflicts: meta || flag(options, 'deleted_conflicts'),
    localSeq: flag(options, 'local_seq'),
    attachments: flag(options, 'attachments') || since !== undefined,
    encodings: flag(options, 'att_encoding_info'),
    ...(since === undefined ? {} : { attsSince: revList(since, 'atts_since') }),
  }
}

/** @throws {Fault} `bad_request` (400). */
export function revList(value: unknown, name: string): string[] {
  let list = value
  if (typeof value === 'string')
    try {
      list = JSON.parse(value)
    } catch {
      throw bad('bad_request', `Invalid JSON in parameter ${name}`)
    }
  if (!Array.isArray(list)) throw bad('bad_request', `${name} must be a JSON array of revisions`)
  for (const rev of list) parseRev(rev)
  return list as string[]
}
