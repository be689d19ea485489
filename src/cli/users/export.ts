import { once } from 'node:events'
import { open, stat } from 'node:fs/promises'
import { Refusal } from '../refusal.ts'
import { ask, persevere, placeOf } from './place.ts'
import { counted, progressOf } from './progress.ts'

export interface ExportOptions {
  readonly from?: string | undefined
  readonly out?: string | undefined
  readonly resume?: boolean | undefined
  readonly retries?: string | undefined
}

/** Where lines go, whole ones alone. */
interface Sink {
  write(text: string): Promise<void>
  close(): Promise<void>
}

/** `leanto users export` @returns The exit code. */
export async function exportUsers(
  rest: readonly string[],
  options: ExportOptions,
  signal: AbortSignal,
): Promise<number> {
  if (rest.length > 0) throw new Refusal('leanto users export takes no file: use --out <file>.', 2)
  if (options.resume && !options.out) throw new Refusal('--resume goes with --out <file>.', 2)
  if (options.retries !== undefined && !/^\d{1,2}$/.test(options.retries))
    throw new Refusal('--retries must be a whole number from 0 to 99.', 2)
  const place = placeOf('--from', options.from)
  if (!options.out && process.stdout.isTTY)
    throw new Refusal(
      'Hashes and secrets are not for a terminal: use --out <file>, or `> users.ndjson`.',
      2,
    )
  const begun = options.resume
    ? await lastOf(options.out as string)
    : { after: '', count: 0, size: 0 }
  const sink = options.out
    ? await fileSink(options.out, begun.size, options.resume === true)
    : stdout
  const progress = progressOf(begun.count)
  let { after, count } = begun
  const page = async (progressed: () => void): Promise<number> => {
    let got = 0
    for await (const line of ask(place, `/admin/users/export?after=${after}`, signal)) {
      const { id } = readLine(line)
      await sink.write(`${line}\n`)
      after = id
      count++
      got++
      progressed()
      progress({ done: count })
    }
    return got
  }
  try {
    // The end is where nothing comes any more: an answer holds only so many.
    for (let got = -1; got !== 0; )
      await persevere(
        async (progressed) => {
          got = await page(progressed)
        },
        { tries: Number(options.retries ?? 5), signal, told: (why) => progress.say(why) },
      )
  } catch (error) {
    progress.end({ done: count })
    await sink.close()
    if (!(error instanceof Refusal) && !signal.aborted) throw error
    const why = error instanceof Refusal ? error.message : 'Stopped.'
    const how =
      options.out && count > 0 ? '\nGo on with what is left: the same command with --resume.' : ''
    throw new Refusal(
      `${why}\n${counted(count)} users are written.${how}`,
      signal.aborted ? 130 : error instanceof Refusal ? error.exitCode : 1,
    )
  }
  progress.end({ done: count })
  await sink.close()
  return 0
}

function readLine(line: string): { id: string } {
  try {
    const user = JSON.parse(line)
    if (typeof user.id === 'string') return user
  } catch {}
  throw new Refusal('The answer is not that of leanto/auth/moving.')
}

const stdout: Sink = {
  async write(text) {
    if (!process.stdout.write(text)) await once(process.stdout, 'drain')
  },
  close: () => new Promise((resolve) => process.stdout.write('', () => resolve())),
}

/** @param size Where to go on: half a line may stand after it. */
async function fileSink(path: string, size: number, resume: boolean): Promise<Sink> {
  const file = await open(path, resume ? 'r+' : 'wx', 0o600).catch((error) => {
    const { code, message } = error as NodeJS.ErrnoException
    throw new Refusal(
      code === 'EEXIST'
        ? `${path} is there already. Go on with it by --resume, or remove it.`
        : `${path} cannot be written: ${message}`,
    )
  })
  await file.truncate(size)
  let at = size
  let held: string[] = []
  let length = 0
  const flush = async () => {
    const bytes = Buffer.from(held.join(''))
    held = []
    length = 0
    await file.write(bytes, 0, bytes.length, at)
    at += bytes.length
  }
  return {
    async write(text) {
      held.push(text)
      length += text.length
      if (length > 65_536) await flush()
    },
    async close() {
      await flush()
      await file.close()
    },
  }
}

/** The last whole line of a file that was begun, how many there are, and where they end. */
async function lastOf(path: string): Promise<{ after: string; count: number; size: number }> {
  const file = await open(path).catch((error: Error) => {
    throw new Refusal(`${path} cannot be read: ${error.message}`)
  })
  try {
    const { size: whole } = await stat(path)
    let count = 0
    let size = 0
    let begin = 0
    let position = 0
    for await (const chunk of file.createReadStream({ autoClose: false })) {
      const bytes = chunk as Buffer
      for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, end + 1)) {
        begin = size
        size = position + end + 1
        count++
      }
      position += bytes.length
    }
    if (count === 0) return { after: '', count, size: 0 }
    const line = Buffer.alloc(Math.min(size, whole) - begin)
    await file.read(line, 0, line.length, begin)
    return { after: readLine(line.toString().trimEnd()).id, count, size }
  } finally {
    await file.close()
  }
}
