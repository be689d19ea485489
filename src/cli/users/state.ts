import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { Refusal } from '../refusal.ts'

/** What an import has come to, so that another run can go on with it. */
export interface State {
  readonly file: { readonly size: number; readonly modified: number }
  readonly from: string
  readonly to: string
  /** Users of the file, from its beginning, of whom it is known what became of them. */
  done: number
  readonly counts: Record<string, number>
  readonly notes: Record<string, number>
}

const stateFile = (file: string) => `${file}.state.json`

/** @throws {Refusal} if there is no such file. */
export async function newState(file: string, from: string, to: string): Promise<State> {
  try {
    const { size, mtimeMs } = await stat(file)
    return { file: { size, modified: mtimeMs }, from, to, done: 0, counts: {}, notes: {} }
  } catch (error) {
    throw new Refusal(`${file} cannot be read: ${(error as Error).message}`)
  }
}

/** @throws {Refusal} if there is none, or it is of another file, format or place. */
export async function readState(file: string, fresh: State): Promise<State> {
  let state: State
  try {
    state = JSON.parse(await readFile(stateFile(file), 'utf8'))
  } catch {
    throw new Refusal(
      `There is nothing to go on with: ${stateFile(file)} is not there. Leave --resume out.`,
    )
  }
  const other = (['from', 'to'] as const).find((name) => state[name] !== fresh[name])
  if (other) throw new Refusal(`The run before was --${other} ${state[other]}.`)
  if (state.file.size !== fresh.file.size || state.file.modified !== fresh.file.modified)
    throw new Refusal(
      `${file} has changed since. Leave --resume out: who is there already is not made again.`,
    )
  return state
}

/** Never half: a crash leaves this one or the one before. */
export async function writeState(file: string, state: State): Promise<void> {
  const path = stateFile(file)
  await writeFile(`${path}.new`, `${JSON.stringify(state)}\n`, { mode: 0o600 })
  await rename(`${path}.new`, path)
}

export const removeState = (file: string) => rm(stateFile(file), { force: true })
