import { defineConfig } from 'vitest/config';

const conditions = ['@opencode-manager/source', 'development'];

/** Settings that every package's tests share: sources run without a build, warnings and unhandled rejections fail. */
export function testConfig(name: string) {
  return defineConfig({
    resolve: { conditions },
    ssr: { resolve: { conditions, externalConditions: conditions } },
    test: {
      name,
      include: ['test/**/*.test.ts'],
      typecheck: { enabled: false },
      // Real servers: two cores carry one test file at a time.
      fileParallelism: false,
      testTimeout: 60_000,
      hookTimeout: 60_000,
      execArgv: ['--conditions=@opencode-manager/source', '--conditions=development'],
      reporters: process.env['OCM_TEST_RESULTS'] ? ['default', ['json', { outputFile: process.env['OCM_TEST_RESULTS'] }]] : ['default'],
    },
  });
}
