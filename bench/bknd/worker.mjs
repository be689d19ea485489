/*
 * bknd in a Worker, on D1: one app an isolate, its schema and its rules from code, the owner's rows for the owner alone.
 */
import { boolean, datetime, em, entity, text } from 'bknd'
import { d1Sqlite, serve } from 'bknd/adapter/cloudflare'
import { $console } from 'bknd/utils'

// It would warn at each request that the order's column has an index only behind another one.
$console.setLevel('error')

const schema = em(
  {
    people: entity('people', { name: text().required() }),
    notes: entity('notes', {
      owner_id: text().required(),
      title: text().required(),
      body: text(),
      done: boolean({ default_value: false }),
      created_at: datetime(),
    }),
    comments: entity('comments', { text: text().required() }),
  },
  ({ relation, index }, { people, notes, comments }) => {
    relation(comments).manyToOne(notes, { inversedBy: 'comments' })
    relation(comments).manyToOne(people)
    index(notes).on(['owner_id', 'created_at'])
  },
)

const own = (permission) => ({
  permission,
  effect: 'allow',
  policies: [
    { condition: { entity: 'notes' }, effect: 'filter', filter: { owner_id: '@user.email' } },
  ],
})

export default serve(
  {
    app: (env) => ({ connection: d1Sqlite({ binding: env.DB }) }),
    adminOptions: false,
    config: {
      data: schema.toJSON(),
      auth: {
        enabled: true,
        allow_register: true,
        default_role_register: 'member',
        jwt: { secret: 'a-secret-of-the-bench-that-guards-nothing-at-all' },
        guard: { enabled: true },
        roles: {
          member: {
            implicit_allow: false,
            permissions: [
              { permission: 'system.access.api' },
              own('data.entity.read'),
              own('data.entity.create'),
              own('data.entity.update'),
            ],
          },
        },
      },
    },
    options: { mode: 'code' },
    onBuilt: (app) => app.em.schema().sync({ force: true }),
  },
  () => ({ warm: true }),
)
