import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { type DatabaseOf, data, type Exposed, expose } from 'leanto/data'
import { expectTypeOf } from 'vitest'
import { base, type Database, identity, open, tables } from './relations.ts'

/*
 * What `references` may say: `tsc -p test` is the test.
 */

type Tables = Database['public']['Tables']
type Relationships<Name extends keyof Tables> = Tables[Name]['Relationships']

// By the constraint's conventional name, which has the table's name in the URL, and the columns' SQL names.
type OfComments = Relationships<'comments'>
expectTypeOf<OfComments['length']>().toEqualTypeOf<2>()
expectTypeOf<
  Extract<OfComments[number], { foreignKeyName: 'comments_note_id_fkey' }>
>().toEqualTypeOf<{
  foreignKeyName: 'comments_note_id_fkey'
  columns: ['note_id']
  isOneToOne: false
  referencedRelation: 'notes'
  referencedColumns: ['id']
}>()
expectTypeOf<
  Extract<OfComments[number], { foreignKeyName: 'comments_author_id_fkey' }>
>().toEqualTypeOf<{
  foreignKeyName: 'comments_author_id_fkey'
  columns: ['author_id']
  isOneToOne: false
  referencedRelation: 'users'
  referencedColumns: ['id']
}>()
expectTypeOf<Relationships<'bookings'>>().toEqualTypeOf<
  [
    {
      foreignKeyName: 'bookings_seat'
      columns: ['hall', 'seat']
      isOneToOne: false
      referencedRelation: 'seats'
      referencedColumns: ['hall', 'seat_no']
    },
  ]
>()
// A primary key is unique by itself; another column if it says so.
expectTypeOf<Relationships<'profiles'>[0]['isOneToOne']>().toEqualTypeOf<true>()
expectTypeOf<Relationships<'badges'>[0]['isOneToOne']>().toEqualTypeOf<true>()
expectTypeOf<Relationships<'users'>[0]['isOneToOne']>().toEqualTypeOf<false>()
// A hidden column is no column of a relation, and no declared reference is no relation.
expectTypeOf<Relationships<'notes'>[number]['foreignKeyName']>().toEqualTypeOf<
  'notes_owner_id_fkey' | 'notes_editor'
>()
expectTypeOf<Relationships<'tags'>>().toEqualTypeOf<[]>()

// The table's own columns are known where it is exposed.
const { users, notes, seats, bookings } = tables
// @ts-expect-error: no such key.
expose(notes, { references: { ownrId: 'users.id' } })
// @ts-expect-error: keys are drizzle's.
expose(notes, { references: { owner_id: 'users.id' } })
// @ts-expect-error: a table without its column.
expose(notes, { references: { ownerId: 'users' } })
// @ts-expect-error: no such key.
expose(notes, { references: { by: { columns: ['ownrId'], to: ['users.id'] } } })
// @ts-expect-error: `columns` goes under the constraint's name.
expose(notes, { references: { ownerId: { columns: ['ownerId'], to: ['users.id'] } } })
// @ts-expect-error: it is, or it is not said.
expose(notes, { references: { ownerId: { to: 'users.id', unique: false } } })
// @ts-expect-error: of no columns.
expose(notes, { references: { by: { columns: [], to: [] } } })

// The other tables are known where they are listed.
const listed = <const Table extends Exposed>(bookings: Table) => ({
  users: expose(users, open),
  seats: expose(seats, open),
  bookings,
})
const fine = expose(bookings, {
  references: { seat_fk: { columns: ['seat', 'hall'], to: ['seats.no', 'seats.hall'] } },
})
data(base, { identity, tables: listed(fine) })

const noTable = expose(bookings, { references: { hall: 'halls.id' } })
// @ts-expect-error: no table of that name.
data(base, { identity, tables: listed(noTable) })
const noColumn = expose(bookings, { references: { hall: 'seats.seat_no' } })
// @ts-expect-error: keys are drizzle's.
data(base, { identity, tables: listed(noColumn) })
const unlike = expose(bookings, { references: { seat: 'users.id' } })
// @ts-expect-error: a number never equals a text.
data(base, { identity, tables: listed(unlike) })
const twoTables = expose(bookings, {
  references: { x: { columns: ['hall', 'seat'], to: ['users.id', 'seats.no'] } },
})
// @ts-expect-error: columns of two tables.
data(base, { identity, tables: listed(twoTables) })
const uneven = expose(bookings, {
  references: { x: { columns: ['hall'], to: ['seats.hall', 'seats.no'] } },
})
// @ts-expect-error: one column for two.
data(base, { identity, tables: listed(uneven) })
const uneven2 = expose(bookings, {
  references: { x: { columns: ['hall', 'seat'], to: ['seats.hall'] } },
})
// @ts-expect-error: two columns for one.
data(base, { identity, tables: listed(uneven2) })

// A nullable column may refer to one that is not, and a branded type to the one that it brands.
type UserId = string & { readonly brand: 'user' }
const branded = sqliteTable('branded', {
  id: integer('id').primaryKey(),
  userId: text('user_id').$type<UserId>(),
})
const brandedStore = data(base, {
  identity,
  tables: {
    users: expose(users, open),
    branded: expose(branded, { ...open, references: { userId: 'users.id' } }),
  },
})
type Branded = DatabaseOf<typeof brandedStore>['public']['Tables']['branded']
expectTypeOf<Branded['Row']>().toEqualTypeOf<{ id: number; user_id: UserId | null }>()
expectTypeOf<Branded['Relationships'][0]['referencedRelation']>().toEqualTypeOf<'users'>()

// Hidden at the other end.
const hiddenEnd = data(base, {
  identity,
  tables: {
    users: expose(users, { ...open, hidden: ['id'] }),
    comments: expose(tables.comments, { ...open, references: { authorId: 'users.id' } }),
  },
})
type HiddenEnd = DatabaseOf<typeof hiddenEnd>['public']['Tables']['comments']['Relationships']
expectTypeOf<HiddenEnd>().toEqualTypeOf<[]>()

// Of a widened table nothing is known, and nothing is refused.
declare const widened: Record<string, Exposed>
data(base, { identity, tables: widened })
declare const one: Exposed
const withOne = data(base, { identity, tables: { one, users: expose(users, open) } })
type One = DatabaseOf<typeof withOne>['public']['Tables']['one']['Relationships']
expectTypeOf<One>().toEqualTypeOf<[]>()
