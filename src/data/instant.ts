import { dataFaults } from './faults.ts'

/** Postgres's name of the type. */
export const timestampName = 'timestamp with time zone'

const isoShape =
  /^\s*(\d{4,6})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d(?::?\d\d)?)?)?\s*$/i

/**
 * The instant of an ISO 8601 text, in milliseconds and their fractions. Without a zone it is UTC. Not by `Date`, which
 * takes 30 February for 2 March.
 *
 * @throws {Fault} 22007 if it has another form, 22008 if there is no such day or hour, or its year is not 1 to 9999.
 */
export function instantOf(text: string): number {
  const match = text.match(isoShape)
  if (!match)
    throw dataFaults['22007']({
      message: `invalid input syntax for type ${timestampName}: "${text.slice(0, 100)}"`,
    })
  const [year, month, day, hour, minute, second] = match
    .slice(1, 7)
    .map((part) => Number(part ?? 0)) as [number, number, number, number, number, number]
  const fraction = (match[7] ?? '').padEnd(3, '0')
  const milliseconds = Number(`${fraction.slice(0, 3)}.${fraction.slice(3)}`)
  const sinceMidnight = ((hour * 60 + minute) * 60 + second) * 1000 + milliseconds
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  const instant = date.getTime() + sinceMidnight - (zoneMinutes(match[8]) ?? Number.NaN) * 60_000
  const valid =
    date.getUTCMonth() === month - 1 &&
    date.getUTCDate() === day &&
    minute < 60 &&
    second < 60 &&
    sinceMidnight <= 86_400_000 &&
    instant >= first &&
    instant <= last
  if (!valid)
    throw dataFaults['22008']({
      message: `date/time field value out of range: "${text.slice(0, 100)}"`,
    })
  return instant
}

const first = Date.parse('0001-01-01T00:00:00Z')
const last = Date.parse('9999-12-31T23:59:59.999Z')

/** `undefined` past Postgres's bound of 15:59. */
function zoneMinutes(zone = 'Z'): number | undefined {
  if (zone.toUpperCase() === 'Z') return 0
  const hours = Number(zone.slice(1, 3))
  const minutes = Number(zone.slice(3).replace(':', '') || 0)
  if (hours > 15 || minutes > 59) return undefined
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes)
}
