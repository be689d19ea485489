import { dataFaults } from './faults.ts'

type Format = 'array' | 'object' | 'csv' | 'geojson' | 'plan'

/** How the answer is to look: https://docs.postgrest.org/en/v14/references/api/resource_representation.html */
export interface Accepted {
  readonly format: Format
  /** `nulls=stripped`: keys whose value is null are left out. */
  readonly stripNulls: boolean
  /** Of a plan: as text instead of JSON, and with what the query itself cost. */
  readonly plan?: { readonly text: boolean; readonly analyze: boolean }
}

/** @throws {Fault} PGRST107 (406) if no listed media type can be served. */
export function parseAccept(request: Request): Accepted {
  const header = request.headers.get('accept') ?? '*/*'
  const ranges = header.split(',').map((item) => {
    const [type = '', ...parameters] = item.split(';').map((text) => text.trim().toLowerCase())
    const weight = parameters.find((text) => text.startsWith('q='))?.slice(2)
    return { type, parameters, weight: Number(weight ?? 1) }
  })
  for (const { type, parameters, weight } of ranges.sort((a, b) => b.weight - a.weight)) {
    const format = formats.get(type)
    if (!format || !(weight > 0)) continue
    if (format === 'plan') return { format, stripNulls: false, plan: planOf(type, parameters) }
    const json = format === 'array' || format === 'object'
    return { format, stripNulls: json && parameters.includes('nulls=stripped') }
  }
  throw notAcceptable(request)
}

export const notAcceptable = (request: Request) =>
  dataFaults.PGRST107({
    message: `None of these media types are available: ${(request.headers.get('accept') ?? '').slice(0, 200)}`,
  })

const formats = new Map<string, Format>([
  ['*/*', 'array'],
  ['application/*', 'array'],
  ['application/json', 'array'],
  ['application/vnd.pgrst.array', 'array'],
  ['application/vnd.pgrst.array+json', 'array'],
  ['application/vnd.pgrst.object', 'object'],
  ['application/vnd.pgrst.object+json', 'object'],
  ['text/csv', 'csv'],
  ['application/geo+json', 'geojson'],
  ['application/vnd.pgrst.plan', 'plan'],
  ['application/vnd.pgrst.plan+json', 'plan'],
  ['application/vnd.pgrst.plan+text', 'plan'],
])

function planOf(type: string, parameters: readonly string[]) {
  const options = parameters.find((text) => text.startsWith('options='))?.slice(8) ?? ''
  return {
    text: !type.endsWith('+json'),
    analyze: options.replaceAll('"', '').split('|').includes('analyze'),
  }
}
