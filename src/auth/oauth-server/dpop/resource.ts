import { coreFaults, Fault } from '../../../core/fault.ts'
import type { Principal } from '../../../core/ports.ts'
import type { Scope } from '../../../core/scope.ts'
import type { Settings } from '../../settings.ts'
import type { Server } from '../settings.ts'
import type { DpopSettings } from './index.ts'
import { noncesOf, takeProof } from './once.ts'
import { proofAlgorithms, verifyProof } from './proof.ts'

const scheme = /^DPoP +([\w.~+/-]+=*) *$/i

/**
 * Whose a request is that comes with `Authorization: DPoP` and a proof of the token's key (RFC 9449, 7.1); nothing for any
 * other. One trip more than a bearer's, by which the proof is used up; none for what is refused before.
 *
 * @param bearer Says whose a token is.
 * @throws {Fault} `bad_token` (401), with a challenge that says what is wrong.
 */
export const boundTo =
  (dpop: DpopSettings) =>
  (
    settings: Settings,
    scope: Scope,
    request: Request,
    bearer: (token: string) => Promise<Principal>,
  ): Promise<Principal> | undefined => {
    const header = request.headers.get('authorization')
    if (!header || !/^DPoP\b/i.test(header)) return undefined
    return (async () => {
      const principal = await bearer(tokenOf(request))
      await prove(dpop, settings, scope, { request, principal })
      return principal
    })()
  }

/** Where a route verifies the token itself: the same. What was admitted without a request has been asked by `boundTo`. */
export const holdsKey =
  (dpop: DpopSettings) =>
  async (
    { settings }: Server,
    scope: Scope,
    principal: Principal,
    request: Request | undefined,
  ): Promise<void> => {
    if (request) await prove(dpop, settings, scope, { request, principal })
  }

/** @throws {Fault} `bad_token` (401). */
function tokenOf(request: Request): string {
  const token = request.headers.get('authorization')?.match(scheme)?.[1]
  if (!token) throw refused('invalid_token', 'Authorization must be: DPoP <token>')
  return token
}

async function prove(
  dpop: DpopSettings,
  settings: Settings,
  scope: Scope,
  { request, principal }: { request: Request; principal: Principal },
): Promise<void> {
  const bound = (principal.claims.cnf as { jkt?: unknown } | undefined)?.jkt
  if (typeof bound !== 'string') throw refused('invalid_token', 'This token is bound to no key')
  let proven = dpop.proven.get(request)
  if (!proven)
    dpop.proven.set(request, (proven = useProof(dpop, settings, scope, { request, bound })))
  if ((await proven) !== bound) throw refused('invalid_token', 'This token is bound to another key')
}

/** Uses up the proof that a request shows. @returns The thumbprint of its key; with another than `bound` it is not used up. */
async function useProof(
  dpop: DpopSettings,
  settings: Settings,
  scope: Scope,
  { request, bound }: { request: Request; bound: string },
): Promise<string> {
  const shown = request.headers.get('dpop')
  if (!shown) throw refused('invalid_dpop_proof', 'DPoP must have a proof')
  const nonces = dpop.nonce ? await noncesOf(scope) : undefined
  const proof = await verifyProof(shown, {
    method: request.method,
    urls: urlsOf(dpop, settings, scope, request.url),
    now: scope.now(),
    seconds: dpop.seconds,
    nonces,
    accessToken: tokenOf(request),
  }).catch((error: unknown) => {
    throw error instanceof Fault ? refused(error.code, error.message, error) : error
  })
  if (proof.jkt !== bound) return proof.jkt
  const { results } = await (await takeProof(scope, proof)).all()
  if (results.length !== 1) throw refused('invalid_dpop_proof', 'DPoP proof was used before')
  return proof.jkt
}

/** A request's URL by each origin that the app has. Its own host name is what it says itself: it does not count. */
export const urlsOf = (
  { origins }: DpopSettings,
  settings: Settings,
  scope: Scope,
  url: string,
): string[] => {
  const { pathname } = new URL(url)
  return [settings.site(scope), ...origins].map((origin) => origin + pathname)
}

/** RFC 9449, 7.1. What the proof is told of it leaves by its own words, which are ours. */
function refused(error: string, message: string, { headers, ...fault }: Partial<Fault> = {}) {
  const algs = proofAlgorithms.join(' ')
  const challenge = `DPoP error="${error}", error_description="${message}", algs="${algs}"`
  return coreFaults.bad_token({
    message,
    headers: { ...headers, 'www-authenticate': challenge },
    cause: fault.cause,
  })
}
