import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { type AuthOptions, auth, type Session } from 'leanto/auth'
import { admin } from 'leanto/auth/admin'
import { type ImpersonationOptions, impersonation } from 'leanto/auth/impersonation'
import { sessions } from 'leanto/auth/parts'
import { clock, type Env, freshDatabase, makeBase, site } from '../kit/world.ts'
import {
  type Asker,
  expectStatus,
  type Json,
  mountAuth,
  post,
  rows,
  signIn,
  signUp,
} from './world.ts'

/** Ann is a user, Ada and Abe are admins, Eve is nobody. */
export interface People {
  ann: Session
  ada: Session
  abe: Session
  eve: Session
}

export const isAdmin: ImpersonationOptions['admins'] = ({ app_metadata }) =>
  app_metadata.role === 'admin'

export const part = (options: Partial<ImpersonationOptions> = {}) =>
  impersonation({ admins: isAdmin, ...options })

export const makeUsers = (
  options: Partial<ImpersonationOptions> = {},
  more: Partial<AuthOptions<Env>> = {},
  base = makeBase(),
) => {
  const acting = part(options)
  const { with: parts = [], ...rest } = more
  const users = auth(base, { site, with: [acting, admin(), sessions(), ...parts], ...rest })
  const executionCtx = createExecutionContext()
  return {
    users,
    acting,
    ask: mountAuth(users),
    /** For verbs; `settled` waits for what they leave to do. */
    scope: () => base.scope({ env, executionCtx }),
    settled: () => waitOnExecutionContext(executionCtx),
  }
}

export const service = { key: 'secret' } as const

export const setRole = (ask: Asker, id: string, role: string | null) =>
  ask(`/auth/v1/admin/users/${id}`, { method: 'PUT', body: { app_metadata: { role } }, ...service })

export async function people(ask: Asker): Promise<People> {
  const ann = await signUp(ask, 'ann@example.com')
  const eve = await signUp(ask, 'eve@example.com')
  const made = []
  for (const email of ['ada@example.com', 'abe@example.com']) {
    const { user } = await signUp(ask, email)
    await expectStatus(await setRole(ask, user.id, 'admin'), 200)
    made.push(await expectStatus(await signIn(ask, email), 200))
  }
  const [ada, abe] = made as [Session, Session]
  // Whatever follows is not of the moment in which they came.
  clock.advance(60)
  return { ann, ada, abe, eve }
}

export async function freshPeople(made: ReturnType<typeof makeUsers>): Promise<People> {
  await freshDatabase([made.users])
  return people(made.ask)
}

export const reason = 'Ticket 4711'

/** Asks for a session of `whom`. */
export const impersonate = (ask: Asker, as: Session, whom: Session, body: object = {}) =>
  post(
    ask,
    `/admin/users/${whom.user.id}/impersonate`,
    { reason, ...body },
    { token: as.access_token },
  )

export const impersonated = async (
  ask: Asker,
  as: Session,
  whom: Session,
  body: object = {},
): Promise<Session> => expectStatus(await impersonate(ask, as, whom, body), 200)

export const running = (): Promise<Json[]> =>
  rows(`SELECT id FROM leanto_auth_sessions WHERE tag = 'impersonation'`)

/** What the audit log says of impersonations, the oldest first. */
export const audited = async (): Promise<Json[]> =>
  (
    await rows(
      `SELECT action, user_id, network, data FROM leanto_auth_audit
       WHERE action LIKE 'impersonation%' ORDER BY id`,
    )
  ).map(({ data, ...row }) => ({ ...row, ...JSON.parse(data) }))
