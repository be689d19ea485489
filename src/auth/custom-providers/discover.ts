import type { Scope } from '../../core/scope.ts'
import { refuse } from '../body.ts'
import type { Documents } from '../providers/cache.ts'
import { serverIn } from '../providers/discovery.ts'
import { type Config, placeOf } from './record.ts'
import { closedNow, type Targets } from './targets.ts'

/**
 * Reads the discovery document anew, and what of it an admin is shown.
 *
 * @throws {Fault} `validation_failed` (400).
 */
export async function discover(
  { targets, cache }: { targets: Targets; cache: Documents },
  scope: Scope,
  config: Config,
): Promise<Record<string, unknown>> {
  const failed = (why: string) => refuse(`OIDC discovery failed: ${why}`)
  const endpoints: string[] = []
  let found: Record<string, unknown>
  try {
    found = await cache.anew(scope, placeOf(config))
    serverIn(found, config.issuer ?? '', (url) => {
      endpoints.push(url)
      return url
    })
  } catch (error) {
    // Our own words name what is wrong; any others may hold what the other server has answered.
    const own = /^leanto: (.*)$/.exec(error instanceof Error ? error.message : '')?.[1]
    throw failed(own ?? 'the document could not be read')
  }
  for (const url of endpoints) {
    const closed = await closedNow(targets, url)
    if (closed) throw failed(`an endpoint ${closed}`)
  }
  return documentOf(found)
}

/** As clients know it: `scopes_supported` is `supported_scopes` to them. What is too long to be true is left out. */
function documentOf(found: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const isShort = (value: unknown) => typeof value === 'string' && value.length <= 2048
  return Object.fromEntries(
    Object.entries(found).flatMap(([name, value]) => {
      if (/^(?:issuer|jwks_uri|(?:authorization|token|userinfo|revocation)_endpoint)$/.test(name))
        return isShort(value) ? [[name, value]] : []
      const list =
        /^(scopes|response_types|subject_types|id_token_signing_alg)(?:_values)?_supported$/.exec(
          name,
        )?.[1]
      return list && Array.isArray(value) && value.length <= 100 && value.every(isShort)
        ? [[`supported_${list.replace(/alg$/, 'algs')}`, value]]
        : []
    }),
  )
}
