import type { Fault } from '../core/fault.ts'
import type { Principal } from '../core/ports.ts'
import type { Attachments } from './attachments.ts'
import type { Place } from './database.ts'
import type { Doc } from './definition.ts'
import type { Incoming } from './document.ts'
import { bad, syncFaults } from './faults.ts'

/** For a `validate` of the host: refuses a version (403). The client is told why, and goes on with the others. */
export const forbidden = (reason: string): Fault => bad('forbidden', reason)

/** As `forbidden`, for who is not signed in (401). */
export const unauthorized = (reason: string): Fault => bad('unauthorized', reason)

/** The host's own code: past `read`, `write` and channels, not past `validate`. */
export const hostItself: Principal = Object.freeze({
  id: null as unknown as string,
  role: 'service',
  claims: Object.freeze({}),
})

/** @throws {Fault} 401 `unauthorized` for a guest, 403 `forbidden` for anyone else who may not. */
export function demand(place: Place, right: 'read' | 'write' | 'admin'): void {
  const { definition, who } = place
  if (definition[right](who)) return
  if (who.role === 'anon') throw syncFaults.unauthorized()
  throw bad(
    'forbidden',
    right === 'admin'
      ? 'You are not a db or server admin.'
      : 'You are not allowed to access this db.',
  )
}

/** The channels that a person may see; `null` for all of them, or where there are none. */
export function channelsOf({ definition, who }: Place): ReadonlySet<string> | null {
  const { member } = definition.rules
  if (!member || who.role === 'service') return null
  const channels = new Set(member(who))
  return channels.has('*') ? null : channels
}

/** Whether someone of these channels may see what is in those. */
export const sees = (
  mine: ReadonlySet<string> | null,
  channels: readonly string[] | null,
): boolean => mine === null || (channels ?? []).some((channel) => mine.has(channel))

/**
 * Whether who asks may see what is in a row's `channels`, as an SQL condition.
 *
 * @param values Takes the parameter that it needs; `?1` and `?2` are the place.
 */
export function seenSql(place: Place, values: unknown[], column = 'd.channels'): string {
  const mine = channelsOf(place)
  if (mine === null) return 'true'
  values.push(JSON.stringify([...mine]))
  return `EXISTS (SELECT 1 FROM json_each(${column}) c WHERE c.value IN
    (SELECT value FROM json_each(?${values.length + 2})))`
}

/**
 * Asks the host's rules about one version.
 *
 * @returns Its channels, `null` where there are none.
 * @throws {Fault} `forbidden`, `unauthorized`, or `conflict` for what the person may not know of.
 */
export function checkWrite(
  place: Place,
  version: {
    incoming: Incoming
    attachments: Attachments | null
    rev: string | undefined
    old: Doc | null
    oldChannels: readonly string[] | null
  },
): readonly string[] | null {
  const { definition, who } = place
  const { incoming, old, oldChannels, rev } = version
  if (incoming.id.startsWith('_design/')) {
    demand(place, 'admin')
    return null
  }
  const { rules } = definition
  const doc = docOf(incoming, version.attachments, rev)
  rules.validate?.(doc, old, who)
  if (!rules.channels) return null
  const mine = channelsOf(place)
  // A tombstone has no members to tell by: it stays where the document was.
  const channels =
    incoming.deleted && Object.keys(incoming.members).length === 0 && oldChannels
      ? oldChannels
      : channelList(rules.channels(doc))
  if (old && !sees(mine, oldChannels))
    throw bad('forbidden', 'The document is in no channel of yours.')
  if (!sees(mine, channels)) throw bad('forbidden', 'You may not write to these channels.')
  return channels
}

function channelList(channels: readonly string[]): readonly string[] {
  const list = [...new Set(channels)].filter((one) => typeof one === 'string' && one !== '')
  return list.sort()
}

/** A version as the rules see it. */
export const docOf = (incoming: Incoming, attachments: Attachments | null, rev?: string): Doc => ({
  ...incoming.members,
  _id: incoming.id,
  ...(rev ? { _rev: rev } : {}),
  ...(incoming.deleted ? { _deleted: true as const } : {}),
  ...(attachments ? { _attachments: attachments } : {}),
})
