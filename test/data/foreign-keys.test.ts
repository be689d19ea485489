import { sql } from 'drizzle-orm'
import {
  type AnySQLiteColumn,
  foreignKey,
  integer,
  primaryKey,
  sqliteTable,
  text,
  unique,
  uniqueIndex,
} from 'drizzle-orm/sqlite-core'
import { type Exposed, expose } from 'leanto/data'
import { describe, expect, it } from 'vitest'
import { foreignKeysOf } from '../../src/data/foreign-keys.ts'

const users = sqliteTable('users', {
  id: text('id').primaryKey(),
  handle: text('handle').unique(),
  name: text('name'),
  bossId: text('boss_id').references((): AnySQLiteColumn => users.id),
})
const profiles = sqliteTable('profiles', {
  id: text('id')
    .primaryKey()
    .references(() => users.id),
  bio: text('bio'),
})
const seats = sqliteTable(
  'seats',
  { hall: text('hall').notNull(), no: integer('seat_no').notNull() },
  (t) => [primaryKey({ columns: [t.hall, t.no] })],
)
const notes = sqliteTable('app_notes', {
  id: integer('id').primaryKey(),
  ownerId: text('owner_id').references(() => users.id),
  readerId: text('reader_id'),
  hall: text('hall'),
  seat: integer('seat'),
})

const all = { select: () => true }
const closed: Exposed = expose(users, all)

describe('foreign keys of drizzle', () => {
  it("go by Postgres names, and by drizzle's as well", () => {
    expect(foreignKeysOf({ users: expose(users, all), notes: expose(notes, all) })).toEqual([
      {
        name: 'users_boss_id_fkey',
        aliases: ['users_boss_id_users_id_fk'],
        table: 'users',
        columns: ['boss_id'],
        referencedTable: 'users',
        referencedColumns: ['id'],
        unique: false,
      },
      {
        name: 'notes_owner_id_fkey',
        aliases: ['app_notes_owner_id_users_id_fk', 'app_notes_owner_id_fkey'],
        table: 'notes',
        columns: ['owner_id'],
        referencedTable: 'users',
        referencedColumns: ['id'],
        unique: false,
      },
    ])
  })

  it('count only between exposed tables', () => {
    expect(foreignKeysOf({ notes: expose(notes, all) })).toEqual([])
    expect(foreignKeysOf({ profiles: expose(profiles, all), notes: expose(notes, all) })).toEqual(
      [],
    )
    expect(foreignKeysOf({})).toEqual([])
  })

  it('are there for each pair of names of a table', () => {
    const found = foreignKeysOf({
      users: closed,
      people: closed,
      notes: expose(notes, all),
      drafts: expose(notes, all),
    })
    expect(found.map(({ name, table, referencedTable }) => [name, table, referencedTable])).toEqual(
      [
        ['users_boss_id_fkey', 'users', 'users'],
        ['users_boss_id_fkey', 'users', 'people'],
        ['people_boss_id_fkey', 'people', 'users'],
        ['people_boss_id_fkey', 'people', 'people'],
        ['notes_owner_id_fkey', 'notes', 'users'],
        ['notes_owner_id_fkey', 'notes', 'people'],
        ['drafts_owner_id_fkey', 'drafts', 'users'],
        ['drafts_owner_id_fkey', 'drafts', 'people'],
      ],
    )
  })

  it('are unique by a primary key, a unique column, constraint or whole index', () => {
    const ref = () => text('user_id').references(() => users.id)
    const uniqueOf = (table: Exposed['table']) =>
      foreignKeysOf({ users: closed, it: expose(table, all) })
        .filter(({ table: name }) => name === 'it')
        .map((key) => key.unique)
    expect(uniqueOf(profiles)).toEqual([true])
    expect(uniqueOf(sqliteTable('a', { userId: ref().unique() }))).toEqual([true])
    expect(
      uniqueOf(sqliteTable('b', { userId: ref() }, (t) => [unique('b_one').on(t.userId)])),
    ).toEqual([true])
    expect(
      uniqueOf(sqliteTable('c', { userId: ref() }, (t) => [uniqueIndex('c_one').on(t.userId)])),
    ).toEqual([true])
    expect(
      uniqueOf(sqliteTable('d', { userId: ref() }, (t) => [primaryKey({ columns: [t.userId] })])),
    ).toEqual([true])
    const not = sqliteTable('e', { userId: ref(), at: integer('at') }, (t) => [
      uniqueIndex('partial').on(t.userId).where(sql`${t.at} is null`),
      uniqueIndex('expression').on(sql`lower(${t.userId})`),
      uniqueIndex('mixed').on(t.userId, sql`lower(${t.at})`),
      unique('two').on(t.userId, t.at),
    ])
    expect(uniqueOf(not)).toEqual([false])
  })

  it('may be of several columns, and stated twice', () => {
    const bookings = sqliteTable(
      'bookings',
      {
        hall: text('hall'),
        seat: integer('seat'),
        userId: text('user_id').references(() => users.id),
      },
      (t) => [
        foreignKey({ columns: [t.hall, t.seat], foreignColumns: [seats.hall, seats.no] }),
        foreignKey({ columns: [t.userId], foreignColumns: [users.id], name: 'booked_by' }),
        unique().on(t.seat, t.hall),
      ],
    )
    const found = foreignKeysOf({
      users: closed,
      seats: expose(seats, all),
      bookings: expose(bookings, all),
    }).filter(({ table }) => table === 'bookings')
    expect(found).toHaveLength(2)
    expect(found).toContainEqual({
      name: 'bookings_hall_seat_fkey',
      aliases: ['bookings_hall_seat_seats_hall_seat_no_fk'],
      table: 'bookings',
      columns: ['hall', 'seat'],
      referencedTable: 'seats',
      referencedColumns: ['hall', 'seat_no'],
      unique: true,
    })
    const [user] = found.filter(({ columns }) => columns[0] === 'user_id')
    expect(user).toMatchObject({ name: 'bookings_user_id_fkey', unique: false })
  })

  it('get a number where Postgres would give one', () => {
    const twice = sqliteTable('twice', { id: text('id') }, (t) => [
      foreignKey({ columns: [t.id], foreignColumns: [users.id] }),
      foreignKey({ columns: [t.id], foreignColumns: [users.handle] }),
    ])
    const found = foreignKeysOf({ users: closed, twice: expose(twice, all) })
    expect(found.slice(1).map(({ name, aliases }) => [name, aliases])).toEqual([
      ['twice_id_fkey', ['twice_id_users_id_fk']],
      ['twice_id_fkey1', ['twice_id_users_handle_fk']],
    ])
  })
})

