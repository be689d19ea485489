import { eq, inArray } from 'drizzle-orm'
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import type { Membership, Principal, Scope } from 'leanto'
import { type Organization, organizations } from 'leanto/auth/organizations'
import { expose, type Who } from 'leanto/data'
import { expectTypeOf } from 'vitest'

/*
 * What policies know of organisations, and which permissions there are: `tsc -p test` is the test.
 */

const notes = sqliteTable('notes', {
  id: integer('id').primaryKey(),
  orgId: text('org_id').notNull(),
})
const orgs = organizations({ roles: { editor: ['notes:write'], reader: [] } })

expose(notes, {
  select: (who) => {
    expectTypeOf(who.orgs).toEqualTypeOf<readonly Membership[]>()
    expectTypeOf(who.org).toEqualTypeOf<Membership>()
    return inArray(
      notes.orgId,
      who.orgs.map(({ id }) => id),
    )
  },
  insert: (who) => inArray(notes.orgId, orgs.idsOf(who, 'notes:write')),
  update: (who) => orgs.isMember(notes.orgId, who, 'members:manage'),
  delete: (who) => eq(notes.orgId, who.org.id),
  defaults: { orgId: (who) => who.org.id },
  // @ts-expect-error: no role has this permission.
  set: { orgId: (who) => orgs.idsOf(who, 'notes:read')[0] ?? '' },
})

// A policy that was written for a principal is one.
expose(notes, { select: (who: Principal) => eq(notes.orgId, who.id) })
// In a handler there need not be any.
expectTypeOf<Principal['orgs']>().toEqualTypeOf<readonly Membership[] | undefined>()
expectTypeOf<Who>().toExtend<Principal>()
expectTypeOf<{ id: string; role: 'anon'; claims: object }>().toExtend<Omit<Principal, 'claims'>>()

// @ts-expect-error: `owner` may do everything.
organizations({ roles: { admin: ['notes:write'] }, limits: { members: 'many' } })
// @ts-expect-error: a permission is a word.
organizations({ roles: { admin: [1] } })
organizations({
  limits: {
    members: (scope, organization) => {
      expectTypeOf(scope).toEqualTypeOf<Scope>()
      expectTypeOf(organization).toEqualTypeOf<Organization>()
      return organization.app_metadata.plan === 'gold' ? false : 10
    },
  },
})
expectTypeOf(orgs.putMember).parameter(1).toHaveProperty('role')
