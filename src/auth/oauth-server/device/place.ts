/** What Cloudflare adds to a request of where it came from; nothing elsewhere. */
interface Located {
  readonly cf?: { readonly city?: unknown; readonly country?: unknown }
}

const clean = (value: unknown): string =>
  typeof value === 'string' ? value.replaceAll(/\p{C}/gu, '').slice(0, 60) : ''

/** A city and a country as people call them in English, such as `Lisbon, Portugal`; `null` if neither is known. */
export function placeOf(request: Request): string | null {
  const { city, country } = (request as Located).cf ?? {}
  const places = [clean(city), countryOf(clean(country))].filter((one) => one !== '')
  return places.length > 0 ? places.join(', ') : null
}

/** @param code ISO 3166-1; `T1` of Tor, as Cloudflare has it. */
function countryOf(code: string): string {
  if (code === 'T1') return 'the Tor network'
  try {
    return new Intl.DisplayNames('en', { type: 'region' }).of(code) ?? code
  } catch {
    return code
  }
}
