import type { D1Database, KVNamespace } from '@cloudflare/workers-types'

declare global {
  namespace Cloudflare {
    interface Env {
      DB: D1Database
      OTHER_DB: D1Database
      KV: KVNamespace
    }
  }
}
