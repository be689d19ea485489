import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Refusal } from './refusal.ts'

/** A migration in the host's folder. */
export interface MigrationFile {
  readonly name: string
  readonly text: string
}

/** One that is to be written there, but for its number. */
export interface PendingFile {
  /** `_leanto_<module>_<id>.sql` */
  readonly ending: string
  /** Lines of comment after the first. */
  readonly comments?: readonly string[]
  readonly statements: readonly string[]
  /** The host's table, if it stands on one. */
  readonly table?: string
}

/** The migrations in a folder, in the order in which wrangler applies them: by number, then by name. None if there is no folder. */
export async function filesIn(folder: string): Promise<MigrationFile[]> {
  let names: string[]
  try {
    names = await readdir(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return []
  }
  const files = names
    .filter((name) => name.endsWith('.sql'))
    .map(async (name) => ({ name, text: await readFile(join(folder, name), 'utf8') }))
  return (await Promise.all(files)).sort((a, b) => compare(a.name, b.name))
}

/** Not a sum of numbers: a time stamp (20261001093000) is a number as good as 0001. */
export const numberOf = (name: string): bigint | undefined => {
  const digits = name.match(/^\d+/)?.[0]
  return digits === undefined ? undefined : BigInt(digits)
}

function compare(a: string, b: string): number {
  const [x, y] = [numberOf(a), numberOf(b)]
  if (x !== y && x !== undefined && y !== undefined) return x < y ? -1 : 1
  if (x !== y) return x === undefined ? 1 : -1
  return a < b ? -1 : 1
}

/** A file's name after its number, which the host may change. */
export const endingOf = (name: string): string => name.replace(/^\d+/, '')

/** @throws {Refusal} if a file of leanto's is not as it was written. */
export function mustHold(folder: string, { name, text }: MigrationFile, hash: string) {
  if (!text.includes(hash))
    throw new Refusal(
      `${join(folder, name)} is not the migration that leanto ships. Restore the file as it was written; ` +
        'if it was never applied anywhere, delete it and run this again.',
    )
}
