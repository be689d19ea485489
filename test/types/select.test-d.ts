import { expectTypeOf } from 'vitest'
import type { Json } from '../../src/data/database-of.ts'
import { client, type HasAny, rowOf } from './relations.ts'

/*
 * Select strings as supabase-js reads them: `tsc -p test` is the test. What an embedded row's own policy hides, the
 * types cannot know: a to-one embed may be null although its column is not.
 */

const users = client.from('users')
const notes = client.from('notes')
const comments = client.from('comments')

/** Exactly this, and no `any` in it: of a row that holds one, `holds` is the only argument that fits. */
const row = <Row>(_row: Row, ..._any: HasAny<Row> extends true ? ['holds any'] : []) =>
  expectTypeOf(_row)

// The checks can fail.
expectTypeOf<HasAny<{ a: { b: unknown[] }[] | null }>>().toEqualTypeOf<false>()
// biome-ignore lint/suspicious/noExplicitAny: what the check is for.
expectTypeOf<HasAny<{ a: { b: any }[] | null }>>().toEqualTypeOf<true>()
// @ts-expect-error: title is missing.
row(rowOf(notes.select('id, title'))).toEqualTypeOf<{ id: number }>()
// @ts-expect-error: a number.
row(rowOf(notes.select('id'))).toEqualTypeOf<{ id: string }>()
// @ts-expect-error: holds any.
row([JSON.parse('')])

// Columns, renames, casts.
row(rowOf(notes.select('id, name:title, shown:id::text'))).toEqualTypeOf<{
  id: number
  name: string
  shown: string
}>()
row(rowOf(notes.select('rank::int8, title::bool, id::numeric, json:title::json'))).toEqualTypeOf<{
  rank: number
  title: boolean
  id: number
  json: Json
}>()
row(rowOf(notes.select())).toEqualTypeOf<{
  id: number
  owner_id: string
  editor_id: string | null
  title: string
  rank: number | null
  meta: { tags: string[]; size: { w: number } } | null
  anything: Json | null
}>()

// JSON paths: by the column's `$type`; without one, any JSON, and text by ->>.
row(
  rowOf(notes.select('meta->tags, meta->size->w, wide:meta->size->>w, anything->a, anything->>b')),
).toEqualTypeOf<{ tags: string[]; w: number; wide: string; a: Json; b: string }>()

// Aggregates.
row(rowOf(notes.select('count(), rank.sum(), mean:rank.avg(), id.max()::text'))).toEqualTypeOf<{
  count: number
  sum: number
  mean: number
  max: string
}>()
row(rowOf(notes.select('title, id.min()'))).toEqualTypeOf<{ title: string; min: number }>()

// Many-to-one: null only where the column may be.
row(rowOf(comments.select('id, notes(title), users(name)'))).toEqualTypeOf<{
  id: number
  notes: { title: string }
  users: { name: string } | null
}>()
row(rowOf(comments.select('id, author:users!inner(name)'))).toEqualTypeOf<{
  id: number
  author: { name: string }
}>()

// One-to-many.
row(rowOf(notes.select('id, comments(text)'))).toEqualTypeOf<{
  id: number
  comments: { text: string }[]
}>()
row(rowOf(notes.select('id, said:comments!inner(text)'))).toEqualTypeOf<{
  id: number
  said: { text: string }[]
}>()
row(rowOf(notes.select('id, comments!left(text)'))).toEqualTypeOf<{
  id: number
  comments: { text: string }[]
}>()

// One-to-one, by a primary key and by a unique column, from both ends.
row(rowOf(users.select('id, profiles(bio), badges(no)'))).toEqualTypeOf<{
  id: string
  profiles: { bio: string | null } | null
  badges: { no: number } | null
}>()
row(rowOf(client.from('profiles').select('users(name)'))).toEqualTypeOf<{
  users: { name: string }
}>()
row(rowOf(client.from('badges').select('users(name)'))).toEqualTypeOf<{
  users: { name: string }
}>()

// Many-to-many, through the join table, and the join table itself.
row(rowOf(notes.select('id, tags(label)'))).toEqualTypeOf<{
  id: number
  tags: { label: string }[]
}>()
row(rowOf(client.from('tags').select('label, notes(id, title)'))).toEqualTypeOf<{
  label: string
  notes: { id: number; title: string }[]
}>()
row(rowOf(client.from('note_tags').select('tags(label), notes(title)'))).toEqualTypeOf<{
  tags: { label: string }
  notes: { title: string }
}>()

// Hints: by constraint, by column, both ways; the column alone.
row(
  rowOf(
    notes.select(
      'a:users!notes_owner_id_fkey(name), b:users!owner_id(name), c:users!notes_editor(name)',
    ),
  ),
).toEqualTypeOf<{ a: { name: string }; b: { name: string }; c: { name: string } | null }>()
row(rowOf(notes.select('editor:users!editor_id!inner(name)'))).toEqualTypeOf<{
  editor: { name: string }
}>()
row(rowOf(users.select('owned:notes!owner_id(id), edited:notes!notes_editor(id)'))).toEqualTypeOf<{
  owned: { id: number }[]
  edited: { id: number }[]
}>()
row(rowOf(notes.select('owner_id(name), editor_id(name)'))).toEqualTypeOf<{
  owner_id: { name: string }
  editor_id: { name: string } | null
}>()

