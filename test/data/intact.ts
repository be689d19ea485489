import { env } from 'cloudflare:workers'
import { expect } from 'vitest'
import { fresh, stored } from './store.ts'

/** 1 is alice’s own, 2 is bob’s own. */
export const seed = async () => {
  await fresh()
  await env.DB.batch(
    [
      `INSERT INTO notes (id, owner_id, title, public, created_at) VALUES (1, 'alice', 'mine', 0, 0), (2, 'bob', 'his', 0, 0)`,
      `INSERT INTO tags (name) VALUES ('a'), ('b')`,
    ].map((sql) => env.DB.prepare(sql)),
  )
}

/** What hostile requests must leave as it was. */
export const everything = async () => [
  await stored('SELECT * FROM notes ORDER BY id'),
  await stored('SELECT * FROM tags ORDER BY name'),
  await stored('SELECT * FROM kinds'),
  await stored('SELECT * FROM lines'),
]

/** PostgREST's body, and nothing of the machine in it. */
export const wellFormed = (text: string) => {
  const body = JSON.parse(text)
  expect(Object.keys(body)).toEqual(['code', 'message', 'details', 'hint'])
  expect(text).not.toMatch(machine)
  return body
}
export const machine =
  /SQLITE|D1_|syntax error at|unrecognized token|no such (table|column)|near \\"|leanto_given|json_each|at async|\.ts:/
