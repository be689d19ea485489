import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Ran, runLeanto } from './cli-run.ts'
import { host, write } from './cli-world.ts'
import { key, startUsersServer } from './users-server.ts'

let server: Awaited<ReturnType<typeof startUsersServer>>
beforeAll(async () => {
  server = await startUsersServer()
})
afterAll(() => server?.stop())
beforeEach(() => server.clear())

const file = 'users.ndjson'
const at = (name: string) => join(host, name)
const read = (name: string) => readFileSync(at(name), 'utf8')
const linesOf = (name: string) =>
  read(name)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

const users = (count: number, more: (i: number) => object = () => ({})) =>
  Array.from(
    { length: count },
    (_, i) =>
      `${JSON.stringify({ foreign_id: `old|${i}`, email: `u${i}@example.com`, ...more(i) })}\n`,
  ).join('')

type Given = Parameters<typeof runLeanto>[2] & { key?: string | undefined }

const bring = (args: readonly string[] = [], given: Given = {}): Promise<Ran> =>
  runLeanto(host, ['users', 'import', file, '--from', 'leanto', '--to', server.url, ...args], {
    ...given,
    env: { LEANTO_KEY: 'key' in given ? given.key : key, ...given.env },
  })

describe('leanto users import', () => {
  it('brings every user, and says so', async () => {
    write({ [file]: users(1234) })
    const { status, stdout, stderr } = await bring()
    expect(stdout).toBe('users.ndjson\n1,234  users in the file\n1,234  created\n')
    expect(stderr).toMatch(/^100 % · 1,234 users(?: · [\d,]+\/s)?\n$/)
    expect(status).toBe(0)
    expect(server.users.size).toBe(1234)
    expect(server.asked.map(({ lines }) => lines)).toEqual([500, 500, 234])
    expect(new Set(server.asked.map(({ key }) => key))).toEqual(new Set([key]))
    expect(server.asked[0]?.url).toBe('POST /auth/v1/admin/users/import?existing=keep')
    // In the order of the file.
    expect([...server.users.values()].map(({ line }) => line.foreign_id)).toEqual(
      Array.from({ length: 1234 }, (_, i) => `old|${i}`),
    )
    for (const left of ['users.ndjson.state.json', 'users.ndjson.refused.ndjson'])
      expect(existsSync(at(left))).toBe(false)
  })

  it('does no harm twice', async () => {
    write({ [file]: users(10) })
    await bring()
    const { status, stdout } = await bring(['--update'])
    expect(stdout).toContain('10  are there already, and were left as they are')
    expect(status).toBe(0)
    expect(server.asked[1]?.url).toContain('existing=update')
  })

  it('puts aside whom the app refuses and what is no user, for another go', async () => {
    const lines = users(10).split('\n')
    lines.splice(3, 0, '{"email": "broken"', '[]')
    write({ [file]: lines.join('\n') })
    server.set({ refuse: ({ email }) => (email === 'u7@example.com' ? 'email_exists' : undefined) })
    const { status, stdout } = await bring()
    expect(status).toBe(3)
    expect(stdout).toBe(
      `users.ndjson
12  users in the file
 9  created
 3  refused: users.ndjson.refused.ndjson has them, and why
`,
    )
    expect(linesOf('users.ndjson.refused.ndjson')).toEqual([
      {
        text: '{"email": "broken"',
        _refused: { line: 4, code: 'unreadable', message: 'The user is no JSON' },
      },
      { text: '[]', _refused: { line: 5, code: 'unreadable', message: 'The user is no object' } },
      {
        foreign_id: 'old|7',
        email: 'u7@example.com',
        _refused: { line: 10, code: 'email_exists', message: 'No' },
      },
    ])
    // Hashes are in it: it is its owner's alone.
    expect(statSync(at('users.ndjson.refused.ndjson')).mode & 0o777).toBe(0o600)
    server.set({})
    const again = await runLeanto(
      host,
      ['users', 'import', 'users.ndjson.refused.ndjson', '--from', 'leanto', '--to', server.url],
      { env: { LEANTO_KEY: key } },
    )
    expect(again.stdout).toContain('1  created\n2  refused')
    expect(server.users.get('old|7')?.line).not.toHaveProperty('_refused')
  })

  it('writes which new id each old one has', async () => {
    write({ [file]: users(3) })
    await bring(['--ids', 'ids.ndjson'])
    expect(linesOf('ids.ndjson')).toEqual(
      [0, 1, 2].map((i) => ({ from: `old|${i}`, id: `id of old|${i}` })),
    )
    expect(statSync(at('ids.ndjson')).mode & 0o777).toBe(0o600)
  })

  it('lets nothing of a dump steer the terminal', async () => {
    const evil = '\u001b[2J\u001b]0;owned\u0007'
    const people = Array.from({ length: 200 }, (_, i) => ({
      user_id: `x|${i}`,
      email: `u${i}@example.com`,
      identities: [{ provider: `${evil}${i}`, user_id: '1' }],
    }))
    write({ [file]: people.map((one) => `${JSON.stringify(one)}\n`).join('') })
    const args = ['users', 'import', file, '--from', 'auth0', '--to', server.url]
    const { status, stdout, stderr } = await runLeanto(host, args, { env: { LEANTO_KEY: key } })
    expect(status).toBe(0)
    expect(stdout).toContain('1  without an account elsewhere (\ufffd[2J\ufffd]0;owned\ufffd0)\n')
    // Nor fill it.
    expect(stdout.split('\n').length).toBeLessThan(60)
    expect(stdout).toContain('150  and with other words of the kind')
    server.set({
      trouble: (_, response) => {
        response.writeHead(403).end(JSON.stringify({ msg: evil }))
        return true
      },
    })
    const refused = await runLeanto(host, args, { env: { LEANTO_KEY: key } })
    for (const text of [stdout, stderr, refused.stderr]) expect(text).not.toContain('\u001b')
  })

  it('asks for no more at once than it is told to', async () => {
    write({ [file]: users(25) })
    await bring(['--batch', '10'])
    expect(server.asked.map(({ lines }) => lines)).toEqual([10, 10, 5])
    server.clear()
    // Nor for more than four megabytes.
    write({ [file]: users(100, () => ({ user_metadata: { x: 'x'.repeat(60_000) } })) })
    await bring()
    expect(server.asked.length).toBe(2)
    expect(server.users.size).toBe(100)
  })

  it('takes an empty file for what it is', async () => {
    write({ [file]: '' })
    const { status, stdout } = await bring()
    expect([status, stdout]).toEqual([0, 'users.ndjson\n0  users in the file\n'])
    expect(server.asked).toEqual([])
  })
})

