import { faults } from '../core/fault.ts'
import type { Scope } from '../core/scope.ts'
import type { Settings } from './settings.ts'

export const ownFaults = faults({
  bad_origin: [403, 'This request must come from the app’s own pages'],
})

/**
 * Whether one of the app's own pages has sent it. Browsers set both headers and no page can change them; what has
 * neither comes from no page that we know, and no form, content type or missing one makes a difference (case 64).
 */
function isOwn({ headers }: Request, site: string): boolean {
  const fetchSite = headers.get('sec-fetch-site')
  if (fetchSite !== null) return fetchSite === 'same-origin'
  return headers.get('origin') === site
}

/** @throws {Fault} `bad_origin` (403). */
export function requireOwn(settings: Settings, scope: Scope, request: Request): void {
  if (!isOwn(request, settings.site(scope))) throw ownFaults.bad_origin()
}
