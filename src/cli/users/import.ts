import { rm } from 'node:fs/promises'
import { bold, out, safe } from '../print.ts'
import { Refusal } from '../refusal.ts'
import { type Convert, converterOf, type Format, formats, type Given } from './formats/index.ts'
import { countNote, sayNote } from './notes.ts'
import { ask, Interrupted, type Place, persevere, placeOf } from './place.ts'
import { counted, type Progress, progressOf } from './progress.ts'
import { recordsOf } from './records.ts'
import { type Aside, asideOf, refusedFile } from './refused.ts'
import { newState, readState, removeState, type State, writeState } from './state.ts'

/** The options as they were given. */
export interface ImportOptions extends Omit<Given, 'now' | 'betterAuthSecret'> {
  readonly from?: string | undefined
  readonly to?: string | undefined
  readonly resume?: boolean | undefined
  readonly update?: boolean | undefined
  readonly 'dry-run'?: boolean | undefined
  readonly ids?: string | undefined
  readonly batch?: string | undefined
  readonly retries?: string | undefined
}

interface Run {
  readonly place: Place | undefined
  readonly query: string
  readonly state: State
  readonly refused: Aside
  readonly ids: Aside | undefined
  readonly progress: Progress
  readonly signal: AbortSignal
  readonly tries: number
  /** How much of the file is read, from 0 to 1. */
  part: number
  readonly save: () => Promise<void>
}

/** A user on their way: the number in the file, and what is sent, or why nothing is. */
interface Sent {
  readonly number: number
  readonly line?: Record<string, unknown>
  readonly text?: string
  readonly notes: readonly string[]
  readonly why?: string
}

/** In characters of one request. */
const mostText = 4 * 1024 * 1024

/** `leanto users import <file>` @returns The exit code. */
export async function importUsers(
  files: readonly string[],
  options: ImportOptions,
  signal: AbortSignal,
): Promise<number> {
  const [file, more] = files
  if (!file || more !== undefined) throw new Refusal('leanto users import takes one file.', 2)
  const { from = '' } = options
  if (!formats.includes(from as Format))
    throw new Refusal(`--from must be one of ${formats.join(', ')}.`, 2)
  const dry = options['dry-run'] === true
  const place = dry && options.to === undefined ? undefined : placeOf('--to', options.to)
  const batch = wholeOf('--batch', options.batch, 500, 1, 5000)
  const tries = wholeOf('--retries', options.retries, 5, 0, 100)
  const fresh = await newState(file, from, place?.url ?? '')
  const state = options.resume ? await readState(file, fresh) : fresh
  const convert = await converterOf(from as Format, {
    ...options,
    betterAuthSecret: process.env.BETTER_AUTH_SECRET,
    now: new Date().toISOString(),
  })
  if (!options.resume && !dry) await rm(refusedFile(file), { force: true })
  const run: Run = {
    place,
    query: `?existing=${options.update ? 'update' : 'keep'}${dry ? '&dry_run=true' : ''}`,
    state,
    refused: dry ? nowhere : asideOf(refusedFile(file), options.resume === true),
    ids: options.ids && !dry ? asideOf(options.ids, options.resume === true) : undefined,
    progress: progressOf(state.done),
    signal,
    tries,
    part: 0,
    save: dry ? async () => undefined : () => writeState(file, state),
  }
  try {
    await bring(run, usersOf(run, file, convert), batch)
  } catch (error) {
    await finish(run)
    if (state.done > 0 && !dry) await run.save()
    if (!(error instanceof Refusal) && !signal.aborted) throw error
    const why = error instanceof Refusal ? error.message : 'Stopped.'
    const how =
      dry || state.done === 0 ? '' : `\nGo on with what is left: the same command with --resume.`
    throw new Refusal(
      `${why}\n${counted(state.done)} users are done${dry ? ', in a dry run' : ''}.${how}`,
      signal.aborted ? 130 : error instanceof Refusal ? error.exitCode : 1,
    )
  }
  await finish(run)
  if (!dry) await removeState(file)
  summarise(run, { dry, file })
  return state.counts.refused ? 3 : 0
}

const nowhere: Aside = { put: async () => undefined, flush: async () => undefined }

function wholeOf(
  option: string,
  text: string | undefined,
  otherwise: number,
  least: number,
  most: number,
) {
  if (text === undefined) return otherwise
  const number = Number(text)
  if (/^\d+$/.test(text) && number >= least && number <= most) return number
  throw new Refusal(`${option} must be a whole number from ${least} to ${most}.`, 2)
}

/** The users of the file that are still to be brought. */
async function* usersOf(run: Run, file: string, convert: Convert): AsyncGenerator<Sent> {
  const { size } = run.state.file
  let number = 0
  const seen = (bytes: number) => {
    run.part = size > 0 ? Math.min(1, bytes / size) : 1
  }
  for await (const found of recordsOf(file, seen)) {
    if (run.signal.aborted) throw run.signal.reason
    if (++number <= run.state.done) continue
    yield 'fields' in found
      ? { number, ...convert(found.fields) }
      : { number, notes: [], why: found.why, text: found.text }
  }
}

