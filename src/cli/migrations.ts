import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { coreMigrations, type Migrated, migrationHash, recordSql } from '../core/migrate.ts'
import { Refusal } from './refusal.ts'

/**
 * Writes the migrations that are not in the folder yet, `core`'s first, as `NNNN_leanto_<module>_<id>.sql` numbered after
 * what is there. A migration is known by the part after its number, so the host may renumber its files.
 *
 * @returns The names of the files that it wrote.
 * @throws {Refusal} if a file holds another version of its migration: it may have been applied already.
 */
export async function writeMigrations(folder: string, modules: Migrated[]): Promise<string[]> {
  const present = (await filesOf(folder)).filter((file) => file.endsWith('.sql'))
  const numbers = present.map((file) => file.match(/^\d+/)?.[0]).filter((n) => n !== undefined)
  const width = Math.max(4, ...numbers.map((number) => number.length))
  // Not a sum of numbers: a time stamp (20261001093000) is a prefix as good as 0001.
  let next = numbers.reduce((highest, n) => (BigInt(n) > highest ? BigInt(n) : highest), 0n)

  const pending: { file: string; text: string }[] = []
  for (const { name, migrations } of [coreMigrations, ...modules])
    for (const migration of migrations) {
      const ending = `_leanto_${name}_${migration.id}.sql`
      const before = present.find(
        (file) => /^\d+$/.test(file.slice(0, -ending.length)) && file.endsWith(ending),
      )
      if (before) {
        const text = await readFile(join(folder, before), 'utf8')
        if (!text.includes(await migrationHash(migration)))
          throw new Refusal(
            `${join(folder, before)} is not the migration that leanto ships. Restore the file as it was written; ` +
              'if it was never applied anywhere, delete it and run this again.',
          )
        continue
      }
      next += 1n
      const statements = [...migration.sql, await recordSql(name, migration)]
      pending.push({
        file: String(next).padStart(width, '0') + ending,
        text: `-- Written by \`npx leanto migrations\`. Do not edit: its hash is recorded when it is applied.\n${statements.map((sql) => `${outdent(sql)};\n`).join('')}`,
      })
    }
  if (pending.length > 0) await mkdir(folder, { recursive: true })
  // 'wx': should two runs meet, one of them fails instead of overwriting.
  for (const { file, text } of pending) await writeFile(join(folder, file), text, { flag: 'wx' })
  return pending.map(({ file }) => file)
}

async function filesOf(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Takes off the indentation that the statement has in leanto's own source. */
function outdent(sql: string): string {
  const [first = '', ...rest] = sql.trim().split('\n')
  const indents = rest.filter((line) => line.trim()).map((line) => line.search(/\S/))
  const closing = rest.length > 0 ? Math.min(...indents) : 0
  return [first, ...rest.map((line) => line.slice(closing).trimEnd())].join('\n')
}
