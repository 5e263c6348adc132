import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const conditions = ['@opencode-manager/source', 'development'];
const results = process.env['OCM_TEST_RESULTS'];

/** Settings that every package's tests share: sources run without a build; warnings and unhandled rejections fail. */
export function testConfig(name: string) {
  return defineConfig({
    resolve: { conditions },
    ssr: { resolve: { conditions, externalConditions: conditions } },
    test: {
      name,
      include: ['test/**/*.test.ts'],
      setupFiles: [fileURLToPath(new URL('vitest.setup.ts', import.meta.url))],
      // Real servers: two cores carry one test file at a time.
      fileParallelism: false,
      testTimeout: 60_000,
      hookTimeout: 60_000,
      execArgv: conditions.map((condition) => `--conditions=${condition}`),
      reporters: results === undefined ? ['default'] : ['default', ['json', { outputFile: join(results, `${name}.json`) }]],
    },
  });
}
