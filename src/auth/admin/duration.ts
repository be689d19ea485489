/** In milliseconds, of each unit of a Go duration. */
const units: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

/** A century: further away than that, a time no longer fits where it is stored and shown. */
const most = 100 * 366 * 24 * 3_600_000

/**
 * Reads a duration as Go writes it, such as `2h45m`; GoTrue bans by it.
 *
 * @returns Milliseconds; `null` if it is none, or negative.
 */
export function readDuration(text: string): number | null {
  if (text === '0') return 0
  if (!/^\+?(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h)/.test(text)) return null
  let sum = 0
  let rest = text.replace(/^\+/, '')
  while (rest !== '') {
    const [all, number, unit] = rest.match(/^(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/) ?? []
    if (!all || !unit) return null
    sum += Number(number) * (units[unit] ?? 0)
    rest = rest.slice(all.length)
  }
  return Math.min(Math.round(sum), most)
}
