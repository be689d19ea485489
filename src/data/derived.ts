import {
  type Derived,
  type DerivedMigration,
  derivedMigration,
  quotedName,
  slugOf,
} from '../core/derived.ts'

/*
 * DDL that follows a declaration of `expose`: see `live-ddl.ts` and `search-ddl.ts`. To add a kind of it:
 *
 * 1. Write a function from what is declared of one table to its `Derived` and SQL, and make a migration of it by
 *    `following(kind, …)`. All that it makes is named by `nameOf(kind, table, …)`, and made by `CREATE` without
 *    `IF NOT EXISTS`: whatever bears one of the names in `makes` is dropped before. Triggers are written by `trigger`.
 * 2. Append the migrations in `migrationsOf` of `index.ts`.
 *
 * The rest is seen to by `core/migrate.ts` and `npx leanto migrations`: the SQL runs when a table becomes searched, again
 * whenever it changes by a letter, and what it made is dropped when nothing declares it any more. So SQL that fills a
 * table (`INSERT … SELECT` from the host's) belongs in it as well. `npx leanto rebuild` makes all of it anew.
 */

/** The kinds of what is derived, each a part of names: `leanto_data_live_notes_insert`. */
export type Kind = 'live' | 'search'

/** A derived migration of this module. @see the top of this file */
export const following = (
  kind: Kind,
  ddl: Derived & { sql: readonly string[] },
): DerivedMigration => derivedMigration(kind, ddl)

/** The name of something that is derived from a table. */
export const nameOf = (kind: Kind, table: string, part?: string): string =>
  ['leanto_data', kind, slugOf(table), ...(part === undefined ? [] : [part])].join('_')

export interface Trigger {
  name: string
  /** `AFTER INSERT`, `AFTER UPDATE OF "title"`. */
  when: string
  table: string
  /** The condition, if any. */
  condition?: string
  /** One statement, without its semicolon. */
  run: string
}

/**
 * `CREATE TRIGGER`, in the only form that deploys: `wrangler d1 migrations apply --remote` has D1 itself cut the file into
 * statements, which takes a trigger for whole only on one line, with `BEGIN` and `END` in capitals and no other `END` in it
 * (https://github.com/cloudflare/workers-sdk/issues/4998, 10998, 15690). So a `CASE … END` is written `iif(…)`.
 *
 * @throws {TypeError} if it is not of that form, as with a column whose name holds a line break, or longer than D1 takes.
 */
export function trigger({ name, when, table, condition, run }: Trigger): string {
  const on = `CREATE TRIGGER ${quotedName(name)} ${when} ON ${quotedName(table)}`
  const text = `${on}${condition === undefined ? '' : ` WHEN ${condition}`} BEGIN ${run}; END`
  const outside = text.replaceAll(/"(?:[^"]|"")*"|'(?:[^']|'')*'/g, '""')
  const words = outside.match(/\b(?:BEGIN|CASE|END)\b/gi) ?? []
  if (/[\r\n]/.test(text) || words.length > 2)
    throw new TypeError(`data: the trigger ${name} cannot be written in a form that D1 deploys`)
  if (new TextEncoder().encode(text).length > 100_000)
    throw new TypeError(`data: the trigger ${name} names too much: D1 takes SQL of 100 KB`)
  return text
}
