import { and, desc, eq } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { Hono } from 'hono'
import { createMiddleware } from 'hono/factory'
import { importJWK, jwtVerify } from 'jose'
import * as v from 'valibot'
import * as schema from './tables.ts'
import { audience, type Env, issuer, notes } from './tables.ts'

/*
 * What a careful developer writes for these tables: the token verified, every body validated, every statement bound to
 * the owner, one trip each.
 */
type Variables = { Bindings: Env; Variables: { owner: string } }

let key: Promise<CryptoKey | Uint8Array> | undefined
const signedIn = createMiddleware<Variables>(async (c, next) => {
  const token = c.req.header('authorization')?.replace(/^Bearer /, '')
  if (!token) return c.json({ message: 'Sign in first' }, 401)
  key ??= importJWK(JSON.parse(c.env.JWK), 'ES256')
  try {
    const { payload } = await jwtVerify(token, await key, {
      issuer,
      audience,
      algorithms: ['ES256'],
    })
    c.set('owner', payload.sub ?? '')
  } catch {
    return c.json({ message: 'Invalid token' }, 401)
  }
  await next()
})

const draft = v.strictObject({
  title: v.string(),
  body: v.optional(v.nullable(v.string())),
  done: v.optional(v.boolean()),
})
const drafts = v.array(draft)
const changes = v.partial(draft)
const id = v.pipe(
  v.string(),
  v.regex(/^eq\.\d+$/),
  v.transform((text) => Number(text.slice(3))),
)

export default new Hono<Variables>()
  .use('/notes', signedIn)
  .use('/threads', signedIn)
  .get('/notes', async (c) => {
    const db = drizzle(c.env.DB)
    const given = c.req.query('id')
    if (given !== undefined) {
      const found = v.safeParse(id, given)
      if (!found.success) return c.json({ message: 'Bad id' }, 400)
      const mine = and(eq(notes.id, found.output), eq(notes.ownerId, c.var.owner))
      return c.json(await db.select().from(notes).where(mine), 200)
    }
    const limit = Math.min(Number(c.req.query('limit') ?? 1000), 1000)
    const rows = await db
      .select()
      .from(notes)
      .where(eq(notes.ownerId, c.var.owner))
      .orderBy(desc(notes.createdAt))
      .limit(limit)
    return c.json(rows, 200)
  })
  .get('/threads', async (c) => {
    const limit = Math.min(Number(c.req.query('limit') ?? 100), 100)
    const rows = await drizzle(c.env.DB, { schema }).query.notes.findMany({
      columns: { id: true, title: true },
      where: eq(notes.ownerId, c.var.owner),
      orderBy: desc(notes.createdAt),
      limit,
      with: {
        comments: {
          columns: { id: true, text: true },
          with: { author: { columns: { id: true, name: true } } },
        },
      },
    })
    return c.json(rows, 200)
  })
  .post('/notes', async (c) => {
    const body: unknown = await c.req.json()
    const parsed = v.safeParse(drafts, Array.isArray(body) ? body : [body])
    if (!parsed.success) return c.json({ message: 'Bad body' }, 400)
    const db = drizzle(c.env.DB)
    const rows = parsed.output.map((row) => ({ ...row, ownerId: c.var.owner }))
    // D1 binds 100 values a statement: many rows are many statements of one batch.
    const inserts = []
    for (let at = 0; at < rows.length; at += 20)
      inserts.push(
        db
          .insert(notes)
          .values(rows.slice(at, at + 20))
          .returning(),
      )
    const [first, ...rest] = inserts
    if (!first) return c.json([], 201)
    const written = await db.batch([first, ...rest])
    return c.json(written.flat(), 201)
  })
  .patch('/notes', async (c) => {
    const found = v.safeParse(id, c.req.query('id'))
    const parsed = v.safeParse(changes, await c.req.json())
    if (!found.success || !parsed.success) return c.json({ message: 'Bad request' }, 400)
    const mine = and(eq(notes.id, found.output), eq(notes.ownerId, c.var.owner))
    const db = drizzle(c.env.DB)
    return c.json(await db.update(notes).set(parsed.output).where(mine).returning(), 200)
  })
