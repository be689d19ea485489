/*
 * Rows of one document with the same key come in the order of their values, as Erlang orders terms: numbers, then
 * `false`, `null`, `true`, then objects, lists and text. https://www.erlang.org/doc/system/expressions.html#term-comparisons
 */

const rank = (value: unknown): number => {
  if (typeof value === 'number') return 0
  if (typeof value === 'string') return 4
  if (Array.isArray(value)) return 3
  return typeof value === 'object' && value !== null ? 2 : 1
}

/** Compares two values of JSON; `undefined` is `null`. */
export function byTerm(a: unknown, b: unknown): number {
  const kind = rank(a)
  if (kind !== rank(b)) return kind - rank(b)
  switch (kind) {
    case 0:
      return (a as number) - (b as number)
    case 2:
      return byList(Object.entries(a as object).flat(), Object.entries(b as object).flat())
    case 3:
      return byList(a as unknown[], b as unknown[])
    default: {
      const [x, y] = [String(a ?? null), String(b ?? null)]
      return x < y ? -1 : Number(x > y)
    }
  }
}

function byList(a: readonly unknown[], b: readonly unknown[]): number {
  for (const [i, one] of a.entries()) {
    if (i >= b.length) return 1
    const order = byTerm(one, b[i])
    if (order !== 0) return order
  }
  return a.length - b.length
}
