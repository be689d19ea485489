/** Below the 2 MB that D1 takes a value. */
const largest = 1_500_000

/** JSON lists of the given JSON values, in their order, each small enough to be one parameter of a statement. */
export function chunks(values: readonly string[]): string[] {
  const lists: string[][] = []
  let size = Number.POSITIVE_INFINITY
  for (const value of values) {
    // UTF-8 takes three bytes a UTF-16 unit at most.
    size += value.length * 3
    if (size > largest) {
      lists.push([])
      size = value.length * 3
    }
    lists.at(-1)?.push(value)
  }
  return lists.map((list) => `[${list.join(',')}]`)
}
