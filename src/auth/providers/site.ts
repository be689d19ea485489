/** @throws {TypeError} unless it is the absolute URL of a place. @returns It, without a slash after. */
export function siteOf(name: string, url: string): string {
  const parsed = URL.parse(url)
  if (!parsed || !/^https?:$/.test(parsed.protocol) || parsed.search || parsed.hash)
    throw new TypeError(`${name}: \`url\` must be where it is, such as https://id.example`)
  return url.replace(/\/+$/, '')
}
