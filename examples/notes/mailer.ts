import { faults, type Scope } from 'leanto'
import { html } from 'leanto/email'
import { template } from 'leanto/email/templates'
import * as v from 'valibot'

const mailFaults = faults({ no_note: [404, 'There is no such note of yours'] })

/**
 * The one mail that the page may ask for: a note, to whoever wrote it. The page says which; whom it goes to and what it
 * says is not for the page to say.
 */
export const noteMail = template({
  params: v.strictObject({ id: v.pipe(v.number(), v.integer()) }),
  policy: (_, { who }) => who.role === 'authenticated' && typeof who.claims.email === 'string',
  to: (_, { who }) => String(who.claims.email),
  quota: { max: 10, seconds: 3600 },
  render: async ({ id }, { scope, who }) => {
    const { title, body } = await ownNote(scope, id, who.id)
    return {
      // A subject has one line.
      subject: title.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim() || 'Untitled note',
      text: `${title}\n\n${body}`.trim(),
      html: html`<h1>${title}</h1><p style="white-space: pre-wrap">${body}</p>`,
    }
  },
})

async function ownNote(scope: Scope, id: number, owner: string | null) {
  const note = await scope.db
    .prepare('SELECT title, body FROM notes WHERE id = ? AND owner_id = ?')
    .bind(id, owner)
    .first<{ title: string; body: string }>()
  if (!note) throw mailFaults.no_note()
  return note
}
