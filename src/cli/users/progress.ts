import { styleText } from 'node:util'

/** What of it is done: a part from 0 to 1 if that is known, and how many. */
export interface Standing {
  readonly part?: number | undefined
  readonly done: number
  /** Such as `3 refused`. */
  readonly more?: string | undefined
}

export interface Progress {
  /** Draws, if it is time to. */
  (standing: Standing): void
  /** Says something that stays. */
  say(text: string): void
  /** Draws the last one, and leaves it there. */
  end(standing: Standing): void
}

/** In milliseconds: a bar moves as fast as is seen, a log gets a line now and then. */
const pace = { bar: 100, log: 5000 }
const width = 24

export const counted = (count: number): string => count.toLocaleString('en')

/** `1:05`, or `2:03:10`. */
function clockOf(seconds: number): string {
  const parts = [
    Math.floor(seconds / 3600),
    Math.floor((seconds % 3600) / 60),
    Math.floor(seconds % 60),
  ]
  const [hours, ...rest] = parts as [number, number, number]
  const [minutes, ...last] = rest
  const two = (n: number) => String(n).padStart(2, '0')
  return hours > 0
    ? `${hours}:${two(minutes as number)}:${two(last[0] as number)}`
    : `${minutes}:${two(last[0] as number)}`
}

function describe({ part, done, more }: Standing, seconds: number, began: number): string {
  const made = done - began
  const rate = seconds > 0.5 ? made / seconds : 0
  // Of a run that goes on from a third, the rest is two thirds, at the pace of this run.
  const left = part && part < 1 && rate > 0 ? (done / part - done) / rate : undefined
  return [
    ...(part === undefined ? [] : [`${String(Math.floor(part * 100)).padStart(3)} %`]),
    `${counted(done)} users`,
    ...(rate > 0 ? [`${counted(Math.round(rate))}/s`] : []),
    ...(left === undefined ? [] : [`${clockOf(left)} left`]),
    ...(more ? [more] : []),
  ].join(' · ')
}

/**
 * Shows on standard error how far a long work is: a bar in a terminal, else a plain line every few seconds.
 *
 * @param began How many were done before this run.
 */
export function progressOf(began = 0, stream = process.stderr, now = Date.now): Progress {
  const start = now()
  const bar = stream.isTTY === true
  let last = bar ? Number.NEGATIVE_INFINITY : start
  let dirty = false
  const clear = () => {
    if (dirty) stream.write('\r\u001b[2K')
    dirty = false
  }
  const draw = (standing: Standing, final: boolean) => {
    const text = describe(standing, (now() - start) / 1000, began)
    if (!bar) return void stream.write(`${text}\n`)
    clear()
    stream.write(barOf(standing.part, text, stream.columns || 80))
    dirty = true
    if (final) stream.write('\n')
    if (final) dirty = false
  }
  const progress = (standing: Standing) => {
    if (now() - last < (bar ? pace.bar : pace.log)) return
    last = now()
    draw(standing, false)
  }
  return Object.assign(progress, {
    say(text: string) {
      clear()
      stream.write(`${text}\n`)
    },
    end: (standing: Standing) => draw(standing, true),
  })
}

/** A line that wraps cannot be drawn over. */
function barOf(part: number | undefined, text: string, columns: number): string {
  const room = columns - 1
  if (part === undefined || text.length + width + 1 > room) return text.slice(0, room)
  const full = Math.round(part * width)
  const stream = process.stderr
  const drawn = styleText('green', '━'.repeat(full), { stream })
  return `${drawn}${styleText('dim', '━'.repeat(width - full), { stream })} ${text}`
}
