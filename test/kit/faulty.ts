import type { Database, Queryable, Statement } from 'leanto'

/** What a failing D1 says: text that must reach nobody. */
export const d1Error = 'D1_ERROR: no such table: leanto_secret_table: SQLITE_ERROR'

/**
 * A database in front of a real one that fails when it is told to.
 *
 * @param fails Asked before every round trip, with the SQL of its statements; `'after'` fails once the work is done,
 * as when the answer is lost on the way. It may do something in between, and be waited for.
 */
export function faulty(
  real: Database,
  fails: (sql: string[]) => boolean | 'after' | Promise<boolean>,
): Database {
  const texts = new WeakMap<Statement, string>()
  const wrap = (statement: Statement, sql: string): Statement => {
    texts.set(statement, sql)
    return new Proxy(statement, {
      get(target, name) {
        if (name === inner) return target
        if (name === 'bind') return (...values: unknown[]) => wrap(target.bind(...values), sql)
        const run = target[name as 'all']
        return async () => guard([sql], () => run.call(target))
      },
    })
  }
  const guard = async <T>(sql: string[], work: () => Promise<T>): Promise<T> => {
    const verdict = await fails(sql)
    if (verdict === true) throw new Error(d1Error)
    const result = await work()
    if (verdict === 'after') throw new Error(d1Error)
    return result
  }
  const over = <Q extends Queryable>(queryable: Q): Q =>
    new Proxy(queryable, {
      get(target, name) {
        if (name === 'prepare') return (sql: string) => wrap(target.prepare(sql), sql)
        if (name === 'batch')
          return (statements: Statement[]) => {
            const real = statements.map((s) => (s as never as { [inner]: Statement })[inner])
            return guard(
              real.map((s) => texts.get(s) ?? ''),
              () => target.batch(real),
            )
          }
        if (name === 'withSession')
          return (constraint?: string) =>
            over((target as Database).withSession?.(constraint) as never)
        const value = target[name as keyof Q]
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  return over(real)
}

const inner = Symbol('inner')