describe('declared references', () => {
  const build = (table: Exposed) => () =>
    foreignKeysOf({
      users: expose(users, all),
      profiles: expose(profiles, all),
      seats: expose(seats, all),
      notes: table,
    }).filter((key) => key.table === 'notes')

  it('act as foreign keys', () => {
    const found = build(expose(notes, { ...all, references: { readerId: 'profiles.id' } }))()
    expect(found).toContainEqual({
      name: 'notes_reader_id_fkey',
      aliases: [],
      table: 'notes',
      columns: ['reader_id'],
      referencedTable: 'profiles',
      referencedColumns: ['id'],
      unique: false,
    })
    expect(found).toHaveLength(2)
  })

  it('of several columns go by the name given', () => {
    const found = build(
      expose(notes, {
        ...all,
        references: {
          notes_seat: { columns: ['seat', 'hall'], to: ['seats.no', 'seats.hall'] },
        },
      }),
    )()
    expect(found[0]).toEqual({
      name: 'notes_seat',
      aliases: [],
      table: 'notes',
      columns: ['seat', 'hall'],
      referencedTable: 'seats',
      referencedColumns: ['seat_no', 'hall'],
      unique: false,
    })
  })

  it('are one with the drizzle foreign key that says the same, and may rename it', () => {
    const same = build(expose(notes, { ...all, references: { ownerId: 'users.id' } }))()
    expect(same).toEqual(build(expose(notes, all))())
    const renamed = build(
      expose(notes, {
        ...all,
        references: { notes_author: { columns: ['ownerId'], to: ['users.id'] } },
      }),
    )()
    expect(renamed).toHaveLength(1)
    expect(renamed[0]).toMatchObject({
      name: 'notes_author',
      aliases: ['app_notes_owner_id_users_id_fk', 'notes_owner_id_fkey', 'app_notes_owner_id_fkey'],
    })
  })

  it('may join the same column to a second table, under a name', () => {
    const found = build(
      expose(notes, {
        ...all,
        references: { notes_profile: { columns: ['ownerId'], to: ['profiles.id'] } },
      }),
    )()
    expect(found.map(({ name, referencedTable }) => [name, referencedTable])).toEqual([
      ['notes_profile', 'profiles'],
      ['notes_owner_id_fkey', 'users'],
    ])
  })

  it('may add to a drizzle foreign key whose table is not exposed', () => {
    const found = foreignKeysOf({
      profiles: expose(profiles, all),
      notes: expose(notes, { ...all, references: { ownerId: 'profiles.id' } }),
    })
    expect(found).toHaveLength(1)
    expect(found[0]).toMatchObject({ name: 'notes_owner_id_fkey', referencedTable: 'profiles' })
  })

  const wrong = (references: unknown, message: RegExp) => {
    const table = expose(notes, { ...all, references: references as never })
    expect(build(table)).toThrow(TypeError)
    expect(build(table)).toThrow(message)
  }

  it('that contradict drizzle are refused', () => {
    wrong({ ownerId: 'profiles.id' }, /contradicts .* users \(id\)/)
    wrong({ ownerId: 'users.handle' }, /contradicts/)
    wrong({ other: { columns: ['ownerId'], to: ['users.handle'] } }, /contradicts/)
  })

  it('that name what is not there are refused', () => {
    wrong({ readerId: 'people.id' }, /"people\.id" is not 'table\.column' of a table/)
    wrong({ readerId: 'toString.id' }, /of a table listed/)
    wrong({ readerId: 'profiles' }, /of a table listed/)
    wrong({ readerId: 'profiles.nothing' }, /"nothing"/)
    wrong({ readerId: 'profiles.constructor' }, /"constructor"/)
    wrong({ reader: 'profiles.id' }, /`references\.reader`: is no column key/)
    wrong({ reader_id: 'profiles.id' }, /is no column key/)
    wrong({ x: { columns: ['reader'], to: ['profiles.id'] } }, /"reader"/)
  })

  it('that are malformed are refused', () => {
    wrong({ readerId: null }, /.*/)
    wrong({ readerId: { columns: ['readerId'], to: ['profiles.id'] } }, /a column's key takes/)
    wrong({ x: { columns: [], to: [] } }, /at least one/)
    wrong({ x: { columns: ['hall'], to: ['seats.hall', 'seats.no'] } }, /as many/)
    wrong({ x: { columns: ['hall', 'seat'], to: ['seats.hall', 'profiles.id'] } }, /one table/)
    wrong(
      {
        notes_reader_id_fkey: { columns: ['hall'], to: ['profiles.id'] },
        readerId: 'profiles.id',
      },
      /another reference has the name notes_reader_id_fkey/,
    )
  })

  it('to a column that is not unique are refused: they would mean many rows', () => {
    wrong({ readerId: 'users.name' }, /must be the primary key or unique/)
    wrong({ hall: 'seats.hall' }, /must be the primary key or unique/)
  })

  it('must say what drizzle says of uniqueness, or the types would be wrong', () => {
    wrong({ readerId: { to: 'profiles.id', unique: true } }, /no such primary key or unique/)
    const one = sqliteTable('ones', { id: integer('id').primaryKey(), u: text('u').unique() })
    const ones = (references: never) => () =>
      foreignKeysOf({ users: closed, ones: expose(one, { ...all, references }) })
    expect(ones({ u: 'users.id' } as never)).toThrow(/add `unique: true`/)
    expect(ones({ u: { to: 'users.id', unique: true } } as never)()[1]?.unique).toBe(true)
    // The types know of a primary key.
    const keyed = expose(profiles, { ...all, references: { id: 'users.id' } })
    const found = foreignKeysOf({ users: closed, profiles: keyed })
    expect(found[1]).toMatchObject({ table: 'profiles', unique: true })
  })
})
