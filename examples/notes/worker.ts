import { Hono } from 'hono'
import { apiKeys, handlers } from 'leanto'
import { base, docs, type Env, store, users } from './backend.ts'
import { mailPage } from './mail.ts'

export { SyncNotifier } from 'leanto/sync/notifier'

const app = new Hono<{ Bindings: Env }>()
  // What the page must know before it can speak to the API. The key grants nothing.
  .get('/config.json', async (c) => {
    const { publishable } = await apiKeys(base.scope(c).secret)
    return c.json({ key: publishable }, 200, { 'cache-control': 'public, max-age=300' })
  })
  .get('/mail', async (c) => {
    const scope = base.scope(c)
    if (!scope.local) return c.notFound()
    return c.html(await mailPage(scope), 200, {
      'cache-control': 'no-store',
      'content-security-policy':
        "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'",
    })
  })
  .route('/auth/v1', users.routes)
  .route('/rest/v1', store.routes)
  .route('/sync', docs.routes)

export default {
  fetch: app.fetch,
  ...handlers(base, [users, store, docs]),
} satisfies ExportedHandler<Env>
