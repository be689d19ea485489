import { execFileSync, spawnSync } from 'node:child_process'
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort, quiet, type Running, root, startNotes } from '../kit/running.ts'

/** The process and all that it started, by pid. */
function familyOf(pid: number): number[] {
  const rows = execFileSync('ps', ['-eo', 'pid=,ppid='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((row) => row.trim().split(/\s+/).map(Number) as [number, number])
  const family = [pid]
  for (const member of family)
    for (const [child, parent] of rows) if (parent === member) family.push(child)
  return family
}

const lives = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const answers = (port: number) =>
  fetch(`http://127.0.0.1:${port}/`).then(
    () => true,
    () => false,
  )

describe.each(['SIGINT', 'SIGTERM'] as const)('npm start, ended by %s', (signal) => {
  let running: Running
  beforeAll(async () => {
    running = await startNotes()
  })
  afterAll(() => running?.stop())

  it('prints a box, and nothing else', () => {
    const { url, keys } = running
    const lines = running.printed().trim().split('\n')
    const rows = lines.map((line) => line.replace(/^│ +| +│$/g, ''))
    expect(rows).toContain(`App              ${url}`)
    expect(rows).toContain(`Auth API         ${url}/auth/v1`)
    expect(rows).toContain(`Data API         ${url}/rest/v1`)
    expect(rows).toContain(`Sync             ${url}/sync`)
    expect(rows).toContain(`Publishable key  ${keys.publishable}`)
    expect(rows).toContain(`Captured mail    ${url}/mail`)
    expect(running.printed()).not.toContain(keys.secret)
    expect(lines).toHaveLength(12)
    expect(new Set(lines.slice(1, -1).map((line) => line.length)).size).toBe(1)
  })

  it('answers on loopback, with the page under its security headers', async () => {
    const page = await fetch(`${running.url}/`)
    expect(page.status).toBe(200)
    expect(page.headers.get('content-security-policy')).toContain("script-src 'self';")
    expect(await page.text()).not.toMatch(/<script(?![^>]*src=)|\son\w+=|style=/)
    expect(await (await fetch(`${running.url}/config.json`)).json()).toEqual({
      key: running.keys.publishable,
    })
  })

  it('shows captured mail to this machine only', async () => {
    expect((await fetch(`${running.url}/mail`)).status).toBe(200)
    // Reached by another name, the Worker is not in development: it refuses the development secret, and /mail with it.
    const { request } = await import('node:http')
    const status = await new Promise((resolve, reject) => {
      const headers = { host: 'notes.example' }
      request({ host: '127.0.0.1', port: running.port, path: '/mail', headers }, (response) =>
        resolve(response.statusCode),
      )
        .on('error', reject)
        .end()
    })
    expect(status).toBeGreaterThanOrEqual(400)
  })

  it('leaves no process and no listener', async () => {
    const family = familyOf(running.process.pid ?? 0)
    expect(family.length).toBeGreaterThan(2)
    expect(await running.stop(signal)).toBe(0)
    expect(family.filter(lives)).toEqual([])
    expect(await answers(running.port)).toBe(false)
  })
})

it('says which port is in use, and how to take another', async () => {
  const port = await freePort()
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  try {
    const { status, stderr } = spawnSync(process.execPath, ['examples/notes/start.ts'], {
      cwd: root,
      env: { ...quiet, PORT: String(port) },
      encoding: 'utf8',
      timeout: 30_000,
    })
    expect(status).toBe(1)
    expect(stderr).toContain(`Port ${port} is in use`)
    expect(stderr).toContain(`PORT=${port + 1} npm start`)
  } finally {
    server.close()
  }
})

it('refuses a port that is none', () => {
  const { status, stderr } = spawnSync(process.execPath, ['examples/notes/start.ts'], {
    cwd: root,
    env: { ...quiet, PORT: 'http' },
    encoding: 'utf8',
    timeout: 30_000,
  })
  expect(status).toBe(1)
  expect(stderr).toContain('PORT must be a number')
})
