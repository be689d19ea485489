import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { root } from './running.ts'

/** `12, 40 to 42` → 12, 40, 41, 42. */
const numbersOf = (text: string): number[] =>
  text.split(/,| and /).flatMap((piece) => {
    const [from = 0, to = from] = piece.split(' to ').map(Number)
    return Array.from({ length: to - from + 1 }, (_, i) => from + i)
  })

/** Which test files of some folders name a case of the project's list of attacks, outside of their comments. */
export function namedCases(folders: readonly string[]): Map<number, Set<string>> {
  const found = new Map<number, Set<string>>()
  for (const folder of folders)
    for (const name of readdirSync(join(root, folder))) {
      if (!name.endsWith('.test.ts') || name.startsWith('security-cases')) continue
      const file = join(root, folder, name)
      const lines = readFileSync(file, 'utf8').split('\n')
      // Neither comments nor the branches of a switch.
      for (const line of lines.filter((one) => !/^\s*(?:\/\/|\/?\*|case \d+:)/.test(one)))
        for (const [, numbers = ''] of line.matchAll(/\bcases? (\d+(?:(?:, | and | to )\d+)*)/g))
          for (const number of numbersOf(numbers))
            found.set(number, (found.get(number) ?? new Set()).add(relative(root, file)))
    }
  return found
}
