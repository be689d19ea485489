/** A piece of SQL with the values of its `?`. Made of constants only: values travel as parameters. */
export interface Condition {
  readonly sql: string
  readonly values: readonly unknown[]
}

export const condition = (sql: string, ...values: unknown[]): Condition => ({ sql, values })

/** The user `u` with this id. */
export const byId = (id: string): Condition => condition('u.id = ?', id)

/** The user `u` with this address, which must be normalised. */
export const byEmail = (email: string): Condition => condition('u.email = ?', email)

/** All of them; of none, no condition at all. */
export const and = (...conditions: readonly Condition[]): Condition => ({
  sql: conditions.map(({ sql }) => `(${sql})`).join(' AND ') || '1',
  values: conditions.flatMap(({ values }) => values),
})
