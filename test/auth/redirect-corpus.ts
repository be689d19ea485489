import { site } from '../kit/world.ts'

/*
 * Where a client, or whoever writes its links, may ask to be led (case 24).
 */

export const redirects = [
  'https://other.example/welcome',
  'https://*.preview.example/**',
  'myapp://login',
]

/** May be led to. */
export const allowed = [
  site,
  `${site}/`,
  `${site}/welcome?next=1#top`,
  'https://other.example/welcome',
  'https://pr-7.preview.example/a/b?c=d',
  'myapp://login',
]

/** Leads elsewhere, or to nothing: the site takes its place. */
export const refused = [
  '//evil.example',
  '/\\evil.example',
  '\\evil.example',
  '\\\\evil.example',
  'https:evil.example',
  'https:/evil.example',
  'https:///evil.example',
  'https:\\\\evil.example',
  '%2f%2fevil.example',
  'https://%2f%2fevil.example',
  '/%2f%2fevil.example',
  'https://app.example@evil.example',
  'https://app.example:x@evil.example/',
  'https://user@app.example/',
  'https://app.example%40evil.example',
  'https://app.example%2eevil.example/',
  'https://app.example\\@evil.example',
  'https://app.example.evil.example',
  'https://evil.example/app.example',
  'https://evil.example?https://app.example/',
  'https://evil.example#https://app.example/',
  'http://app.example/',
  'https://app.example:8443/',
  'https://ap\tp.example/',
  'https://app.example\n.evil.example',
  ' https://evil.example',
  '\thttps://evil.example',
  '\u0000https://app.example',
  'https://app。example.evil.example',
  'javascript:alert(1)',
  'JavaScript://app.example/%0aalert(1)',
  'javascript://login',
  'data:text/html,x',
  'vbscript:x',
  'blob:https://app.example/x',
  'file:///etc/passwd',
  'about:blank',
  'https://other.example/welcome/more',
  'https://other.example/welcome?x=1',
  'https://other.example/',
  'https://a.b.preview.example/',
  'https://preview.example/',
  'https://evil.example/.preview.example/',
  'https://evil.example?.preview.example/',
  'https://evil.example#.preview.example/',
  'myapp://login/more',
  'myapp://other',
  'MYAPP://evil',
  'welcome',
  '/welcome',
  '.',
  'null',
  '',
  `https://app.example/${'x'.repeat(3000)}`,
]
