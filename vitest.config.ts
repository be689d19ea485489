import { cloudflareTest } from '@cloudflare/vitest-plugin'
import { defineConfig } from 'vitest/config'

const alias = [
  { find: /^leanto$/, replacement: new URL('./src/core/index.ts', import.meta.url).pathname },
  {
    find: /^leanto\/([\w/]+)$/,
    replacement: new URL('./src/$1/index.ts', import.meta.url).pathname,
  },
]

// Where a test runs is said by its folder: test/node and test/browser in Node, everything else in workerd.
const inNode = ['test/node/**/*.test.ts', 'test/browser/**/*.test.ts']

export default defineConfig({
  test: {
    reporters: ['default', './test/kit/count-reporter.ts'],
    projects: [
      {
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
        test: {
          name: 'worker',
          include: ['test/**/*.test.ts'],
          exclude: inNode,
          isolate: false,
          fileParallelism: false,
          testTimeout: 30_000,
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'node',
          include: inNode,
          environment: 'node',
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
