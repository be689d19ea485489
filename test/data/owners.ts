import { env } from 'cloudflare:workers'
import { alice, bob, stored } from './store.ts'

/** 1 is alice's own, 2 is alice's and public, 3 is bob's own. */
export const seed = (plain = 'hush', secret = plain.replaceAll("'", "''")) =>
  env.DB.batch(
    [
      `INSERT INTO notes (id, owner_id, title, body, public, created_at, secret, score) VALUES
        (1, 'alice', 'private', 'a', 0, 0, '${secret}', 1), (2, 'alice', 'public', 'b', 1, 0, '${secret}', 2),
        (3, 'bob', 'bobs', 'c', 0, 0, '${secret}', 3)`,
      `INSERT INTO closed (id, text) VALUES (1, 'closed')`,
      `INSERT INTO dropbox (id, text) VALUES (1, 'dropped')`,
      `INSERT INTO tickets (id, owner_id, state, value) VALUES
        ('open', 'alice', 'open', 1), ('done', 'alice', 'done', 2), ('bobs', 'bob', 'open', 3)`,
    ].map((sql) => env.DB.prepare(sql)),
  )

/** All that the policies guard. */
export const everything = async () => ({
  notes: await stored('SELECT * FROM notes ORDER BY id'),
  closed: await stored('SELECT * FROM closed'),
  dropbox: await stored('SELECT * FROM dropbox ORDER BY id'),
  tickets: await stored('SELECT * FROM tickets ORDER BY id'),
})

/** Who asks, of the rows of alice. */
export const people = {
  guest: {},
  owner: { token: alice },
  stranger: { token: bob },
  service: { key: 'secret' as const },
}
