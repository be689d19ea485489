import { readdirSync, readFileSync } from 'node:fs'

/*
 * What a process has computed, as Linux counts it. Where other things run on the machine it is a steadier measure than
 * the time on the clock; elsewhere than on Linux there is none.
 */

const read = (path: string) => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // It, or the thread, is gone; or this is no Linux.
    return ''
  }
}

const list = (path: string) => {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

/** The processes that this one has started by that name. */
export const childrenOf = (name: string): number[] =>
  list('/proc')
    .map(Number)
    .filter((pid) => {
      const [, comm, ppid] = /^\d+ \((.*)\) \S+ (\d+)/.exec(read(`/proc/${pid}/stat`)) ?? []
      return comm === name && Number(ppid) === process.pid
    })

/** Milliseconds, of all its threads; NaN where it is not known. */
export function cpuOf(pid: number): number {
  const threads = list(`/proc/${pid}/task`)
  const nanoseconds = threads.map((thread) =>
    Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0]),
  )
  return threads.length === 0 ? Number.NaN : nanoseconds.reduce((sum, one) => sum + one, 0) / 1e6
}