async function bring(run: Run, users: AsyncIterable<Sent>, batch: number): Promise<void> {
  let list: Sent[] = []
  let length = 0
  const send = async () => {
    await deliver(run, list)
    await run.save()
    list = []
    length = 0
  }
  for await (const user of users) {
    list.push(user)
    length += user.line ? JSON.stringify(user.line).length : 0
    if (list.length >= batch || length > mostText) await send()
  }
  if (list.length > 0) await send()
}

/** Until each of them is answered for. What is answered is not sent again. */
const deliver = (run: Run, list: readonly Sent[]): Promise<void> =>
  persevere(
    async (progressed) => {
      const before = run.state.done
      const rest = list.filter(({ number }) => number > before)
      for await (const settled of answersOf(run, rest)) {
        await settle(run, settled)
        progressed()
      }
    },
    { tries: run.tries, signal: run.signal, told: (why) => run.progress.say(why) },
  )

interface Answer {
  result: string
  id?: string
  code?: string
  message?: string
  notes?: readonly string[]
}

/** Each user with what became of them, in order. */
async function* answersOf(run: Run, list: readonly Sent[]): AsyncGenerator<[Sent, Answer]> {
  const sent = list.filter(({ line }) => line !== undefined)
  const answers = run.place && sent.length > 0 ? askFor(run, run.place, sent) : undefined
  for (const user of list) {
    if (!user.line)
      yield [user, { result: 'refused', code: 'unreadable', message: `The user ${user.why}` }]
    else if (!answers) yield [user, { result: 'read' }]
    else {
      const { done, value } = await answers.next()
      if (done) throw new Interrupted('the answer broke off')
      yield [user, value]
    }
  }
  // Nothing comes after the last user but the word that it is all.
  if (answers && !(await answers.next()).done) throw new Interrupted('the answer is none')
}

const results: readonly unknown[] = ['created', 'updated', 'exists', 'refused']

async function* askFor(run: Run, place: Place, sent: readonly Sent[]): AsyncGenerator<Answer> {
  const body = sent.map(({ line }) => `${JSON.stringify(line)}\n`).join('')
  let number = 0
  for await (const text of ask(place, `/admin/users/import${run.query}`, run.signal, body)) {
    const said = read(text)
    if (said.done) return
    if (said.error)
      throw new Interrupted(
        `the app has failed: ${safe(String(said.error.msg ?? said.error.message))}`,
      )
    if (said.line === undefined) continue
    if (said.line !== ++number || !results.includes(said.result))
      throw new Refusal('The answer is not that of leanto/auth/moving.')
    yield said
  }
  throw new Interrupted('the answer broke off')
}

function read(text: string) {
  try {
    return JSON.parse(text)
  } catch {
    throw new Refusal('The answer is not that of leanto/auth/moving.')
  }
}

async function settle(run: Run, [user, answer]: [Sent, Answer]): Promise<void> {
  const { state } = run
  const { result, code, message, id } = answer
  const { line } = user
  if (result === 'refused')
    await run.refused.put({
      ...(line ?? { text: user.text?.slice(0, 1000) }),
      _refused: { line: user.number, code, message },
    })
  else {
    for (const note of [...user.notes, ...(answer.notes ?? [])])
      countNote(state.notes, String(note))
    if (line?.foreign_id) await run.ids?.put({ from: line.foreign_id, id })
  }
  state.counts[result] = (state.counts[result] ?? 0) + 1
  state.done = user.number
  run.progress(standingOf(run))
}

const standingOf = ({ state, part }: Run) => ({
  part,
  done: state.done,
  more: state.counts.refused ? `${counted(state.counts.refused)} refused` : undefined,
})

async function finish(run: Run): Promise<void> {
  run.progress.end(standingOf(run))
  await run.refused.flush()
  await run.ids?.flush()
}

function summarise({ state, place }: Run, { dry, file }: { dry: boolean; file: string }): void {
  const width = counted(state.done).length
  const row = (count: number, text: string) => out(`${counted(count).padStart(width)}  ${text}\n`)
  out(bold(dry ? `${file}, as a dry run: nothing is changed.\n` : `${file}\n`))
  row(state.done, 'users in the file')
  const words: Record<string, string> = {
    read: 'can be read; --to asks the app about them',
    created: dry ? 'would be created' : 'created',
    updated: dry ? 'would be updated' : 'updated',
    exists: 'are there already, and were left as they are',
    refused: dry ? 'would be refused' : `refused: ${refusedFile(file)} has them, and why`,
  }
  for (const [result, text] of Object.entries(words))
    if (state.counts[result]) row(state.counts[result], text)
  if (place === undefined && !dry) return
  for (const [note, count] of Object.entries(state.notes)) row(count, sayNote(note))
}
