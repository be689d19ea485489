import type { Queryable } from '../core/database.ts'
import type { Scope } from '../core/scope.ts'
import { dataFaults } from './faults.ts'

/**
 * The scope of a function that only reads: `db` is the nearest replica as well, and both refuse whatever is no SELECT, as a
 * read-only transaction of Postgres does. What a handler reaches by `env` is its own business.
 */
export function readOnlyScope(scope: Scope): Scope {
  const db = (): Queryable => {
    const { replica } = scope
    return {
      prepare(text) {
        if (!isReading(text))
          throw dataFaults['25006']({
            message: `cannot execute ${verbOf(text)} in a read-only transaction`,
          })
        return replica.prepare(text)
      },
      batch: (statements) => replica.batch(statements),
    }
  }
  return Object.create(scope, { db: { get: db }, replica: { get: db } })
}

/** The scope of a function that may write: what it reads afterwards is what it wrote. */
export const primaryScope = (scope: Scope): Scope =>
  Object.create(scope, { replica: { get: () => scope.db } })

/** Whether a statement writes nothing. */
export const isReading = (text: string): boolean => reading.has(verbOf(text))

const reading = new Set(['SELECT', 'VALUES', 'EXPLAIN'])
// After WITH, the first of these outside of parentheses is what is done.
const doing = new Set(['SELECT', 'VALUES', 'INSERT', 'UPDATE', 'DELETE', 'REPLACE'])
const noWords = /'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/g

/** What a statement of SQLite does: its first word, or that after its common table expressions. */
function verbOf(text: string): string {
  let depth = 0
  let first = ''
  for (const [word] of text.replace(noWords, ' ').matchAll(/[()]|\w+/g)) {
    if (word === '(') depth++
    else if (word === ')') depth--
    else {
      const verb = word.toUpperCase()
      first ||= verb
      if (first !== 'WITH') return first
      if (depth === 0 && doing.has(verb)) return verb
    }
  }
  return first
}
