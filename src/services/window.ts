/** What quotas count by: the minute, the day and the calendar month of UTC. */
export type Period = 'minute' | 'day' | 'month'

export const periods: readonly Period[] = ['minute', 'day', 'month']

export interface Window {
  /** Unix time in seconds. */
  start: number
  /** The first second that is not in it any more. */
  ends: number
}

/** @param now Unix time in milliseconds. */
export function windowOf(period: Period, now: number): Window {
  if (period !== 'month') {
    const length = period === 'minute' ? 60 : 24 * 60 * 60
    const start = Math.floor(now / 1000 / length) * length
    return { start, ends: start + length }
  }
  const at = new Date(now)
  const first = (more: number) => Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + more) / 1000
  return { start: first(0), ends: first(1) }
}