// Self-references: the table's name is the many, the column's the one.
row(
  rowOf(users.select('name, users(name), boss:boss_id(name), staff:users!boss_id(name)')),
).toEqualTypeOf<{
  name: string
  users: { name: string }[]
  boss: { name: string } | null
  staff: { name: string }[]
}>()

// A key of two columns.
row(rowOf(client.from('bookings').select('id, seats(soft)'))).toEqualTypeOf<{
  id: number
  seats: { soft: boolean }
}>()
row(rowOf(client.from('seats').select('seat_no, bookings!bookings_seat(id)'))).toEqualTypeOf<{
  seat_no: number
  bookings: { id: number }[]
}>()

// Nested, empty, of all columns, and with aggregates.
row(
  rowOf(notes.select('id, comments(id, text, author:users(name, profiles(bio)))')),
).toEqualTypeOf<{
  id: number
  comments: {
    id: number
    text: string
    author: { name: string; profiles: { bio: string | null } | null } | null
  }[]
}>()
row(rowOf(notes.select('id, comments!inner()'))).toEqualTypeOf<{ id: number }>()
row(rowOf(client.from('tags').select('*, notes(*)'))).toEqualTypeOf<{
  id: number
  label: string
  notes: {
    id: number
    owner_id: string
    editor_id: string | null
    title: string
    rank: number | null
    meta: { tags: string[]; size: { w: number } } | null
    anything: Json | null
  }[]
}>()
row(rowOf(notes.select('id, comments(count)'))).toEqualTypeOf<{
  id: number
  comments: { count: number }[]
}>()
row(rowOf(notes.select('id, comments(text, newest:id.max(), count())'))).toEqualTypeOf<{
  id: number
  comments: { text: string; newest: number; count: number }[]
}>()

// Spreads: to one, as columns, null where the row may be; to many, as lists; nested.
row(rowOf(comments.select('id, ...notes(title), ...users(by:name)'))).toEqualTypeOf<{
  id: number
  title: string
  by: string | null
}>()
row(rowOf(notes.select('id, ...tags(label), ...comments(said:text, users(name))'))).toEqualTypeOf<{
  id: number
  label: string[]
  said: string[]
  users: ({ name: string } | null)[]
}>()
row(rowOf(notes.select('id, ...users!owner_id(name, ...profiles(bio))'))).toEqualTypeOf<{
  id: number
  name: string
  bio: string | null
}>()

// What is not there: the row is, or holds, an error, and cannot be used as if it were there.
export const wrong = {
  // @ts-expect-error: no such column.
  column: rowOf(notes.select('id, nothing')).id,
  // @ts-expect-error: hidden.
  hidden: rowOf(users.select('secret')).secret.length,
  // @ts-expect-error: by a hidden column.
  hiddenKey: rowOf(notes.select('secret_id(name)')).secret_id.name,
  // @ts-expect-error: hidden, in an embed.
  hiddenInside: rowOf(comments.select('users(secret)')).users?.secret,
  // @ts-expect-error: no relation.
  relation: rowOf(notes.select('seats(hall)')).seats.hall,
  // @ts-expect-error: three ways, of which two are seen.
  ambiguous: rowOf(notes.select('users(name)')).users.name,
  // @ts-expect-error: no such constraint.
  hint: rowOf(notes.select('users!notes_reader(name)')).users.name,
  // @ts-expect-error: no such column there.
  inside: rowOf(comments.select('notes(nothing)')).notes.nothing,
}

// Filters and order of embeds.
export async function modifiers() {
  const { data } = await notes
    .select('id, comments(text)')
    .eq('comments.text', 'x')
    .not('comments', 'is', null)
    .order('text', { referencedTable: 'comments' })
    .limit(3, { referencedTable: 'comments' })
  expectTypeOf(data).toEqualTypeOf<{ id: number; comments: { text: string }[] }[] | null>()
  const one = await comments.select('id, notes(title)').eq('id', 1).single()
  expectTypeOf(one.data).toEqualTypeOf<{ id: number; notes: { title: string } } | null>()
  const written = await comments
    .insert({ note_id: 1, text: 'x' })
    .select('id, notes(title)')
    .single()
  expectTypeOf(written.data).toEqualTypeOf<{ id: number; notes: { title: string } } | null>()
  // @ts-expect-error: a number.
  comments.insert({ note_id: 'x', text: 'x' })
  // @ts-expect-error: no such column.
  comments.update({ nothing: 1 })
  // @ts-expect-error: no such column.
  comments.select('id').order('nothing').eq('nothing', 1)
}
