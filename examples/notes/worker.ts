import { Hono } from 'hono'
import { apiKeys, faults, handlers, problem } from 'leanto'
import { base, docs, type Env, mailer, paid, store, users } from './backend.ts'

export { SyncNotifier } from 'leanto/sync/notifier'

const lacks = faults({
  no_mailer: [501, 'This server has nothing that sends mail'],
  no_translator: [501, 'This server has no translator'],
})

const app = new Hono<{ Bindings: Env }>()
  // What the page must know before it can speak to the API. The key grants nothing.
  .get('/config.json', async (c) => {
    const { publishable } = await apiKeys(base.scope(c).secret)
    return c.json({ key: publishable }, 200, { 'cache-control': 'public, max-age=300' })
  })
  .get('/mail', (c) => (base.scope(c).local ? c.redirect('/email/v1/inbox') : c.notFound()))
  // What this server has not been given is said, and not tried.
  .post('/email/v1/send', (c, next) =>
    c.env.EMAIL || base.scope(c).local ? next() : Promise.resolve(problem(lacks.no_mailer())),
  )
  .post('/services/translate', (c, next) =>
    c.env.TRANSLATE_ORIGIN ? next() : Promise.resolve(problem(lacks.no_translator())),
  )
  .route('/auth/v1', users.routes)
  .route('/rest/v1', store.routes)
  .route('/sync', docs.routes)
  .route('/email/v1', mailer.routes)
  .route('/services', paid.routes)

export default {
  fetch: app.fetch,
  ...handlers(base, [users, store, docs, mailer, paid]),
} satisfies ExportedHandler<Env>
