import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { lastingOf, type Migrated, migrationHash, recordSql } from '../core/migrate.ts'
import { type Deriving, pendingDerived } from './derived.ts'
import {
  endingOf,
  filesIn,
  type MigrationFile,
  mustHold,
  numberOf,
  type PendingFile,
} from './folder.ts'
import { makesTable } from './host-sql.ts'

export interface Written {
  readonly name: string
  /** The host's table that it stands on, if no file in the folder makes that. */
  readonly misses?: string
}

/**
 * Writes the migrations that are not in the folder yet, `core`'s first, as `NNNN_leanto_<module>_<id>.sql` numbered after
 * what is there. A migration is known by the part after its number, so the host may renumber its files.
 *
 * @param deriving Absent if the host's declarations are not known: what follows them is then left as it is.
 * @returns What it wrote.
 * @throws {Refusal} if a file holds another version of its migration: it may have been applied already.
 */
export async function writeMigrations(
  folder: string,
  modules: readonly Migrated[],
  deriving?: Deriving,
): Promise<Written[]> {
  const present = await filesIn(folder)
  const pending = [
    ...(await pendingLasting(folder, present, modules)),
    ...(deriving ? await pendingDerived(folder, present, modules, deriving) : []),
  ]
  const width = Math.max(4, ...present.map(({ name }) => name.match(/^\d+/)?.[0].length ?? 0))
  const highest = present.map(({ name }) => numberOf(name)).findLast((n) => n !== undefined) ?? 0n
  const written = pending.map((file, i) => ({
    name: String(highest + BigInt(i) + 1n).padStart(width, '0') + file.ending,
    text: textOf(file),
    table: file.table,
  }))
  if (written.length > 0) await mkdir(folder, { recursive: true })
  // 'wx': should two runs meet, one of them fails instead of overwriting.
  for (const { name, text } of written) await writeFile(join(folder, name), text, { flag: 'wx' })
  const all = [...present, ...written]
  return written.map(({ name, table }) => ({
    name,
    ...(table !== undefined && !all.some(({ text }) => makesTable(text, table))
      ? { misses: table }
      : {}),
  }))
}

async function pendingLasting(
  folder: string,
  present: readonly MigrationFile[],
  modules: readonly Migrated[],
): Promise<PendingFile[]> {
  const pending: PendingFile[] = []
  for (const { name, migrations } of lastingOf(modules))
    for (const migration of migrations) {
      const ending = `_leanto_${name}_${migration.id}.sql`
      const before = present.find((file) => endingOf(file.name) === ending)
      if (before) mustHold(folder, before, await migrationHash(migration))
      else if (!pending.some((other) => other.ending === ending))
        pending.push({
          ending,
          statements: [...migration.sql, await recordSql(name, migration)],
        })
    }
  return pending
}

const textOf = ({ comments = [], statements }: PendingFile): string =>
  [
    '-- Written by `npx leanto migrations`. Do not edit: its hash is recorded when it is applied.',
    ...comments.map((comment) => `-- ${comment}`),
    ...statements.map((sql) => `${outdent(sql)};`),
    '',
  ].join('\n')

/** Takes off the indentation that the statement has in leanto's own source. */
function outdent(sql: string): string {
  const [first = '', ...rest] = sql.trim().split('\n')
  const indents = rest.filter((line) => line.trim()).map((line) => line.search(/\S/))
  const closing = rest.length > 0 ? Math.min(...indents) : 0
  return [first, ...rest.map((line) => line.slice(closing).trimEnd())].join('\n')
}
