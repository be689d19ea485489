import { checkName } from './database.ts'
import type { Definition } from './definition.ts'
import type { Find } from './request.ts'

/**
 * The host's databases: by name, by a pattern whose last character is `*`, or by a function.
 *
 * A name counts before a pattern, the longer pattern before the shorter.
 */
export type Databases =
  | Readonly<Record<string, Definition>>
  | ((name: string) => Definition | undefined)

/** @throws {TypeError} for what is no definition, or no name. */
export function finder(databases: Databases): {
  find: Find
  /** Those that are declared, by name or pattern. */
  declared: readonly (readonly [string, Definition])[]
} {
  if (typeof databases === 'function')
    return {
      declared: [],
      find(name) {
        const definition = databases(name)
        return definition && { definition, exact: false }
      },
    }
  const entries = Object.entries(databases ?? {})
  if (entries.length === 0) throw new TypeError('sync: `databases` must have at least one')
  for (const [name, definition] of entries) {
    if (definition?.kind !== 'owned' && definition?.kind !== 'shared')
      throw new TypeError(`sync: \`databases.${name}\` must be made by owned() or shared()`)
    if (name !== '*') checkPattern(name)
  }
  const names = new Map(entries.filter(([name]) => !name.endsWith('*')))
  const patterns = entries
    .filter(([name]) => name.endsWith('*'))
    .sort(([a], [b]) => b.length - a.length)
  return {
    declared: entries,
    find(name) {
      const named = names.get(name)
      if (named) return { definition: named, exact: true }
      const pattern = patterns.find(([start]) => name.startsWith(start.slice(0, -1)))
      return pattern && { definition: pattern[1], exact: false }
    },
  }
}

function checkPattern(name: string): void {
  try {
    checkName(name.replace(/\*$/, ''))
  } catch {
    throw new TypeError(
      `sync: \`databases.${name}\` must begin with a small letter and have none but a-z 0-9 _ $ ( ) + - /`,
    )
  }
}
