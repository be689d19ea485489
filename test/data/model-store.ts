import { env } from 'cloudflare:workers'
import { getTableColumns } from 'drizzle-orm'
import type { SQLiteColumn } from 'drizzle-orm/sqlite-core'
import { data, expose } from 'leanto/data'
import { makeBase, mount } from '../kit/world.ts'
import {
  createSql,
  type Filter,
  policySql,
  type Row,
  type Shape,
  storedValue,
  tableOf,
} from './model.ts'
import { people } from './store.ts'

export interface Modelled {
  name: string
  shape: Shape
  rows: readonly Row[]
  policy: Filter | null
  /** The columns, by name, that clients may not see. */
  hidden?: readonly string[]
  /** What a column, by its key in drizzle, refers to. */
  references?: Record<string, `${string}.${string}`>
}

/** The tables with their rows, and a store over them. */
export async function build(tables: readonly Modelled[]) {
  const statements = tables.flatMap(({ name, shape: { columns }, shape, rows }) => [
    env.DB.prepare(`DROP TABLE IF EXISTS "${name}"`),
    env.DB.prepare(createSql(name, shape)),
    ...rows.map((row) =>
      env.DB.prepare(
        `INSERT INTO "${name}" VALUES (?1${columns.map((_, i) => `, ?${i + 2}`).join('')})`,
      ).bind(row.id, ...columns.map((column) => storedValue(row[column.name] ?? null))),
    ),
  ])
  await env.DB.batch(statements)
  const exposed = tables.map(({ name, shape, policy, hidden = [], references }) => {
    const table = tableOf(name, shape)
    const columns = getTableColumns(table) as Record<string, SQLiteColumn>
    const select = policy === null ? () => true : () => policySql(policy, columns, shape)
    const keys = hidden.map(
      (one) => `c${shape.columns.findIndex((column) => column.name === one)}` as never,
    )
    return [
      name,
      expose(table, {
        select,
        hidden: keys,
        ...(references ? { references: references as never } : {}),
      }),
    ] as const
  })
  return mount({
    '/r': data(makeBase(), { identity: people, tables: Object.fromEntries(exposed) }),
  })
}

/** What a caller can see of an answer. */
export async function seen(
  ask: Awaited<ReturnType<typeof build>>,
  url: string,
  headers: Record<string, string>,
) {
  const response = await ask(url, { headers })
  const all = [...response.headers].filter(([name]) => name !== 'date' && name !== 'x-d1-bookmark')
  return JSON.stringify([response.status, all.sort(), await response.text()])
}
