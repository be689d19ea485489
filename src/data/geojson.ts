import { notAcceptable } from './accept.ts'
import type { View } from './compile.ts'
import type { Row } from './rows.ts'

/**
 * Rows as a FeatureCollection (RFC 7946). The geometry is what the table's `point` names: a JSON column that holds a
 * geometry or `[longitude, latitude]`, or two columns of numbers. The rest are properties.
 *
 * @throws {Fault} PGRST107 if the table declares none.
 */
export function geoJson(request: Request, { resource }: View, rows: readonly Row[]): string {
  const { point } = resource
  if (point.length === 0) throw notAcceptable(request)
  const features = rows.map((row) => {
    const properties = Object.fromEntries(
      Object.entries(row).filter(([name]) => !point.includes(name)),
    )
    return { type: 'Feature', geometry: geometryOf(point.map((name) => row[name])), properties }
  })
  return JSON.stringify({ type: 'FeatureCollection', features })
}

function geometryOf(values: readonly unknown[]): unknown {
  const value = values.length === 1 ? values[0] : values
  if (!Array.isArray(value)) return value ?? null
  return value.every((part) => typeof part === 'number')
    ? { type: 'Point', coordinates: value }
    : null
}
