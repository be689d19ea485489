import type { Scope } from '../../../core/scope.ts'
import type { ShownBinding } from '../extension.ts'
import type { Server } from '../settings.ts'
import { dpopFaults } from './faults.ts'
import type { DpopSettings } from './index.ts'
import { noncesOf, takeProof } from './once.ts'
import { nonceHeader, verifyProof } from './proof.ts'
import { urlsOf } from './resource.ts'

/**
 * The key that a client shows at the token endpoint, and where it pushes its requests (RFC 9449, 5 and 10.1).
 *
 * @throws {Fault} `invalid_dpop_proof`, `use_dpop_nonce` (400).
 */
export const bindingOf =
  (dpop: DpopSettings) =>
  async (
    { settings }: Server,
    scope: Scope,
    { headers, method, url }: Request,
  ): Promise<ShownBinding | undefined> => {
    const shown = headers.get('dpop')
    if (shown === null) return undefined
    const nonces = dpop.nonce ? await noncesOf(scope) : undefined
    const proof = await verifyProof(shown, {
      method,
      urls: urlsOf(dpop, settings, scope, url),
      now: scope.now(),
      seconds: dpop.seconds,
      nonces,
    })
    return {
      jkt: proof.jkt,
      cnf: { jkt: proof.jkt },
      tokenType: 'DPoP',
      use: await takeProof(scope, proof),
      check: (used) => {
        if (used?.results.length !== 1)
          throw dpopFaults.invalid_dpop_proof({ message: 'DPoP proof was used before' })
      },
      headers: nonces ? nonceHeader(nonces) : {},
    }
  }