describe('a dry run', () => {
  it('asks the app, which changes nothing', async () => {
    write({ [file]: users(3) })
    const { status, stdout } = await bring(['--dry-run'])
    expect(server.asked[0]?.url).toContain('existing=keep&dry_run=true')
    expect(stdout).toContain(
      'as a dry run: nothing is changed.\n3  users in the file\n3  would be created',
    )
    expect(status).toBe(0)
    for (const left of ['users.ndjson.state.json', 'users.ndjson.refused.ndjson'])
      expect(existsSync(at(left))).toBe(false)
  })

  it('without an app reads the file alone, and needs no key', async () => {
    write({ [file]: `${users(3)}{\n` })
    const args = ['users', 'import', file, '--from', 'leanto', '--dry-run']
    const { status, stdout } = await runLeanto(host, args)
    expect(stdout).toContain('3  can be read; --to asks the app about them\n1  would be refused')
    expect(status).toBe(3)
    expect(server.asked).toEqual([])
  })
})

describe('the key', () => {
  it('is not taken as an option, and is printed nowhere', async () => {
    write({ [file]: users(1) })
    for (const option of ['--key', '--key=x', '--api-key', '--apikey']) {
      const { status, stderr } = await bring([option, 'sb_secret_shown'])
      expect(status).toBe(2)
      expect(stderr).toContain('every program on this machine could read it. Set LEANTO_KEY')
      expect(stderr).not.toContain('sb_secret_shown')
    }
    const wrong = await bring([], { key: 'sb_secret_wrong' })
    expect(wrong.status).toBe(1)
    expect(wrong.stderr).toContain(
      'answers 401: Invalid API key\nIs LEANTO_KEY the secret API key of that app?',
    )
    expect(wrong.stderr).not.toContain('sb_secret_wrong')
  })

  it.each([
    [undefined, 'Set LEANTO_KEY'],
    ['', 'Set LEANTO_KEY'],
    ['sb_publishable_x', 'is the publishable key'],
  ])('%s is none', async (value, said) => {
    write({ [file]: users(1) })
    const { status, stderr } = await bring([], { key: value })
    expect([status, stderr.includes(said)]).toEqual([2, true])
    expect(server.asked).toEqual([])
  })

  it('goes nowhere but where it is meant for', async () => {
    write({ [file]: users(1) })
    const to = (url: string) =>
      runLeanto(host, ['users', 'import', file, '--from', 'leanto', '--to', url], {
        env: { LEANTO_KEY: key },
      })
    expect((await to('http://my.app/auth/v1')).stderr).toContain('--to must be https')
    expect((await to('my.app')).status).toBe(2)
    expect((await to('https://u:p@my.app/')).status).toBe(2)
    server.set({
      trouble: (_, response) => {
        response.writeHead(307, { location: `${server.url}/elsewhere` }).end()
        return true
      },
    })
    const moved = await to(server.url)
    expect(moved.status).toBe(1)
    expect(moved.stderr).toContain('answers 307')
    expect(server.asked).toHaveLength(1)
  })
})

