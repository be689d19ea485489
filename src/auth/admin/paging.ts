import type { Context } from 'hono'
import { authFaults } from '../faults.ts'

export interface Page {
  /** From 1. */
  page: number
  perPage: number
}

const most = 1000

/** @throws {Fault} `validation_failed` (400). */
export function readPage(c: Context): Page {
  const read = (name: string, otherwise: number, limit: number): number => {
    const text = c.req.query(name)
    if (!text) return otherwise
    const number = Number(text)
    if (!/^\d{1,9}$/.test(text) || number < 1)
      throw authFaults.validation_failed({ message: `Bad Pagination Parameters: ${name}` })
    return Math.min(number, limit)
  }
  return { page: read('page', 1, 1_000_000), perPage: read('per_page', 50, most) }
}

/** GoTrue's `link` (RFC 8288) and `x-total-count`. `page` stands first in each URL, where its clients look for it. */
export function pageHeaders(path: string, { page, perPage }: Page, total: number): HeadersInit {
  const last = Math.max(1, Math.ceil(total / perPage))
  const link = (to: number, rel: string) => `<${path}?page=${to}&per_page=${perPage}>; rel="${rel}"`
  return {
    link: [...(page < last ? [link(page + 1, 'next')] : []), link(last, 'last')].join(', '),
    'x-total-count': String(total),
  }
}
