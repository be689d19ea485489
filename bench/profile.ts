/*
 * Where a worker's time goes, by workerd's own profiler: each function's own part of what the worker itself computes, in
 * microseconds a request. D1 and the rest of workerd are not in it.
 *
 *   SIDE='by hand' WORKS=list REQUESTS=400 node bench/profile.ts
 */
import { freePort } from './pocketbase.ts'
import { ask, type WorkName, works } from './side.ts'
import { startOurs } from './worker.ts'

const name = process.env.SIDE === 'by hand' ? 'by hand' : 'leanto'
const requests = Number(process.env.REQUESTS ?? 400)
/** Microseconds between samples. */
const interval = 100
const shown = Number(process.env.SHOWN ?? 30)

interface Profile {
  nodes: {
    id: number
    callFrame: { functionName: string; url: string; lineNumber: number }
    hitCount?: number
    children?: number[]
  }[]
  samples: number[]
  timeDeltas: number[]
}

const inspectorPort = await freePort()
const side = await startOurs(name, { inspectorPort })
const inspector = await inspect(inspectorPort)
const lines = side.script.split('\n')

/** Speaks the DevTools protocol. */
async function inspect(port: number) {
  const targets = await (await fetch(`http://127.0.0.1:${port}/json`)).json()
  const [{ webSocketDebuggerUrl }] = targets as [{ webSocketDebuggerUrl: string }]
  const socket = new WebSocket(webSocketDebuggerUrl)
  await new Promise((resolve, reject) => {
    socket.onopen = resolve
    socket.onerror = reject
  })
  let count = 0
  const call = (method: string, params = {}) =>
    new Promise<{ profile: Profile }>((resolve) => {
      const id = ++count
      const listen = ({ data }: MessageEvent) => {
        const message = JSON.parse(String(data))
        if (message.id !== id) return
        socket.removeEventListener('message', listen)
        resolve(message.result)
      }
      socket.addEventListener('message', listen)
      socket.send(JSON.stringify({ id, method, params }))
    })
  return { call, close: () => socket.close() }
}

async function profile(work: WorkName) {
  const count = works[work].rows >= 100 ? Math.ceil(requests / 4) : requests
  for (let i = 0; i < count; i++) await ask(side, work, i)
  await inspector.call('Profiler.start')
  for (let i = 0; i < count; i++) await ask(side, work, i)
  const { nodes, samples, timeDeltas } = (await inspector.call('Profiler.stop')).profile
  const own = new Map<number, number>()
  // While the worker waits nothing is sampled, and the next sample is late by as much.
  for (const [i, id] of samples.entries())
    own.set(id, (own.get(id) ?? 0) + Math.min(timeDeltas[i] ?? 0, 2 * interval))
  const byFile = new Map<string, number>()
  const byName = new Map<string, number>()
  const add = (sums: Map<string, number>, key: string, time: number) =>
    sums.set(key, (sums.get(key) ?? 0) + time)
  const at = new Map(nodes.map((node) => [node.id, node]))
  // What the engine does by itself counts for the function that called it.
  const walk = (id: number, caller: string) => {
    const { callFrame, children = [] } = at.get(id) as Profile['nodes'][number]
    const { functionName, lineNumber, url } = callFrame
    if (functionName === '(idle)' || functionName === '(program)') return
    const native = url === '' && functionName !== '(garbage collector)'
    const file = native ? caller : fileOf(url, lineNumber) || functionName
    add(byFile, file, own.get(id) ?? 0)
    add(byName, `${file} ${functionName || '(anonymous)'}`, own.get(id) ?? 0)
    for (const child of children) walk(child, file)
  }
  walk(nodes[0]?.id ?? 0, '')
  const all = [...byFile.values()].reduce((sum, time) => sum + time, 0)
  console.log(`\n${name}, ${work}: ${(all / count).toFixed(0)} µs a request`)
  for (const sums of [byFile, byName]) {
    for (const [key, time] of [...sums].sort(([, x], [, y]) => y - x).slice(0, shown))
      console.log(`${(time / count).toFixed(1).padStart(9)}  ${key}`)
    console.log()
  }
}

/** The module, or for what is not the bundle's the script's own name. */
function fileOf(url: string, line: number): string {
  if (!url.endsWith('.mjs')) return url
  for (let i = line; i >= 0; i--) {
    const [, file] = /^\/\/ ((?:\S+\/)?\S+\.[cm]?[jt]s)$/.exec(lines[i] ?? '') ?? []
    if (file) return file
  }
  return url
}

try {
  await inspector.call('Profiler.enable')
  await inspector.call('Profiler.setSamplingInterval', { interval })
  for (const work of Object.keys(works) as WorkName[])
    if (work.includes(process.env.WORKS ?? '')) await profile(work)
} finally {
  inspector.close()
  await side.stop()
}
