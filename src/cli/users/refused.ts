import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { Refusal } from '../refusal.ts'

export const refusedFile = (file: string) => `${file}.refused.ndjson`

/** Lines for people to mend, and to import again `--from leanto`. Only its owner reads it: there are hashes in it. */
export interface Aside {
  put(line: object): Promise<void>
  /** @returns Once all of it is in the file. */
  flush(): Promise<void>
}

/** A file that is made once there is something for it. @param again Whether it goes on with what is there. */
export function asideOf(path: string, again: boolean): Aside {
  let stream: WriteStream | undefined
  let failed: Error | undefined
  const open = async () => {
    stream = createWriteStream(path, { flags: again ? 'a' : 'w', mode: 0o600 })
    stream.on('error', (error) => {
      failed = error
    })
    await once(stream, 'open').catch(() => undefined)
    if (!failed) await chmod(path, 0o600)
    return stream
  }
  const check = () => {
    if (failed) throw new Refusal(`${path} cannot be written: ${failed.message}`)
  }
  return {
    async put(line) {
      const to = stream ?? (await open())
      check()
      if (!to.write(`${JSON.stringify(line)}\n`))
        await Promise.race([once(to, 'drain'), once(to, 'error')])
      check()
    },
    async flush() {
      if (!stream) return
      await new Promise((resolve) => stream?.write('', resolve))
      check()
    },
  }
}
