import { closedTarget, closedUrl, type Resolve } from '../../core/address.ts'
import type { Reach } from '../outbound.ts'

/** What decides whether an address may be called. */
export interface Targets {
  readonly resolve: Resolve
  readonly unsafeAllow: (url: URL) => boolean
}

/** @returns Why a URL may not be one of a provider's, as far as it says itself; `undefined` if it may. */
function closedBy({ unsafeAllow }: Targets, text: string): string | undefined {
  const url = URL.parse(text)
  if (!url) return 'must be a URL'
  return /^https?:$/.test(url.protocol) && unsafeAllow(url) ? undefined : closedUrl(url)
}

/** As `closedBy`, and by every address that its name has at this moment (case 61). */
export async function closedNow(targets: Targets, text: string): Promise<string | undefined> {
  const closed = closedBy(targets, text)
  const url = URL.parse(text)
  if (closed || !url || targets.unsafeAllow(url)) return closed
  return closedTarget(url, targets.resolve).catch(() => 'has a name that leads nowhere')
}

/** Calls nothing but public addresses, and asks before each call: a name may have been moved since. */
export function reachOf(targets: Targets): Reach {
  const answer = (url: string, closed: string | undefined): string => {
    if (closed) throw new Error(`leanto: ${JSON.stringify(url)} ${closed}`)
    return url
  }
  return {
    allow: (_scope, url) => answer(url, closedBy(targets, url)),
    check: async (_scope, url) => answer(url, await closedNow(targets, url)),
  }
}
