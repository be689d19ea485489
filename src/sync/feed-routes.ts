import { parseFeed } from './changes-input.ts'
import { changesFeed } from './feed.ts'
import { filterOf } from './filter.ts'
import { demand } from './permission.ts'
import { optionsOf } from './query.ts'
import { type Asked, bodyIfAny } from './request.ts'
import type { Watcher } from './watch.ts'

export const readChanges =
  (watcher: Watcher) =>
  async (asked: Asked): Promise<Response> => {
    const { place, query, request } = asked
    demand(place, 'read')
    const body = await bodyIfAny(asked)
    const options = optionsOf(query, body)
    const filter = await filterOf(asked, options, body)
    const { skipTombstones: days } = place.definition.rules
    const skipped = days && asked.scope.now() - days * 24 * 60 * 60 * 1000
    const lastEvent = request.headers.get('last-event-id')
    return changesFeed(asked, parseFeed(options, filter, { lastEvent, skipped }), watcher)
  }
