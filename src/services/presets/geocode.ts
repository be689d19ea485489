import { cached } from '../cache/index.ts'
import type { Setting } from '../definition.ts'
import { type Service, type ServiceOptions, service } from '../definition.ts'

export interface GeocodeOptions<Env>
  extends Partial<Pick<ServiceOptions<Env>, 'quota' | 'budget' | 'access' | 'fallback' | 'fetch'>> {
  /** Of a server with Nominatim's API: your own, or a vendor's. */
  origin: Setting<Env>
  /** Where a vendor puts the API: `/v1`. @default '' */
  prefix?: string
  /** Sent as the parameter `key`, where a vendor wants one. */
  key?: (env: Env) => string
  /** What a call costs. @default 0 */
  price?: number
  /** How long a place is where it was, in seconds. @default 2_592_000, 30 days */
  seconds?: number
}

const common = ['format', 'accept-language', 'addressdetails', 'zoom', 'layer']

/**
 * `GET /search` and `GET /reverse` by Nominatim's API (https://nominatim.org/release-docs/latest/api/Overview/), which
 * LocationIQ, Geoapify's and other vendors' servers speak too. Answers are shared, and the last one stands in.
 */
export function geocode<Env>(options: GeocodeOptions<Env>): Service<Env> {
  const { prefix = '', key, price, seconds = 30 * 24 * 60 * 60, ...rest } = options
  return service<Env>({
    allow: [
      {
        method: 'GET',
        path: `${prefix}/search`,
        query: [
          ...common,
          'q',
          'street',
          'city',
          'county',
          'state',
          'country',
          'postalcode',
        ].concat('countrycodes', 'limit', 'viewbox', 'bounded'),
      },
      { method: 'GET', path: `${prefix}/reverse`, query: [...common, 'lat', 'lon'] },
    ],
    cache: cached({ seconds, per: 'shared' }),
    fallback: 'stale',
    ...(key ? { auth: { query: 'key', value: key } } : {}),
    ...(price === undefined ? {} : { price: { request: price } }),
    ...rest,
  })
}