describe('what is asked for wrongly', () => {
  it.each([
    [['users'], 'Import or export?'],
    [['users', 'move'], 'Not a command: users move.'],
    [['users', 'import'], 'takes one file'],
    [['users', 'import', 'a', 'b'], 'takes one file'],
    [
      ['users', 'import', 'a'],
      '--from must be one of supabase, firebase, auth0, better-auth, clerk, leanto',
    ],
    [['users', 'import', 'a', '--from', 'okta'], '--from must be one of'],
    [['users', 'import', 'a', '--from', 'leanto'], '--to is missing'],
    [['users', 'import', 'a', '--form', 'leanto'], 'Unknown option'],
    [
      ['users', 'import', 'a', '--from', 'leanto', '--to', 'https://a.b', '--batch', '0'],
      '--batch must be',
    ],
    [
      ['users', 'import', 'a', '--from', 'leanto', '--to', 'https://a.b', '--retries', 'x'],
      '--retries must be',
    ],
    [['users', 'export'], '--from is missing'],
    [['users', 'export', 'x', '--from', 'https://a.b'], 'takes no file'],
    [['users', 'export', '--from', 'https://a.b', '--resume'], '--resume goes with --out'],
  ])('%j is refused', async (args, said) => {
    const { status, stderr, stdout } = await runLeanto(host, args, { env: { LEANTO_KEY: key } })
    expect(stderr).toContain(said)
    expect([status, stdout]).toEqual([2, ''])
  })

  it('a file that is not there, or none of its kind, is told', async () => {
    expect((await bring()).stderr).toContain('users.ndjson cannot be read')
    const said = async (bytes: Uint8Array | string, more: string[] = []) => {
      writeFileSync(at(file), bytes)
      const { status, stderr } = await bring(more)
      expect(status).toBe(1)
      return stderr
    }
    expect(await said(Uint8Array.of(0x1f, 0x8b, 8, 0, 0xff, 0xfe))).toContain('is not UTF-8')
    expect(await said('[{"id": 1}, {"id"')).toContain('the list does not end')
    expect(await said('id,email\n1,"open')).toContain('a quote is left open')
    expect(await said(`{"x": "${'x'.repeat(2_000_000)}`)).toContain('longer than a megabyte')
  })

  it('help is help', async () => {
    const { status, stdout } = await runLeanto(host, ['users', '--help'])
    expect(status).toBe(0)
    expect(stdout).toContain('leanto users import <file> --from <place> --to <url>')
  })
})
