import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { quiet, root } from '../kit/running.ts'

export interface Ran {
  status: number | null
  stdout: string
  stderr: string
}

/**
 * Runs `leanto` beside this process, whose own servers it may then ask.
 *
 * @param given.node Options of Node itself. @param given.begun Hears of it, and of what it prints.
 */
export function runLeanto(
  cwd: string,
  args: readonly string[],
  given: {
    env?: Record<string, string | undefined>
    node?: readonly string[]
    begun?: (child: ChildProcess, printed: () => string) => void
  } = {},
): Promise<Ran> {
  const { LEANTO_SECRET: _, ...clean } = quiet as Record<string, string>
  const child = spawn(
    process.execPath,
    [...(given.node ?? []), join(root, 'src/cli/index.ts'), ...args],
    { cwd, env: { ...clean, ...given.env }, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const printed = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8')
    child[name].on('data', (text: string) => {
      printed[name] += text
    })
  }
  given.begun?.(child, () => printed.stdout + printed.stderr)
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, ...printed })))
}
