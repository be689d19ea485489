/*
 * The same reads and writes through leanto, a hand-written worker and two peers in one run, one request after the other,
 * the sides taking turns. Prints how fast each is against the hand-written one: 1.00 is as fast, 0.90 takes a ninth longer.
 *
 * leanto, the worker by hand and bknd run in workerd on D1. PocketBase is a process of its own, in Go, with SQLite inside;
 * its numbers say what a whole server does, not what a Worker could.
 *
 * D1 is in the same process here, so a trip costs next to nothing, as it never does in production. Trips: leanto and by
 * hand 1 for each of these. The first two verify ES256 tokens, the peers HS256.
 *
 *   ROUNDS=15 REQUESTS=60 SIDES=leanto,bknd WORKS=list npm run bench
 */
import { startBknd } from './bknd/start.ts'
import { cpuOf } from './cpu.ts'
import { startPocketBase } from './pocketbase.ts'
import { ask, commentsPerNote, type Side, type WorkName, works } from './side.ts'
import { startOurs } from './worker.ts'

const rounds = Number(process.env.ROUNDS ?? 15)
const perRound = Number(process.env.REQUESTS ?? 60)
const wanted = process.env.SIDES?.split(',')
const chosen = (Object.keys(works) as WorkName[]).filter((name) =>
  name.includes(process.env.WORKS ?? ''),
)

/** An answer that is not what it should be would be measured all the same. */
async function check(side: Side, work: WorkName) {
  const texts = await ask(side, work, 0)
  const rows = texts.flatMap((text) => side.rowsOf(JSON.parse(text) as never))
  const authors = texts.join().match(/"person \d+"/g)?.length ?? 0
  const embeds = work.startsWith('embed') ? works[work].rows * commentsPerNote : 0
  if (rows.length !== works[work].rows || authors !== embeds)
    throw new Error(`${side.name}, ${work}: ${rows.length} rows, ${authors} authors`)
}

const median = (values: readonly number[]) =>
  [...values].sort((x, y) => x - y)[values.length >> 1] ?? 0

interface Taken {
  /** Milliseconds on the clock, at the median. */
  time: number
  /** Milliseconds of computing in the side's process, on the average. */
  cpu: number
}

/** Some requests, in which the sides take turns: what else the machine does hits all of them. */
async function round(sides: readonly Side[], work: WorkName, requests: number): Promise<Taken[]> {
  const times = sides.map((): number[] => [])
  const before = sides.map(({ pid }) => cpuOf(pid))
  for (let i = 0; i < requests; i++)
    for (let turn = 0; turn < sides.length; turn++) {
      const at = (turn + i) % sides.length
      const started = performance.now()
      await ask(sides[at] as Side, work, i)
      times[at]?.push(performance.now() - started)
    }
  return sides.map(({ pid }, at) => ({
    time: median(times[at] ?? []),
    cpu: (cpuOf(pid) - (before[at] ?? 0)) / requests,
  }))
}

async function compare(sides: readonly Side[], work: WorkName) {
  const requests = works[work].rows >= 100 ? Math.ceil(perRound / 4) : perRound
  for (const side of sides) await check(side, work)
  await round(sides, work, requests)
  const taken: Taken[][] = []
  for (let i = 0; i < rounds; i++) taken.push(await round(sides, work, requests))
  const cells = sides.map((_, at) => {
    const of = (measure: keyof Taken) => {
      const own = median(taken.map((sides) => sides[at]?.[measure] ?? 0))
      const ratio = median(
        taken.map((sides) => (sides[0]?.[measure] ?? 0) / (sides[at]?.[measure] ?? 0)),
      )
      return `${at === 0 ? '' : ratio.toFixed(2)}${own.toFixed(2).padStart(8)} ms`
    }
    return (of('time').padStart(17) + of('cpu').padStart(16)).padStart(at === 0 ? 24 : 36)
  })
  console.log(work.padEnd(24) + cells.join(''))
}

const starters: Record<string, () => Promise<Side | undefined>> = {
  leanto: () => startOurs('leanto'),
  bknd: startBknd,
  pocketbase: startPocketBase,
}
const sides: Side[] = [await startOurs('by hand')]
try {
  for (const [name, start] of Object.entries(starters)) {
    const side = wanted && !wanted.includes(name) ? undefined : await start()
    if (side) sides.push(side)
    else console.log(`without ${name}`)
  }
  console.log(
    `${rounds} rounds of ${perRound} requests each; by hand / side, more is better, and milliseconds: on the clock, and of computing\n`,
  )
  console.log(
    `${''.padEnd(24)}${sides.map(({ name }, i) => name.padStart(i === 0 ? 33 : 36)).join('')}`,
  )
  for (const work of chosen) await compare(sides, work)
} finally {
  await Promise.all(sides.map((side) => side.stop()))
}
