/** What every side of the bench does, as one request of its own. */
export const works = {
  'read one by key': { rows: 1 },
  'list 20, newest first': { rows: 20 },
  'list 1,000': { rows: 1000 },
  'embed 2 levels, 20 rows': { rows: 20 },
  'insert 1': { rows: 1 },
  'insert 100': { rows: 100 },
  'update one': { rows: 1 },
} as const

export type WorkName = keyof typeof works

export interface Ask {
  path: string
  method?: string
  body?: unknown
  status: number
}

/** One of those that are compared, running and filled. */
export interface Side {
  name: string
  /** Of the process that answers. */
  pid: number
  url: URL
  headers: Record<string, string>
  /** More than one request where one cannot do it. */
  asks: Record<WorkName, (i: number) => Ask | Ask[]>
  /** The rows of an answer. */
  rowsOf(json: never): unknown
  stop(): Promise<void>
}

/** Every side has the same: notes of which alice owns each fourth, three comments on each, fifty authors. */
export const noteCount = 5000
export const commentsPerNote = 3
export const authorCount = 50

/** The i-th of alice's notes. */
export const ownId = (i: number) => 4 * ((i % (noteCount / 4)) + 1)

/** Milliseconds; each note is a second younger than the one before. */
export const firstCreated = 1_700_000_000_000

/** `n(i)`: a table of the numbers from 1. */
export const numbers = (count: number) =>
  `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`

export const drafts = (i: number, more: object = {}) =>
  Array.from({ length: 100 }, (_, j) => ({ title: `many ${i}.${j}`, body: 'words', ...more }))

/** Asks, and answers the texts that came. */
export async function ask({ asks, url, headers }: Side, work: WorkName, i: number) {
  const texts: string[] = []
  for (const { path, method, body, status } of [asks[work](i)].flat()) {
    const response = await fetch(new URL(path, url), {
      method,
      headers: { ...headers, ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    const text = await response.text()
    if (response.status !== status)
      throw new Error(`${work}: ${response.status} ${text.slice(0, 300)}`)
    texts.push(text)
  }
  return texts
}
