import { cloudflareTest } from '@cloudflare/vitest-plugin'
import { defineConfig } from 'vitest/config'

const alias = [
  { find: /^leanto$/, replacement: new URL('./src/core/index.ts', import.meta.url).pathname },
  {
    find: /^leanto\/([\w/-]+)$/,
    replacement: new URL('./src/$1/index.ts', import.meta.url).pathname,
  },
]

// Where a test runs is said by its folder: test/node and test/browser in Node, everything else in workerd.
const inNode = ['test/node/**/*.test.ts', 'test/browser/**/*.test.ts']

// What compares times has the machine to itself.
const timed = ['test/auth/timing.test.ts']

const inWorkerd = {
  resolve: { alias },
  plugins: [
    cloudflareTest({
      miniflare: {
        compatibilityDate: '2026-10-01',
        d1Databases: ['DB', 'OTHER_DB'],
        kvNamespaces: ['KV'],
        // Without a wrangler.toml there are no default rules, and vite would take the WebAssembly for its own.
        modulesRules: [{ type: 'CompiledWasm', include: ['**/*.wasm'] }],
      },
    }),
  ],
}

export default defineConfig({
  test: {
    reporters: ['default', './test/kit/count-reporter.ts'],
    projects: [
      {
        ...inWorkerd,
        test: {
          name: 'worker',
          include: ['test/**/*.test.ts'],
          exclude: [...inNode, ...timed],
          isolate: false,
          maxWorkers: 2,
          testTimeout: 30_000,
        },
      },
      {
        ...inWorkerd,
        test: {
          name: 'timed',
          include: timed,
          isolate: false,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'node',
          include: inNode,
          environment: 'node',
          maxWorkers: 2,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
