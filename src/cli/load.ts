import { fork } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Migrated } from '../core/migrate.ts'
import type { Bundle } from './bundle.ts'
import { Refusal } from './refusal.ts'

/** In milliseconds. To load takes far less: a Worker may not wait for anything before its first request. */
const patience = 30_000

/**
 * The modules that a host's own sources make, as far as they follow what the host gives them. The sources are run for
 * it, in a process of their own: whatever they print, or leave running, ends there.
 *
 * @param directory Where they run.
 * @throws {Refusal} if they could not be bundled or throw, or make no such module while they load.
 */
export async function modulesOf({ text, why }: Bundle, directory: string): Promise<Migrated[]> {
  if (text === undefined) throw new Refusal(why ?? '')
  const folder = await mkdtemp(join(tmpdir(), 'leanto-load-'))
  try {
    const file = join(folder, 'bundle.mjs')
    await writeFile(file, text)
    const { made, why } = await answerOf(file, directory)
    if (!made) throw new Refusal(why ?? 'it ended before it was loaded')
    if (made.length === 0) throw new Refusal('it makes no data module while it loads')
    return made
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

interface Answer {
  made?: Migrated[]
  why?: string
}

function answerOf(file: string, cwd: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const child = fork(file, { cwd, execArgv: [], stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
    const timer = setTimeout(() => child.kill('SIGKILL'), patience)
    let answer: Answer = {}
    child.on('message', (message: Answer) => {
      answer = message
    })
    child.on('error', reject)
    child.on('close', (_code, signal) => {
      clearTimeout(timer)
      resolve(signal === 'SIGKILL' ? { why: 'it did not end loading' } : answer)
    })
  })
}
