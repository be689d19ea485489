import type { Limit } from '../../../core/limit.ts'

export interface DeviceOptions {
  /**
   * The path on `site` that a device shows, such as `/tv`: short, for people type it. The host answers it, by a page of its own
   * or by leading on to ours with the query as it is. @default ours, `/auth/v1/oauth/device`
   */
  page?: string
  /** Seconds that a code lives, 60 to 600. @default 600 */
  seconds?: number
  /** Seconds that a device waits between two polls, 1 to 60. @default 5 */
  interval?: number
  /** Wrong codes that one account may enter, wherever it is signed in. @default { max: 10, seconds: 300 } */
  attempts?: Limit
}

/** The options, checked and filled in. */
export interface DeviceSettings {
  readonly page: string | undefined
  readonly seconds: number
  readonly interval: number
  readonly attempts: Limit
}

const wrong = (option: string, fix: string) => new TypeError(`devices: \`${option}\` ${fix}`)

function whole(option: string, value: number, least: number, most: number): number {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value
  throw wrong(option, `must be a whole number from ${least} to ${most}`)
}

/** @throws {TypeError} that names the option and the fix. */
export function deviceSettings(options: DeviceOptions): DeviceSettings {
  const { page, seconds = 600, interval = 5, attempts = { max: 10, seconds: 300 } } = options
  if (page !== undefined && !/^\/(?![/\\])[\w./~-]*$/.test(page))
    throw wrong('page', 'must be a path on `site`, such as /tv')
  return Object.freeze({
    page,
    seconds: whole('seconds', seconds, 60, 600),
    interval: whole('interval', interval, 1, 60),
    attempts: {
      max: whole('attempts.max', attempts?.max, 1, 1000),
      seconds: whole('attempts.seconds', attempts?.seconds, 1, 86_400),
    },
  })
}
