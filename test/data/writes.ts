import { full, merge, one } from './preferences.ts'

/** A write, as one request. */
export interface Write {
  method: 'POST' | 'PATCH' | 'PUT' | 'DELETE'
  path: string
  body?: unknown
  prefer?: string
  headers?: Record<string, string>
  token?: string
}

const ignore = 'resolution=ignore-duplicates'
const many = (of: (i: number) => unknown, count: number) =>
  Array.from({ length: count }, (_, i) => of(i))

/** Writes that succeed, of every kind: what one way of writing does, every other must do. */
export const writes: readonly Write[] = [
  {
    method: 'POST',
    path: '/plain',
    body: [
      { id: 1, text: 'a' },
      { id: 50, text: 'n' },
      { id: 1, text: 'b' },
    ],
    prefer: `${full}, ${merge}`,
  },
  {
    method: 'POST',
    path: '/bytes?select=data',
    body: [
      { id: '\\x01', data: '\\x01' },
      { id: '\\x01', data: '\\x02' },
    ],
    prefer: `${full}, ${merge}`,
  },
  ...[
    '',
    full,
    'return=headers-only',
    'return=minimal',
    `${full}, count=exact`,
    'count=exact',
  ].flatMap((prefer): Write[] => [
    { method: 'POST', path: '/notes', body: { title: 'new' }, prefer },
    { method: 'POST', path: '/plain', body: { text: "it's" }, prefer },
    { method: 'PATCH', path: '/notes?id=gt.0', body: { rank: 0.1 }, prefer },
    { method: 'DELETE', path: '/comments?id=lt.3', prefer },
    { method: 'PUT', path: '/pairs?a=eq.x&b=eq.1', body: { a: 'x', b: 1, v: 'put' }, prefer },
    { method: 'PUT', path: '/plain?id=eq.99', body: { id: 99, text: 'put' }, prefer },
    {
      method: 'POST',
      path: '/plain',
      body: [
        { id: 1, text: 'm' },
        { id: 3, text: 'n' },
      ],
      prefer: [merge, prefer].filter(Boolean).join(', '),
    },
    {
      method: 'POST',
      path: '/plain',
      body: [
        { id: 1, text: 'm' },
        { id: 3, text: 'n' },
      ],
      prefer: [ignore, prefer].filter(Boolean).join(', '),
    },
    {
      method: 'POST',
      path: '/box',
      body: { text: 'dropped' },
      prefer: prefer.includes(full) || prefer.includes('only') ? '' : prefer,
    },
  ]),
  {
    method: 'POST',
    path: '/notes?select=id,title,comments(id)&order=title.desc',
    body: [{ title: 'x' }, { title: 'y' }, { title: 'z' }],
    prefer: full,
  },
  {
    method: 'POST',
    path: '/plain',
    body: [
      { id: 50, text: 'a' },
      { id: 40, text: 'b' },
    ],
    prefer: full,
  },
  {
    method: 'POST',
    path: '/plain?columns=id,text',
    body: [{ id: 50 }, { text: 'auto' }, { id: 10, text: 'c' }, { text: 'auto2' }],
    prefer: `${full}, missing=default`,
  },
  {
    method: 'POST',
    path: '/plain?columns=id,text',
    body: [{ id: 2, text: 'known' }, { text: 'auto' }, { id: 60, text: 'c' }, { text: 'auto2' }],
    prefer: `${full}, missing=default, ${merge}`,
  },
  {
    method: 'POST',
    path: '/plain?columns=id,text',
    body: [
      { id: 2, text: 'known' },
      { text: 'auto' },
      { id: 60, text: 'c' },
      { text: 'auto2' },
      { id: 60, text: 'again' },
    ],
    prefer: `${full}, missing=default, ${ignore}, count=exact`,
  },
  {
    method: 'POST',
    path: '/notes?on_conflict=owner_id,title',
    body: [
      { owner_id: 'alice', title: 'a', rank: 9 },
      { owner_id: 'alice', title: 'n', rank: 8 },
    ],
    prefer: `${full}, ${merge}`,
  },
  {
    method: 'POST',
    path: '/notes?on_conflict=owner_id,title',
    body: [
      { owner_id: 'alice', title: 'a', rank: 9 },
      { owner_id: 'alice', title: 'n', rank: 8 },
      { owner_id: 'alice', title: 'n', rank: 7 },
    ],
    prefer: `${full}, ${ignore}`,
  },
  {
    method: 'POST',
    path: '/keyless',
    body: [
      { text: 'a', n: 1 },
      { text: 'a', n: 1 },
      { text: null, n: null },
    ],
    prefer: full,
  },
  {
    method: 'POST',
    path: '/pairs',
    body: [
      { a: 'z', b: 2, v: null },
      { a: 'a', b: 3, v: 'q' },
    ],
    prefer: `${full}, count=exact`,
  },
  {
    method: 'POST',
    path: '/bytes',
    body: [
      {
        id: '\\xabcd',
        data: '\\x',
        json: { deep: [{ "it's": '\u2028"' }] },
        at: '2024-01-01T00:00:00Z',
        big: '98765432109876543210',
      },
    ],
    prefer: full,
  },
  { method: 'POST', path: '/rowids', body: [{ rowid: 'c', text: 'x' }] },
  { method: 'POST', path: '/plain', body: [], prefer: full },
  { method: 'POST', path: '/plain', body: {}, prefer: full },
  {
    method: 'POST',
    path: '/plain',
    body: many((i) => ({ text: `t${i}` }), 500),
    prefer: `${full}, count=exact`,
  },
  { method: 'POST', path: '/notes', body: { title: 'one' }, prefer: full, headers: one },
  { method: 'PATCH', path: '/notes?id=eq.1', body: { title: 'one' }, prefer: full, headers: one },
  {
    method: 'PATCH',
    path: '/notes?select=id,title,comments(text)&order=rank.desc.nullslast',
    body: { public: true },
    prefer: full,
  },
  {
    method: 'PATCH',
    path: '/notes?select=id,comments!inner(text)&order=id',
    body: { public: true },
    prefer: `${full}, count=exact`,
  },
  { method: 'PATCH', path: '/notes?order=rank.desc&limit=2', body: { rank: 77 }, prefer: full },
  { method: 'PATCH', path: '/notes?title=eq.a', body: { title: 'no longer a' }, prefer: full },
  { method: 'PATCH', path: '/plain?id=eq.2', body: { id: 20 }, prefer: full },
  { method: 'PATCH', path: '/pairs?a=eq.x', body: { a: 'moved' }, prefer: full },
  { method: 'PATCH', path: '/keyless?n=eq.2', body: { text: 'changed' }, prefer: full },
  { method: 'PATCH', path: '/bytes', body: { data: '\\xff00' }, prefer: full },
  { method: 'PATCH', path: '/bytes?id=eq.\\x00ff', body: { id: '\\x77' }, prefer: full },
  { method: 'PATCH', path: '/plain', body: {}, prefer: full },
  { method: 'PATCH', path: '/plain?id=eq.1000', body: { text: 'none' }, prefer: full },
  { method: 'PATCH', path: '/made_here', body: { text: 'all' }, prefer: full },
  { method: 'PATCH', path: '/versioned?order=id', body: { text: 'next' }, prefer: full },
  {
    method: 'PATCH',
    path: '/versioned?id=eq.1',
    body: { text: 'next' },
    headers: { 'if-match': '"5"' },
  },
  {
    method: 'PUT',
    path: '/versioned?id=eq.1',
    body: { id: 1, text: 'put' },
    prefer: full,
    headers: { 'if-match': '"5"' },
  },
  {
    method: 'PUT',
    path: '/versioned?id=eq.9',
    body: { id: 9, text: 'put' },
    prefer: full,
    headers: { 'if-none-match': '*' },
  },
  { method: 'PATCH', path: '/timed?id=eq.b', body: { text: 'next' }, prefer: full },
  { method: 'POST', path: '/stamped', body: { text: 'x' }, prefer: full },
  { method: 'PATCH', path: '/stamped', body: { text: 'y' }, prefer: full },
  { method: 'DELETE', path: '/comments?select=id,notes(title)&order=id.desc', prefer: full },
  { method: 'DELETE', path: '/notes?id=eq.4', prefer: full, headers: one },
  { method: 'DELETE', path: '/keyless?order=n.desc&limit=1', prefer: `${full}, count=exact` },
  { method: 'DELETE', path: '/pairs?order=a.desc,b&offset=1', prefer: full },
  { method: 'DELETE', path: '/bytes', prefer: full },
  {
    method: 'DELETE',
    path: '/versioned?id=eq.1',
    prefer: full,
    headers: { 'if-match': '"4", "5"' },
  },
  { method: 'DELETE', path: '/plain?id=eq.1000', prefer: full },
  {
    method: 'POST',
    path: '/plain',
    body: 'id,text\n100,"a, b"\n101,NULL',
    headers: { 'content-type': 'text/csv' },
    prefer: full,
  },
  {
    method: 'POST',
    path: '/plain?select=text',
    body: { text: 'x' },
    prefer: full,
    headers: { accept: 'text/csv' },
  },
]

export const nameOf = ({ method, path, prefer = '' }: Write, i: number) =>
  `${i} ${method} ${path} ${prefer}`
