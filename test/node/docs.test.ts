import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const run = promisify(execFile)
const root = process.cwd()
// Inside the repository, so that packages resolve as they do for everything else here.
const folder = join(root, '.wrangler', 'docs-test')
const pages = (await readdir(join(root, 'docs'))).filter((file) => file.endsWith('.md'))
const textOf = (page: string) => readFile(join(root, 'docs', page), 'utf8')

// What has no types of its own: of pouchdb-browser, those that the example has.
const declared = ['src/auth/wasm.d.ts', 'examples/notes/page/offline/pouchdb.d.ts']

/** A page's files. A fence of a file that was there before goes on with it. */
function filesOf(text: string): Map<string, string> {
  const files = new Map<string, string>()
  for (const [, name = '', code = ''] of text.matchAll(/^```ts file=(\S+)\n([\s\S]*?)^```$/gm))
    files.set(name, (files.get(name) ?? '') + code)
  return files
}

beforeAll(() => rm(folder, { recursive: true, force: true }))
afterAll(() => rm(folder, { recursive: true, force: true }))

describe.each(pages)('docs/%s', (page) => {
  it('is under 350 lines, and every example says which file it is of', async () => {
    const text = await textOf(page)
    expect(text.trimEnd().split('\n').length).toBeLessThan(350)
    expect(text.match(/^```(?:ts|tsx|js|typescript)\b(?! file=\S).*$/gm)).toBeNull()
  })

  it('has examples that compile, all as one program', async () => {
    const files = filesOf(await textOf(page))
    expect(files.size).toBeGreaterThan(0)
    const program = join(folder, page)
    await mkdir(program, { recursive: true })
    for (const [name, code] of files) await writeFile(join(program, name), code)
    const source = (path: string) => [join(root, 'src', path)]
    await writeFile(
      join(program, 'tsconfig.json'),
      JSON.stringify({
        extends: join(root, 'tsconfig.json'),
        compilerOptions: {
          types: ['@cloudflare/workers-types'],
          rootDir: root,
          paths: {
            leanto: source('core/index.ts'),
            'leanto/auth/*': source('auth/*/index.ts'),
            'leanto/*': source('*/index.ts'),
          },
        },
        // Each by its name: a pattern that matches nothing would let everything pass.
        files: [...files.keys(), ...declared.map((file) => join(root, file))],
        include: [],
      }),
    )
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const { stdout } = await run(process.execPath, [tsc, '-p', program]).catch((error) => error)
    expect(stdout).toBe('')
  })

  it('has modules whose options are taken', async () => {
    const program = join(folder, page)
    const starting = [...filesOf(await textOf(page))].filter(([, code]) => / = auth\(/.test(code))
    expect(starting.length).toBeGreaterThan(0)
    for (const [name] of starting) {
      const outfile = join(program, 'out', name.replace(/ts$/, 'mjs'))
      // Nothing is hashed while a module is made, so its WebAssembly may be missing.
      await build({
        entryPoints: [join(program, name)],
        bundle: true,
        format: 'esm',
        loader: { '.wasm': 'empty' },
        conditions: ['workerd', 'worker', 'browser'],
        outfile,
      })
      await expect(import(pathToFileURL(outfile).href), name).resolves.toBeDefined()
    }
  })

  it('links to what is there', async () => {
    const text = await textOf(page)
    for (const [, target = ''] of text.matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
      const [path = '', anchor] = target.split('#')
      const file =
        path === '' ? join(root, 'docs', page) : join(dirname(join(root, 'docs', page)), path)
      await expect(stat(file), target).resolves.toBeDefined()
      if (anchor !== undefined)
        expect(anchorsOf(await readFile(file, 'utf8')), target).toContain(anchor)
    }
  })
})

/** As GitHub makes them of headings. */
const anchorsOf = (text: string): string[] =>
  [...text.replaceAll(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )
