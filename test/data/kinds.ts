import { expect } from 'vitest'
import { alice, call } from './store.ts'

/** The ids of what a read finds. */
export const ids = async (path: string, token = alice) => {
  const { status, body } = await call(path, { token })
  expect({ path, status, body }).toMatchObject({ status: 200 })
  return body.map(({ id }: { id: unknown }) => id)
}

/** Three rows of each type: a low one, a high one, and one that is null throughout. */
export const kindsSql = `INSERT INTO kinds
    (id, words, colour, short, whole, fraction, exact, amount, huge, flag, seconds, millis, json, blob_json, bytes, big)
  VALUES
    ('a', 'apple', 'blue', 'ab', -1, -0.5, '1.25', 1.25, '10', 0, 0, 0, '{"k":1}', CAST('[1,2]' AS BLOB), x'00ff', CAST('5' AS BLOB)),
    ('b', 'Berry', 'red', 'cd', 10, 2.5, '9.5', 9.5, '900', 1, 86400, 86400500, '"text"', CAST('7' AS BLOB), x'ff', CAST('50' AS BLOB)),
    ('n', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`
