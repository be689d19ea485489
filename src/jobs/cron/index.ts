import { Cron } from 'croner'
import type { Schedule } from '../slots.ts'

export interface ScheduleOptions {
  /** The IANA time zone that the pattern is in, such as `Europe/Berlin`. @default 'UTC' */
  zone?: string
  /** What the handler gets: JSON. @default null */
  payload?: unknown
  /** Names the schedule. One of another id begins anew. @default of handler, pattern and zone */
  id?: string
}

/**
 * A handler's job at the times of a cron pattern: `jobs(base, { cron: [schedule('0 9 * * 1', 'digest')] })`. Five fields
 * (minute, hour, day of month, month, day of week) and croner's extensions to them: https://croner.56k.guru/usage/pattern/
 *
 * In a zone with summer time, a pattern that names one hour and minute runs once each night, also in one that skips that
 * time (then as soon as it is over) or has it twice. A pattern of several times follows the clock on the wall.
 *
 * @throws {TypeError} if the pattern or an option is wrong.
 */
export function schedule(
  pattern: string,
  name: string,
  { zone = 'UTC', payload = null, id = `${name} ${pattern} ${zone}` }: ScheduleOptions = {},
): Schedule {
  const wrong = (what: string, cause?: unknown) => new TypeError(`schedule: ${what}`, { cause })
  if (typeof name !== 'string' || name === '') throw wrong('the name of a handler is missing')
  if (typeof id !== 'string' || id === '' || id.length > 512)
    throw wrong('`id` must be a text of 1 to 512 characters')
  const text = JSON.stringify(payload)
  if (text === undefined) throw wrong('`payload` must be JSON')
  const cron = cronOf(pattern, zone, wrong)
  return Object.freeze({
    id,
    name,
    payload: text,
    // `previousRuns` leaves its reference out: the slot of this very instant is before the next second.
    last: (at: number) => {
      const [last] = cron.previousRuns(1, new Date(Math.floor(at / 1000) * 1000 + 1000))
      return last?.getTime() ?? null
    },
  })
}

function cronOf(pattern: string, zone: string, wrong: (what: string, cause?: unknown) => Error) {
  let cron: Cron
  try {
    // Triggers come by the minute, so seconds would be a promise that is not kept.
    cron = new Cron(pattern, { timezone: zone, mode: '5-part', paused: true })
  } catch (cause) {
    throw wrong(`${JSON.stringify(pattern)} is not a cron pattern of five fields`, cause)
  }
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone })
  } catch (cause) {
    throw wrong(`\`zone\` ${JSON.stringify(zone)} is not a time zone, such as Europe/Berlin`, cause)
  }
  if (cron.nextRun() === null && cron.previousRuns(1).length === 0)
    throw wrong(`${JSON.stringify(pattern)} never comes`)
  return cron
}
