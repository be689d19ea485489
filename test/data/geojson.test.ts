import { PostgrestClient } from '@supabase/postgrest-js'
import { integer, real, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { data, expose } from 'leanto/data'
import { beforeAll, describe, expect, it } from 'vitest'
import { freshDatabase, makeBase, mount, site } from '../kit/world.ts'
import { people } from './store.ts'

const places = sqliteTable('places', {
  id: integer('id').primaryKey(),
  name: text('name'),
  spot: text('spot', { mode: 'json' }),
  lng: real('lng'),
  lat: real('lat'),
})

const store = data(makeBase(), {
  identity: people,
  tables: {
    places: expose(places, { select: () => true, insert: () => true, point: 'spot' }),
    pairs: expose(places, { select: () => true, point: ['lng', 'lat'] }),
    plain: expose(places, { select: () => true }),
  },
})
const ask = mount({ '/r': store })

beforeAll(() =>
  freshDatabase(
    [store],
    [
      'CREATE TABLE places (id INTEGER PRIMARY KEY, name TEXT, spot TEXT, lng REAL, lat REAL)',
      `INSERT INTO places VALUES (1, 'a', '{"type":"Point","coordinates":[13.4,52.5]}', 13.4, 52.5), (2, 'b', '[1,2]', 1, 2), (3, 'c', NULL, NULL, 2)`,
    ],
  ),
)

const feature = (geometry: unknown, properties: unknown) => ({
  type: 'Feature',
  geometry,
  properties,
})
const point = (...coordinates: number[]) => ({ type: 'Point', coordinates })

const get = async (path: string) => {
  const response = await ask(`/r/${path}`, { headers: { accept: 'application/geo+json' } })
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    body: await response.json(),
  }
}

describe('GeoJSON', () => {
  it('is a collection of features, from a JSON column', async () => {
    expect(await get('places?select=id,name,spot')).toEqual({
      status: 200,
      type: 'application/geo+json; charset=utf-8',
      body: {
        type: 'FeatureCollection',
        features: [
          feature(point(13.4, 52.5), { id: 1, name: 'a' }),
          feature(point(1, 2), { id: 2, name: 'b' }),
          feature(null, { id: 3, name: 'c' }),
        ],
      },
    })
  })

  it('from two columns', async () => {
    expect((await get('pairs?select=id,lng,lat')).body).toEqual({
      type: 'FeatureCollection',
      features: [
        feature(point(13.4, 52.5), { id: 1 }),
        feature(point(1, 2), { id: 2 }),
        feature(null, { id: 3 }),
      ],
    })
  })

  it('of nothing is an empty collection; of a table without a point it is refused', async () => {
    expect((await get('places?id=eq.9')).body).toEqual({ type: 'FeatureCollection', features: [] })
    expect(await get('plain')).toMatchObject({ status: 406, body: { code: 'PGRST107' } })
  })

  it('for the stock client', async () => {
    const client = new PostgrestClient(`${site}/r`, {
      fetch: (input, init) => {
        const { pathname, search } = new URL(String(input))
        return ask(pathname + search, { headers: Object.fromEntries(new Headers(init?.headers)) })
      },
    })
    const { data: collection } = await client.from('places').select('id,spot').eq('id', 2).geojson()
    expect(collection).toEqual({
      type: 'FeatureCollection',
      features: [feature(point(1, 2), { id: 2 })],
    })
  })

  it('a point that the table has not is refused when built', () => {
    expect(() => expose(places, { point: 'nothing' as never })).toThrow(/`point` names "nothing"/)
  })
})
